"""Share of pixels that equal the exact nearest neighbour (PROJ transforms every centre)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import zarr
from pyproj import Transformer

from scripts.benchmarks.data import Array, once
from scripts.benchmarks.job import Job


def share(job: Job, store: Path) -> float:
    """Compare the first, the middle and the last band of the only layer of a job.

    Parameters
    ----------
    store
        The Zarr group that a tool has made; it may name its dimensions as it likes.
    """
    layer = job.layers[0]
    array = zarr.open_group(store, mode="r")[layer.name]
    assert isinstance(array, zarr.Array)
    with rasterio.open(layer.paths[0]) as file:
        folder = Path(layer.paths[0]).parent
        index = np.load(once(folder / "nearest.npy", lambda path: _save(path, job, file)))
        equal = pixels = 0
        for band in sorted({0, file.count // 2, file.count - 1}):
            expected = file.read(band + 1).ravel()[index]
            equal += int((np.asarray(array[band]) == expected).sum())
            pixels += expected.size
    return equal / pixels


def _save(path: Path, job: Job, file: rasterio.DatasetReader) -> None:
    index = _index(job, file)
    with path.open("wb") as target:
        np.save(target, index)


def _index(job: Job, file: rasterio.DatasetReader) -> Array:
    """Return the position in the flattened file (which covers the grid) of each centre's pixel."""
    to_source = Transformer.from_crs(4326, file.crs, always_xy=True)
    a, _, c, _, e, f = job.transform
    x = c + a * (np.arange(job.shape[1]) + 0.5)
    index = np.empty(job.shape, np.int32)
    for row in range(job.shape[0]):
        east, north = to_source.transform(x, np.full_like(x, f + e * (row + 0.5)))
        line = np.floor((file.transform.f - north) / file.transform.a)
        column = np.floor((east - file.transform.c) / file.transform.a)
        index[row] = line * file.width + column
    return index
