"""Packed values: unpack them, or compute with the packed values themselves.

A cube stores the packed values of its source, with ``scale_factor`` and ``add_offset``, if the
method gives the same result on packed values, then unpacked, as on unpacked ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.config.time_resampling import percentile_of
from stacbuild.geo.validity import NoData
from stacbuild.nodata import Number, fill_nodata, matches

PACKING = ("scale_factor", "add_offset")
"""CF's attributes of packed variables."""
# CF 1.11 section 8.1: these attributes hold packed values.
_PACKED_ATTRS = ("valid_min", "valid_max", "valid_range")


@dataclass(frozen=True)
class Stored:
    """Encoding of one band in a file: nodata values, whether it has a mask, scale and offset.

    Scale and offset are 1 and 0 if the cube stores the file's own values. ``tolerant``: whether
    floats are compared with the nodata values as GDAL does (see `stacbuild.nodata.matches`).
    """

    nodata: tuple[Number, ...] = ()
    masked: bool = False
    scale: float = 1.0
    offset: float = 0.0
    tolerant: bool = True

    @property
    def is_packed(self) -> bool:
        """Whether the file's values have to be unpacked for the cube."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def convert(self, plane: NDArray[Any], result: NDArray[Any], fill: Number) -> NDArray[np.bool_]:
        """Write a file's values to *result*, cast to its dtype and unpacked if packed.

        Returns
        -------
        Mask of the pixels whose value is nodata.
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
        """Write a file's values to *result* as the cube stores them, with a single nodata value.

        Parameters
        ----------
        values
            Values of the file. They may be *result* itself unless packed, and are then changed in
            place.
        nodata
            The nodata value of the result.
        name
            Name of the source, for messages.
        hidden
            Pixels that the file's mask marks as nodata.

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
    """Return whether a method applied to packed values returns the packed result.

    Parameters
    ----------
    method
        A method of resampling in space or time.
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
    return scale > 0 or percentile_of(method) is None


def packing_of(attrs: Any) -> tuple[float, float]:
    """Return scale and offset from CF attributes; 1 and 0 if not given or not finite numbers."""
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
    return {name: value for name, value in attrs.items() if name not in PACKING + _PACKED_ATTRS}
