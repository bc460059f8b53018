"""The chunks and shards of cubes, as planned and as built."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import zarr

import stacbuild as library
from tests.support.shards import built, configured, write_source


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chunking") / "src"
    write_source(folder)
    return folder


@pytest.mark.parametrize(
    ("shards", "tile", "chunks", "shape"),
    [
        # One tile of a length that nothing divides: its shard extends beyond the cube.
        (True, 4000, (1, 350, 350), (1, 700, 700)),
        (400, 4000, (1, 400, 400), (1, 800, 800)),
        ([128, 256], 512, (1, 256, 128), (1, 512, 512)),
        (True, 350, (1, 350, 350), None),
        (256, 256, (1, 256, 256), None),
    ],
)
def test_chunks_and_shards_of_a_plan(
    tmp_path: Path, sources: Path, shards: Any, tile: int, chunks: Any, shape: Any
) -> None:
    shutil.copytree(sources, tmp_path / "src")
    path = configured(tmp_path, shards, tile=tile)
    library.harvest(library.load_config(path), tmp_path / "catalogs")
    [plan] = library.plan(library.load_config(path), tmp_path / "catalogs")
    [variable] = plan.to_dict()["variables"]
    assert (variable["chunks"], variable["shards"]) == (list(chunks), shape and list(shape))
    array = zarr.open_array(built(path) / "c", mode="r")
    assert (array.chunks, array.shards) == (chunks, shape)


def test_a_chunksize_is_that_of_a_shard(tmp_path: Path, sources: Path) -> None:
    shutil.copytree(sources, tmp_path / "src")
    path = configured(tmp_path, 64, chunksize={"band": 2, "lat": 128})
    array = zarr.open_array(built(path) / "c", mode="r")
    assert (array.chunks, array.shards) == ((2, 64, 64), (2, 128, 256))


def test_a_chunksize_that_cannot_be_divided_is_refused(tmp_path: Path, sources: Path) -> None:
    shutil.copytree(sources, tmp_path / "src")
    path = configured(tmp_path, 64, chunksize={"lat": 100})
    [result] = library.build(library.load_config(path), tmp_path / "catalogs", errors="collect")
    assert result.message == "c: shards: chunks of 64 pixels do not divide a tile of 100"
