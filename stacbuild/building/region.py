"""Compute one region of a cube, of one variable or several, and write it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from stacbuild.building.workers import Key, Run, WorkersLostError
from stacbuild.errors import BuildError

if TYPE_CHECKING:
    from stacbuild.storage.journal import Region


@dataclass(frozen=True)
class Written:
    """A variable of a region that is computed, and where it is written.

    Parameters
    ----------
    array
        The lazy values. Its chunks are whole stored chunks, so no two tasks write the same one.
    target
        The stored variable. Its own settings apply in every process, those of ``zarr.config`` do
        not.
    """

    array: xr.DataArray
    target: zarr.Array[Any]


def write_region(
    run: Run,
    variables: Sequence[Written],
    region: Region,
    wrote: Callable[[str, Region], None],
) -> None:
    """Compute one region of variables and write it; what they have in common is computed once.

    Parameters
    ----------
    run
        From `open_workers`.
    variables
        One, or several that are computed from the same blocks.
    region
        The region of their targets that is written.
    wrote
        Called in the calling thread after each task, with the name of the variable and the region
        that it wrote: whole stored chunks.

    Raises
    ------
    BuildError
        If workers die while computing it; names the variable and the region.
    StacbuildError, Exception
        What a source or a user's function raised.
    """
    arrays, pending = [], {}
    for each in variables:
        data = each.array.data
        starts = tuple(
            tuple(itertools.accumulate(lengths[:-1], initial=start))
            for (start, _), lengths in zip(region, data.chunks, strict=True)
        )
        written = da.map_blocks(
            _write_block,
            data,
            target=each.target,
            starts=starts,
            chunks=tuple((1,) * count for count in data.numblocks),
            dtype=bool,
            meta=np.empty((0,) * data.ndim, bool),
            # Unique, so that a scheduler does not reuse the result of an earlier run.
            name=f"write-{each.target.basename}-{os.urandom(16).hex()}",
        )
        arrays.append(written)
        for index in np.ndindex(data.numblocks):
            pending[written.name, *index] = (
                each.target.basename,
                tuple(
                    (edges[i], edges[i] + lengths[i])
                    for edges, lengths, i in zip(starts, data.chunks, index, strict=True)
                ),
            )

    def done(key: Key) -> None:
        # A task that is repeated because a process died is reported once.
        if (block := pending.pop(key, None)) is not None:
            wrote(*block)

    try:
        run(arrays, done)
    except WorkersLostError as error:
        where = ", ".join(
            f"{dim} {start}:{stop}"
            for dim, (start, stop) in zip(variables[0].array.dims, region, strict=True)
        )
        names = ", ".join(each.target.basename for each in variables)
        raise BuildError(
            f"{names} [{where}]: {error}; is there enough memory for each worker?"
        ) from error


def _write_block(
    block: NDArray[Any],
    *,
    target: zarr.Array[Any],
    starts: tuple[tuple[int, ...], ...],
    block_id: tuple[int, ...],
) -> NDArray[np.bool_]:
    corner = [edges[index] for edges, index in zip(starts, block_id, strict=True)]
    target[tuple(slice(at, at + n) for at, n in zip(corner, block.shape, strict=True))] = block
    return np.ones((1,) * block.ndim, bool)
