"""Track nodata pixels, even if valid pixels may have the nodata value.

Most sources declare a nodata value, or use NaN, and the value identifies nodata. Integer sources
that declare none may have any value of their type. Then a mask accompanies the values (nearest), or
they are resampled in a wider type; a valid pixel with the value that the cube declares as nodata is
an error and never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.geo.grid import Window
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


class Overlay:
    """Layers on a window of a grid, the first with data on top.

    Parameters
    ----------
    shape
        Rows and columns of the window.
    nodata
        The nodata value of the layers.
    """

    def __init__(self, shape: tuple[int, int], nodata: NoData) -> None:
        self._shape, self._nodata = shape, nodata
        self._values: NDArray[Any] | None = None
        self._missing: NDArray[np.bool_] | None = None
        # Pixels still without data, counted where they change: a window may have many layers.
        self._open = 0

    @property
    def layer(self) -> Layer | None:
        """Values and mask of the window; None without layers."""
        return None if self._values is None else (self._values, self._missing)

    def is_open(self, part: Window | None = None) -> bool:
        """Return whether a pixel, or one of a part of the window, is still without data."""
        if self._values is None:
            return True
        missing = self._gaps(self._values)
        if part is None or not self._open:
            return self._open > 0
        return bool(missing[part].any())

    def add(self, layer: Layer, part: Window | None = None) -> None:
        """Put a layer, of the whole window or a part of it, beneath the others; it may be kept."""
        found, mask = layer
        if self._values is None and found.shape == self._shape:
            self._values = found
            if not self._nodata.reserved and mask is not None:
                self._set_gaps(mask.copy())  # that of an index map is shared
            return
        if self._values is None:
            self._values = np.full(self._shape, self._nodata.fill, found.dtype)
            self._set_gaps(np.ones(self._shape, np.bool_))
        where = ... if part is None else part
        missing = self._gaps(self._values)[where]
        before = np.count_nonzero(missing)
        if not before:
            return
        np.copyto(self._values[where], found, where=missing)
        missing &= self._holes(found, mask)
        self._open -= int(before - np.count_nonzero(missing))

    def _gaps(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the mask of pixels without data, found when it is first asked for.

        Most windows have a single layer.
        """
        if self._missing is None:
            return self._set_gaps(self._holes(values, None))
        return self._missing

    def _set_gaps(self, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        self._missing, self._open = missing, int(np.count_nonzero(missing))
        return missing

    def _holes(self, values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        if self._nodata.reserved:
            return is_fill(values, self._nodata.fill)
        return np.zeros(values.shape, np.bool_) if mask is None else mask


def avoid_fill(values: NDArray[Any], fill: Number) -> NDArray[Any]:
    """Return computed integers; as in GDAL, those equal to the nodata value become one less.

    If the nodata value is the minimum of the type, they become one more.
    """
    if values.dtype.kind not in "iu" or not (same := values == fill).any():
        return values
    lowest = np.iinfo(values.dtype).min
    return np.where(same, values.dtype.type(fill + 1 if fill == lowest else fill - 1), values)
