"""Where pixels hold no data, also where the value that stands for it is one that pixels have.

Most sources state a value for "no data", or have NaN for it: then the value tells. Integers that
state none may hold any value of their type. Where there are none is then known beside the values
(nearest), or they are resampled in a wider type; a pixel that has the value which the cube
declares as "no data" is an error and never lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.nodata import Number, held, matches, wider

Layer = tuple[NDArray[Any], NDArray[np.bool_] | None]
"""Values, rows and columns last, and where there are none; None if nowhere."""


@dataclass(frozen=True)
class NoData:
    """What "no data" becomes in a variable.

    Parameters
    ----------
    fill
        The value.
    reserved
        Whether no pixel with data has it: the source states it, or cannot hold it.
    declared
        Whether the cube says that it is "no data".
    """

    fill: Number
    reserved: bool = True
    declared: bool = True

    def check_free(
        self,
        values: NDArray[Any],
        nodata: Sequence[Number],
        name: str,
        hidden: NDArray[np.bool_] | None = None,
    ) -> None:
        """Refuse values of a source with data that are `fill`, which the configuration chose.

        Parameters
        ----------
        nodata
            The source's own, which become `fill`.
        name
            Of the source.
        hidden
            Where a mask says that there is no data.
        """
        if not self.reserved or self.fill in nodata or np.isnan(self.fill):
            return
        if held(self.fill, values.dtype) != self.fill:
            return
        found = values == self.fill
        if not found.any():
            return
        for value in nodata:
            found &= ~matches(values, value, tolerant=True)
        if hidden is not None:
            found &= ~hidden
        if found.any():
            raise BuildError(
                f"{name}: has pixels of the value {self.fill}, which spatial_resample_params."
                "fill_values makes no data of; state a value that no pixel has"
            )

    def settle(self, layer: Layer, name: str) -> NDArray[Any]:
        """Return values of the variable's type, having refused what the cube could not tell apart.

        Parameters
        ----------
        layer
            `fill` where there is no data.
        name
            Of the source.
        """
        values, missing = layer
        if self.reserved:
            return values
        if missing is not None and not missing.any():
            missing = None
        hint = ""
        if values.dtype.itemsize < 8:
            wide = wider(values.dtype)
            hint = f"{np.iinfo(wide).min} makes it {wide}"
        advice = (
            "state spatial_resample_params.fill_values, a value that no pixel has"
            f"{f' ({hint})' if hint else ''}, or the source's nodata in a profile"
        )
        if missing is not None and not self.declared:
            raise BuildError(
                f"{name}: has no pixels under a part of the grid, and states no value for no data; "
                f"{advice}"
            )
        if not self.declared:
            return values
        same = values == self.fill
        if missing is not None:
            same &= ~missing
        if same.any():
            raise BuildError(
                f"{name}: has pixels of the value {self.fill}, which is no data in the cube; "
                f"{advice}"
            )
        return values


def is_fill(array: NDArray[Any], fill: Number) -> NDArray[np.bool_]:
    """Return where an array holds what stands for "no data"."""
    return np.asarray(np.isnan(array) if np.isnan(fill) else array == fill)


def overlay(layers: Iterable[Layer], stands: NoData) -> Layer | None:
    """Return what the layers show, the first with data on top; None if there are none."""
    values: NDArray[Any] | None = None
    missing: NDArray[np.bool_] | None = None
    for found, nowhere in layers:
        if values is None:
            values, missing = found, nowhere
            continue
        if stands.reserved:
            missing = is_fill(values, stands.fill)
        if missing is None:
            continue
        np.copyto(values, found, where=missing)
        missing = None if nowhere is None else missing & nowhere
    return None if values is None else (values, missing)


def avoid_fill(values: NDArray[Any], fill: Number) -> NDArray[Any]:
    """Return computed integers, those that came out as "no data" one less, as GDAL has it."""
    if values.dtype.kind not in "iu" or not (same := values == fill).any():
        return values
    lowest = np.iinfo(values.dtype).min
    return np.where(same, values.dtype.type(fill + 1 if fill == lowest else fill - 1), values)
