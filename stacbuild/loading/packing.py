"""Packed numbers: what a source holds in place of values, and what can be computed of them.

A cube keeps the numbers of its source, with ``scale_factor`` and ``add_offset``, as long as the
result of a method, unpacked, is that of the unpacked values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.nodata import Number, matches

PACKING = ("scale_factor", "add_offset")
"""CF's attributes of packed variables."""
# CF 1.11 section 8.1: these are numbers as they are packed.
_OF_PACKED = ("valid_min", "valid_max", "valid_range")


@dataclass(frozen=True)
class Stored:
    """How a file holds one band: "no data" values, whether there is a mask, scale and offset.

    Scale and offset are 1 and 0 where the cube holds the file's own numbers.
    """

    nodata: tuple[Number, ...] = ()
    masked: bool = False
    scale: float = 1.0
    offset: float = 0.0

    @property
    def is_packed(self) -> bool:
        """Whether the cube does not hold the file's own numbers."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def convert(
        self, plane: NDArray[Any], result: NDArray[Any], fill: Number, *, tolerant: bool = True
    ) -> NDArray[np.bool_]:
        """Write the numbers of a file to *result*, of another type or unpacked.

        Parameters
        ----------
        tolerant
            As for `stacbuild.nodata.matches`.

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
            missing |= matches(plane, value, tolerant=tolerant)
        if plane.dtype.kind == "f":
            missing |= np.isnan(plane)
        result[missing] = fill
        return missing


def commutes(method: str, packing: tuple[float, float]) -> bool:
    """Return whether a method, of packed numbers, gives the packed number of its result.

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
