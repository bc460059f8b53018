"""Track nodata pixels, even if valid pixels may have the nodata value.

Most sources declare a nodata value, or use NaN, and the value identifies nodata. Integer sources
that declare none may have any value of their type. Then a mask accompanies the values (nearest), or
they are resampled in a wider type; a valid pixel with the value that the cube declares as nodata is
an error and never lost.
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
"""Values, rows and columns last, and the mask of nodata; None if there is none."""


@dataclass(frozen=True)
class NoData:
    """The value of nodata in a variable.

    Parameters
    ----------
    fill
        The value.
    reserved
        Whether valid pixels cannot have it: the source declares it, or its type cannot hold it.
    declared
        Whether the cube declares it as nodata.
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
        """Raise if valid pixels of a source have the value `fill` from the configuration.

        Parameters
        ----------
        nodata
            Nodata values of the source, which become `fill`.
        name
            Name of the source, for messages.
        hidden
            Pixels that a mask declares as nodata.

        Raises
        ------
        BuildError
            A valid pixel has the value `fill`.
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
        """Return values of the variable's type, once valid pixels and nodata are distinct.

        Parameters
        ----------
        layer
            Values, `fill` where there is no data, and their mask.
        name
            Name of the source, for messages.

        Raises
        ------
        BuildError
            A valid pixel has the value that the cube declares as nodata, or there is nodata but
            the cube declares no value for it.
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
    """Return the mask of the nodata pixels of an array."""
    return np.asarray(np.isnan(array) if np.isnan(fill) else array == fill)


def overlay(layers: Iterable[Layer], stands: NoData) -> Layer | None:
    """Return the overlay of layers, the first with data on top; None without layers."""
    values: NDArray[Any] | None = None
    missing: NDArray[np.bool_] | None = None
    for found, mask in layers:
        if values is None:
            values, missing = found, mask
            continue
        if stands.reserved:
            missing = is_fill(values, stands.fill)
        if missing is None:
            continue
        np.copyto(values, found, where=missing)
        missing = None if mask is None else missing & mask
    return None if values is None else (values, missing)


def avoid_fill(values: NDArray[Any], fill: Number) -> NDArray[Any]:
    """Return computed integers; as in GDAL, those equal to the nodata value become one less.

    If the nodata value is the minimum of the type, they become one more.
    """
    if values.dtype.kind not in "iu" or not (same := values == fill).any():
        return values
    lowest = np.iinfo(values.dtype).min
    return np.where(same, values.dtype.type(fill + 1 if fill == lowest else fill - 1), values)
