"""Resample decoded pixels to the grid: common code of GeoTIFFs and Zarr stores.

Each format only provides a `Decoder`. This module decides which source pixels to read, how to
resample them, which of several sources takes precedence, and where the result is nodata.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stacbuild.geo.beneath import beneath, copies_beneath
from stacbuild.geo.block import Block, Onto
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.mapping import IndexMap
from stacbuild.geo.mosaic import MARGIN, Mosaic, mosaics
from stacbuild.geo.positions import shifted, window_key
from stacbuild.geo.validity import NoData, Overlay, is_fill
from stacbuild.geo.working import WiderType
from stacbuild.loading.pool import shared_index_map
from stacbuild.nodata import Number

# Bytes of a source window above which nearest reads it block by block.
WINDOW_BYTES = 512 * 2**20
# Bytes of source pixels that the other methods assemble at a time. A target window that needs
# more, because its pixels are much larger than the source's, is split.
_BLOCK_BYTES = 512 * 2**20


class Decoder(Protocol):
    """Decodes one plane of the sources: one band, or one index along the other dimensions."""

    @property
    def pixel_bytes(self) -> int:
        """Bytes that are decoded per pixel."""

    def read(self, number: int, window: Window, mapping: IndexMap | None = None, /) -> NDArray[Any]:
        """Return a window of the grid of source *number*, 2-D, with nodata as the fill value.

        With a *mapping*, only the pixels that it selects have to be decoded.
        """

    def pick(self, number: int, mapping: IndexMap, key: Hashable) -> NDArray[Any]:
        """Return the pixels of a target window whose source window is too large for memory.

        Parameters
        ----------
        key
            Cache key of the mapping, to share pixels with other planes.

        Returns
        -------
        2-D array that the caller may change, undefined where the target lies beyond the source.
        """


@dataclass(frozen=True)
class Plane:
    """Pixels of one or several sources to resample to one grid; the first with data wins.

    Parameters
    ----------
    name
        Name for messages.
    grids
        The pixel grid of each source.
    decoder
        Decodes the pixels of a source, by its number in *grids*.
    dtype
        Dtype of the decoded pixels.
    nodata
        The nodata value of the result.
    """

    name: str
    grids: tuple[PixelGrid, ...]
    decoder: Decoder
    dtype: np.dtype[Any]
    nodata: NoData


def regrid(plane: Plane, onto: Onto) -> NDArray[Any]:
    """Resample a plane to a window of the target grid.

    Returns
    -------
    2-D array of the window's shape and the plane's dtype, with nodata as the fill value.

    Raises
    ------
    BuildError
        As `stacbuild.geo.warp.warp`, or if a valid value equals the fill value.
    """
    overlay = Overlay(_shape(onto.window), plane.nodata)
    (_nearest if onto.method == "nearest" else _resampled)(plane, onto, overlay)
    found = overlay.layer
    if found is None:
        shape = _shape(onto.window)
        found = np.full(shape, plane.nodata.fill, plane.dtype), np.ones(shape, np.bool_)
    return plane.nodata.settle(found, plane.name)


def _nearest(plane: Plane, onto: Onto, overlay: Overlay) -> None:
    """Add each source with its part of the window, once for each shift by 360 degrees.

    Each target pixel takes one source pixel, so neighbours in other sources do not matter. Sources
    beneath pixels that others have data for are not read.
    """
    copies, numbers = copies_beneath(plane.grids, onto.target)
    origin = -onto.window[0].start, -onto.window[1].start
    for copy, window in copies.parts(onto.window):
        if not overlay.is_open():
            return
        part = shifted(window, origin)
        if not overlay.is_open(part):
            continue
        grid, number = copies.grids[copy], numbers[copy]
        mapping = shared_index_map(grid, onto.target, window)
        if mapping is None:
            continue
        if mapping.size * plane.decoder.pixel_bytes > WINDOW_BYTES:
            key = (grid, onto.target, window_key(window))
            found = plane.decoder.pick(number, mapping, key)
            if mapping.outside is not None:
                found[mapping.outside] = plane.nodata.fill
        else:
            block = plane.decoder.read(number, mapping.window, mapping)
            found = mapping.gather(block, plane.nodata.fill)
        overlay.add((found, mapping.outside), part)


@dataclass(frozen=True)
class _Pixels:
    """Reads windows of a mosaic's sources, by number, with *fill* as nodata value."""

    read: Callable[[int, Window], NDArray[Any]]
    fill: Number
    itemsize: int


def _resampled(plane: Plane, onto: Onto, overlay: Overlay) -> None:
    """Add each mosaic of sources, assembled and resampled once."""
    if plane.nodata.reserved:
        wider = None
        pixels = _Pixels(plane.decoder.read, plane.nodata.fill, plane.dtype.itemsize)
    else:
        wider = WiderType.of(plane.dtype, onto.method)

        def read(number: int, window: Window) -> NDArray[Any]:
            return wider.widened(plane.decoder.read(number, window))

        pixels = _Pixels(read, wider.fill, wider.dtype.itemsize)
    for mosaic in _mosaics_beneath(plane.grids, onto):
        if not overlay.is_open():
            return
        values = _of_mosaic(mosaic, onto, pixels)
        if values is not None:
            layer = (values, None) if wider is None else wider.narrowed(values, plane.nodata.fill)
            overlay.add(layer)


def _mosaics_beneath(grids: tuple[PixelGrid, ...], onto: Onto) -> Iterator[Mosaic]:
    found = mosaics(grids, onto.target)
    limits = beneath(tuple(mosaic.grid for mosaic in found), onto.target, MARGIN)
    under = {number for number, _ in limits.parts(onto.window)}
    # A lattice that wraps around lies beneath its first copy and all others.
    yield from (
        each for number, each in enumerate(found) if number in under or each.period is not None
    )


def _of_mosaic(mosaic: Mosaic, onto: Onto, pixels: _Pixels) -> NDArray[Any] | None:
    """Return a window of the target grid; None if no source of the mosaic intersects it."""
    from stacbuild.geo.warp import warp  # imports GDAL, not needed for Zarr and nearest

    window = mosaic.window(onto.target, onto.window, onto.method)
    if window is None:
        return None
    (rows, cols), sides = _shape(window), _shape(onto.window)
    if rows * cols * pixels.itemsize > _BLOCK_BYTES and max(sides) > 1:
        # Rows first: files in strips are read in whole rows.
        return _halved(mosaic, onto, pixels, axis=0 if sides[0] > 1 else 1)

    def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
        return is_fill(values, pixels.fill)

    block = mosaic.assemble(window, pixels.read, missing, pixels.fill)
    return warp(Block(block, mosaic.grid, window, pixels.fill, mosaic.period), onto)


def _halved(mosaic: Mosaic, onto: Onto, pixels: _Pixels, axis: int) -> NDArray[Any] | None:
    whole = onto.window[axis]
    middle = (whole.start + whole.stop) // 2
    found = []
    for half in (slice(whole.start, middle), slice(middle, whole.stop)):
        window = (half, onto.window[1]) if axis == 0 else (onto.window[0], half)
        found.append((window, _of_mosaic(mosaic, replace(onto, window=window), pixels)))
    known = next((values for _, values in found if values is not None), None)
    if known is None:
        return None
    return np.concatenate(
        [
            np.full(_shape(window), pixels.fill, known.dtype) if values is None else values
            for window, values in found
        ],
        axis=axis,
    )


def _shape(window: Window) -> tuple[int, int]:
    rows, cols = window
    return rows.stop - rows.start, cols.stop - cols.start
