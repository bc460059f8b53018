"""The pyramid of a cube: levels of half the resolution of the previous one, until they are small.

The layout is that of the convention ``multiscales`` v0.1 (https://github.com/zarr-conventions/multiscales):
a group whose children are the levels, ``0`` the finest, each a dataset of its own. Every level has
CF coordinates, a grid mapping, and the conventions ``proj`` and ``spatial`` as any cube has.

Floats are averaged over the valid ones of four pixels. Integers and variables with classes are
treated as categorical: one pixel near the middle is taken, as wherever this package reduces
integers (ARCHITECTURE.md), so that a level has no values that the cube does not have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
import zarr_cm
from numpy.typing import NDArray
from zarr.core.sync import sync
from zarr.storage import LocalStore

from stacbuild import progress
from stacbuild.building.cf import add_grid, geozarr_attrs
from stacbuild.building.write import chunk_count, chunk_unit
from stacbuild.building.zarr_metadata import ROOT, consolidate, metadata, open_for_writing, put
from stacbuild.errors import IntegrityError
from stacbuild.formats.cf_flags import is_categorical
from stacbuild.formats.zarr_chunks import (
    stored_indices,
    stored_region,
    stored_shape,
    unwritten,
)
from stacbuild.planning.chunking import Chunking
from stacbuild.storage.journal import sync_file, sync_folder, sync_tree

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from stacbuild.geo.grid import Grid

SMALLEST = 256
"""Maximum number of rows and columns of the last level."""

# Memory for the chunks that are reduced at a time, each with the four that it is made of.
_BYTES_AT_ONCE = 512 * 2**20


@dataclass(frozen=True)
class _Level:
    """A level to be written: its group, its grid, and its dataset without values."""

    name: str
    grid: Grid
    outline: xr.Dataset


def coarser(grid: Grid) -> list[Grid]:
    """Return the grids of the levels above *grid*, each of half the rows and columns.

    All have the corner of *grid*. The last row or column extends beyond *grid* if the level below
    has an odd number of them.
    """
    grids = []
    while max(grid.shape) > SMALLEST:
        rows, columns = (-(-length // 2) for length in grid.shape)
        tile = (min(grid.tile[0], rows), min(grid.tile[1], columns))
        width, height = grid.width * 2, grid.height * 2
        grid = replace(grid, width=width, height=height, shape=(rows, columns), tile=tile, note="")
        grids.append(grid)
    return grids


def add_levels(root: Store, cube: xr.Dataset, grid: Grid, *, zarr_format: int) -> None:
    """Write the levels of a cube that is in the group ``0`` of a staged store.

    Levels of an earlier run are overwritten: they take little time compared to the cube.

    Parameters
    ----------
    root
        The staged store. Its root metadata are written last.
    cube
        The dataset that was written, as it was prepared for `stacbuild.building.write.write`.
    grid
        Its grid.

    Raises
    ------
    IntegrityError
        If a chunk is missing in the end.
    """
    for key in ROOT:
        sync(root.delete(key))
    grids = coarser(grid)
    levels = [
        _Level(str(number), each, _outline(cube, each)) for number, each in enumerate(grids, 1)
    ]
    total, unit = sum(chunk_count(level.outline) for level in levels), chunk_unit(cube)
    with progress.task(f"{cube.attrs['title']}: levels", total=total, unit=unit) as task:
        below = "0"
        for level in levels:
            sync(root.delete_dir(level.name))
            _write_level(root, below, level, zarr_format, task.advance)
            below = level.name
    attrs = _root_attrs(cube, grid, grids)
    zarr.create_group(root, zarr_format=zarr_format, attributes=attrs)  # type: ignore[arg-type]
    consolidate(root, zarr_format)
    if isinstance(root, LocalStore):
        for level in levels:
            sync_tree(root.root / level.name)
        for path in root.root.iterdir():
            if path.is_file():
                sync_file(path)
        sync_folder(root.root)


def is_mean(array: xr.DataArray) -> bool:
    """Return whether pixels of a variable are averaged."""
    return not is_categorical(array.dtype, array.attrs)


def _outline(cube: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return the dataset of a level, without its values."""
    sizes = dict(zip(grid.dims, grid.shape, strict=True))
    on_grid = [name for name, each in cube.variables.items() if set(grid.dims) & set(each.dims)]
    outline = cube.drop_vars(on_grid).assign_coords(
        dict(zip(grid.dims, grid.coords(), strict=True))
    )
    for name, array in cube.data_vars.items():
        shape = tuple(sizes.get(str(dim), length) for dim, length in array.sizes.items())
        known = Chunking.of(array.encoding).within(shape)
        kept = {key: value for key, value in array.encoding.items() if key != "shards"}
        outline[name] = xr.Variable(
            array.dims,
            da.zeros(shape, dtype=array.dtype, chunks=-1),
            array.attrs,
            kept | known.encoding,
        )
    return add_grid(outline, grid).assign_attrs(geozarr_attrs(grid))


def _root_attrs(cube: xr.Dataset, grid: Grid, grids: list[Grid]) -> dict[str, Any]:
    """Return the attributes of the pyramid's group: those of the cube, and the layout."""
    layout: list[dict[str, Any]] = [{"asset": "0", **_spatial_attrs(grid)}]
    for number, each in enumerate(grids, 1):
        # Half as many pixels of twice the size, from the same corner.
        relative = {"scale": [2.0, 2.0], "translation": [0.0, 0.0]}
        level = {"asset": str(number), "derived_from": str(number - 1), "transform": relative}
        layout.append(level | _spatial_attrs(each))
    pyramid: dict[str, Any] = {"layout": layout}
    methods = {"average" if is_mean(array) else "nearest" for array in cube.data_vars.values()}
    if len(methods) == 1:
        pyramid["resampling_method"] = methods.pop()
    declared = zarr_cm.create_many({"multiscales": pyramid})
    attrs = dict(cube.attrs)
    attrs["zarr_conventions"] = [*attrs["zarr_conventions"], *declared["zarr_conventions"]]  # type: ignore[misc]
    return attrs | {"multiscales": declared["multiscales"]}


def _spatial_attrs(grid: Grid) -> dict[str, Any]:
    attrs = geozarr_attrs(grid)
    return {key: attrs[key] for key in ("spatial:shape", "spatial:transform")}


def _write_level(
    root: Store, below: str, level: _Level, zarr_format: int, wrote: Callable[[int], None]
) -> None:
    expected = metadata(level.outline, zarr_format)
    for key, content in expected.items():
        if key not in ROOT:
            put(root, f"{level.name}/{key}", content)
    for name, array in level.outline.data_vars.items():
        source = zarr.open_array(root, path=f"{below}/{name}", mode="r")
        target = open_for_writing(root, f"{level.name}/{name}", zarr_format)
        axes = tuple(array.dims.index(dim) for dim in level.grid.dims)
        reduce: _Mean | _Nearest
        if is_mean(array):
            fill = array.encoding.get("_FillValue")
            reduce = _Mean(axes, None if fill is None else float(fill))
        else:
            # Alternates, so that the pixels taken stay near the middle of those they represent.
            reduce = _Nearest(axes, int(level.name) % 2)
        _reduce(source, target, axes, reduce, wrote)
        if (message := unwritten(root, target)) is not None:
            raise IntegrityError(f"level {level.name}: {name}: {message}")
    for key in ROOT & expected.keys():
        put(root, f"{level.name}/{key}", expected[key])


def _reduce(
    source: zarr.Array[Any],
    target: zarr.Array[Any],
    axes: tuple[int, ...],
    reduce: Callable[[NDArray[Any]], NDArray[Any]],
    wrote: Callable[[int], None],
) -> None:
    """Compute a variable of a level from the level below, a few chunks at a time."""

    def do(index: tuple[int, ...]) -> None:
        region = stored_region(target, index)
        from_ = tuple(
            slice(part.start * 2, min(part.stop * 2, source.shape[axis])) if axis in axes else part
            for axis, part in enumerate(region)
        )
        target[region] = reduce(np.asarray(source[from_]))

    # Four chunks, their values in double precision, and the result.
    size = 16 * int(np.prod(stored_shape(target))) * max(4, target.dtype.itemsize)
    workers = max(1, min(os.cpu_count() or 1, _BYTES_AT_ONCE // size))
    with ThreadPoolExecutor(workers, thread_name_prefix="levels") as pool:
        try:
            for _ in _bounded(pool, do, stored_indices(target), 2 * workers):
                wrote(1)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _bounded(
    pool: ThreadPoolExecutor,
    do: Callable[[tuple[int, ...]], None],
    indices: Iterator[tuple[int, ...]],
    limit: int,
) -> Iterator[None]:
    """Call *do* for each index, with a limited number of pending calls."""
    waiting: set[Future[None]] = set()
    for index in indices:
        waiting.add(pool.submit(do, index))
        if len(waiting) >= limit:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    yield from (future.result() for future in waiting)


@dataclass(frozen=True)
class _Nearest:
    """Take the first or second pixel of each pair along the axes; of a last single one, that."""

    axes: tuple[int, ...]
    offset: int

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        for axis in self.axes:
            length = values.shape[axis]
            at = np.minimum(np.arange(0, length, 2) + self.offset, length - 1)
            values = np.take(values, at, axis)
        return values


@dataclass(frozen=True)
class _Mean:
    """Take the mean of the valid ones of each four pixels along the axes."""

    axes: tuple[int, ...]
    fill: float | None

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        valid = ~np.isnan(values)
        if self.fill is not None and not np.isnan(self.fill):
            valid &= values != values.dtype.type(self.fill)
        total, count = np.where(valid, values, 0).astype(np.float64), valid.astype(np.float64)
        for axis in self.axes:
            starts = np.arange(0, values.shape[axis], 2)
            total, count = (np.add.reduceat(each, starts, axis) for each in (total, count))
        empty = np.nan if self.fill is None else self.fill
        with np.errstate(all="ignore"):
            return np.where(count > 0, total / count, empty).astype(values.dtype)
