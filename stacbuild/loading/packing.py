"""Packed numbers: unpack them, or compute with them as they are.

A cube keeps the numbers of its source, with ``scale_factor`` and ``add_offset``, as long as the
result of a method, unpacked, is that of the unpacked values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.validity import NoData
from stacbuild.nodata import Number, fill_nodata, matches

PACKING = ("scale_factor", "add_offset")
"""CF's attributes of packed variables."""
# CF 1.11 section 8.1: these attributes have packed numbers.
_OF_PACKED = ("valid_min", "valid_max", "valid_range")


@dataclass(frozen=True)
class Stored:
    """How a file holds one band: "no data" values, whether there is a mask, scale and offset.

    Scale and offset are 1 and 0 where the cube holds the file's own numbers. Whether floats are
    compared with "no data" as GDAL does is as for `stacbuild.nodata.matches`.
    """

    nodata: tuple[Number, ...] = ()
    masked: bool = False
    scale: float = 1.0
    offset: float = 0.0
    tolerant: bool = True

    @property
    def is_packed(self) -> bool:
        """Whether the cube stores other numbers than the file."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def convert(self, plane: NDArray[Any], result: NDArray[Any], fill: Number) -> NDArray[np.bool_]:
        """Write the numbers of a file to *result*, of another type or unpacked.

        Returns
        -------
        Where there is no data, by value.
        """
        if self.is_packed:
            result[...] = plane * np.float64(self.scale) + self.offset
        else:
            result[...] = plane
        missing = np.zeros(plane.shape, np.bool_)
        for value in self.nodata:
            missing |= matches(plane, value, tolerant=self.tolerant)
        if plane.dtype.kind == "f":
            missing |= np.isnan(plane)
        result[missing] = fill
        return missing

    def write(
        self,
        values: NDArray[Any],
        result: NDArray[Any],
        nodata: NoData,
        name: str,
        hidden: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write what a file holds to *result* as the cube has it, "no data" as its one value.

        Parameters
        ----------
        values
            Of the file; changed if they are *result* itself, which they may be unless packed.
        nodata
            What "no data" becomes.
        name
            Of the source.
        hidden
            Where a mask says that there is no data.

        Raises
        ------
        BuildError
            As `NoData.check_free`.
        """
        if self.is_packed:
            missing = self.convert(values, result, nodata.fill)
            nodata.check_free(result, (), name, missing if hidden is None else missing | hidden)
        else:
            nodata.check_free(values, self.nodata, name, hidden)
            if result is values:
                fill_nodata(values, self.nodata, nodata.fill, tolerant=self.tolerant)
            else:
                self.convert(values, result, nodata.fill)
        if hidden is not None:
            result[hidden] = nodata.fill


def commutes(method: str, packing: tuple[float, float]) -> bool:
    """Return whether a method applied to packed numbers returns its packed result.

    Parameters
    ----------
    method
        Of resampling in space or time.
    packing
        Scale and offset.
    """
    scale, offset = packing
    match method:
        case "max" | "min" | "median":
            return scale > 0
        case "sum":
            return offset == 0
        case "std":
            return scale > 0 and offset == 0
        case "prod" | "var":
            return packing == (1.0, 0.0)
    return True


def packing_of(attrs: Any) -> tuple[float, float]:
    """Return scale and offset by CF's attributes, 1 and 0 where they state no usable number."""
    found = []
    for name, neutral in zip(PACKING, (1.0, 0.0), strict=True):
        try:
            value = float(np.asarray(attrs.get(name, neutral)).item())
        except (TypeError, ValueError):
            value = neutral
        found.append(value if np.isfinite(value) else neutral)
    return found[0] or 1.0, found[1]


def without_packing(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of unpacked values."""
    return {name: value for name, value in attrs.items() if name not in PACKING + _OF_PACKED}
