"""Cubes whose tiles are shards: the same values, read by small chunks, checked chunk by chunk."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
import zarr
from packaging.version import Version
from rasterio.errors import RasterioIOError
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

import stacbuild as library
from stacbuild.building.zarr_metadata import open_for_writing
from stacbuild.formats.zarr_chunks import unwritten
from stacbuild.storage.journal import Journal
from tests.standins.s3 import S3Server
from tests.support.buckets import asset_of, bucket
from tests.support.forked import Runs
from tests.support.killing import fresh
from tests.support.shards import (
    built,
    configured,
    opened,
    plain_and_sharded,
    problems,
    shards_in,
    write_source,
)


def planned(path: Path) -> tuple[str, tuple[str, ...]]:
    [plan] = library.plan(library.load_config(path))
    return plan.action, plan.reasons


@pytest.fixture(scope="module")
def cubes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return plain_and_sharded(tmp_path_factory.mktemp("shards"))


# --- what is written ---------------------------------------------------------------------------


def test_values_are_those_of_a_cube_without_shards(cubes: dict[str, Path]) -> None:
    plain, sharded = (opened(cubes[name] / "data" / "c.zarr") for name in ("plain", "sharded"))
    xr.testing.assert_identical(plain.drop_attrs(deep=False), sharded.drop_attrs(deep=False))
    array = zarr.open_array(cubes["sharded"] / "data" / "c.zarr" / "c", mode="r")
    assert (array.chunks, array.shards) == ((1, 64, 64), (1, 256, 256))
    assert len(shards_in(cubes["sharded"] / "data" / "c.zarr")) == 18


def test_the_item_states_chunks_and_shards(cubes: dict[str, Path]) -> None:
    item = pystac.Item.from_file(str(cubes["sharded"] / "catalogs" / "c" / "c" / "c.json"))
    stated = item.properties["cube:variables"]["c"]
    assert (stated["chunks"], stated["shards"]) == ([1, 64, 64], [1, 256, 256])
    assert item.assets["data"].extra_fields["stacbuild:chunks"]["c"]["count"] == 18
    plain = pystac.Item.from_file(str(cubes["plain"] / "catalogs" / "c" / "c" / "c.json"))
    assert "shards" not in plain.properties["cube:variables"]["c"]


def test_bytes_do_not_depend_on_the_scheduler(tmp_path: Path, cubes: dict[str, Path]) -> None:
    shutil.copytree(cubes["sharded"] / "src", tmp_path / "src")
    other = built(configured(tmp_path, 64, scheduler="synchronous"))
    assert shards_in(other) == shards_in(cubes["sharded"] / "data" / "c.zarr")


def test_another_process_writes_the_same_bytes(tmp_path: Path, cubes: dict[str, Path]) -> None:
    """An array as it is sent to workers, and a shard that an earlier run left damaged."""
    folder = fresh(cubes["sharded"], tmp_path / "copy") / "data" / "c.zarr"
    store = LocalStore(folder)
    last = folder / "c" / "c" / "0" / "2" / "2"
    expected = last.read_bytes()
    values = zarr.open_array(store, path="c", mode="r")[0, 512:, 512:]
    last.write_bytes(expected[:100])
    array = pickle.loads(pickle.dumps(open_for_writing(store, "c", 3)))
    array[0, 512:, 512:] = values
    assert last.read_bytes() == expected
    assert unwritten(store, array) is None
    last.unlink()
    assert unwritten(store, array) == "1 of 18 shards were not written"


def test_gdal_reads_them_or_refuses(cubes: dict[str, Path]) -> None:
    """From GDAL 3.13 on, by its documentation; an older one has to fail, not read wrong pixels."""
    store = cubes["sharded"] / "data" / "c.zarr"
    try:
        with rasterio.open(f'ZARR:"{store}":/c') as file:
            found = file.read()
    except RasterioIOError:
        assert Version(rasterio.__gdal_version__) < Version("3.13")
    else:
        np.testing.assert_array_equal(found, opened(store)["c"])


def test_cubes_of_before_stay_up_to_date(tmp_path: Path, cubes: dict[str, Path]) -> None:
    path = configured(fresh(cubes["plain"], tmp_path / "copy"), False)
    assert planned(path) == ("up to date", ())
    stated = path.read_text()
    # As in configurations that do not know of shards.
    path.write_text(stated.replace("  shards: false\n", ""))
    assert planned(path) == ("up to date", ())
    path.write_text(stated.replace("shards: false", "shards: 64"))
    assert planned(path) == ("rebuild", ("configuration: shards",))


def test_levels_have_shards_and_files_have_none(tmp_path: Path, cubes: dict[str, Path]) -> None:
    shutil.copytree(cubes["plain"] / "src", tmp_path / "src")
    built(configured(tmp_path, 64, format_id="levels"))
    root = zarr.open_group(tmp_path / "data" / "c.zarr", mode="r")
    found = {
        name: (root[f"{name}/c"].chunks, root[f"{name}/c"].shards)  # type: ignore[union-attr]
        for name in ("0", "1", "2")
    }
    assert found == {
        "0": ((1, 64, 64), (1, 256, 256)),
        "1": ((1, 64, 64), (1, 256, 256)),
        "2": ((1, 64, 64), (1, 192, 192)),
    }
    finest = opened(tmp_path / "data" / "c.zarr" / "0")
    xr.testing.assert_equal(finest, opened(cubes["plain"] / "data" / "c.zarr"))
    assert problems(tmp_path) == []


def test_netcdf_files_are_what_they_were(tmp_path: Path, cubes: dict[str, Path]) -> None:
    shutil.copytree(cubes["plain"] / "src", tmp_path / "src")
    file = built(configured(tmp_path, False, format_id="netcdf"))
    with xr.open_dataset(file) as cube:
        chunks = cube["c"].encoding["chunksizes"]
    assert chunks == (1, 256, 256)
    assert planned(configured(tmp_path, 64, format_id="netcdf")) == ("up to date", ())


# --- what is read ------------------------------------------------------------------------------


class Counted(WrapperStore[LocalStore]):
    """A store that counts the bytes that are read."""

    read = 0

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = await self._store.get(key, prototype, byte_range)
        self.read += len(found) if found is not None else 0
        return found


def bytes_of_patches(cube: Path, corners: np.ndarray[Any, Any]) -> tuple[int, list[Any]]:
    store = Counted(LocalStore(cube, read_only=True))
    array = zarr.open_array(store, path="c", mode="r")
    store.read = 0
    patches = [array[row : row + 256, col : col + 256] for row, col in corners]
    return store.read, patches


def test_patches_read_a_twentieth(tmp_path: Path) -> None:
    size = 4000
    folder = tmp_path / "src"
    write_source(folder, size, 1)
    corners = np.random.default_rng(4).integers(0, size - 256, (5, 2))
    plain = built(configured(tmp_path, False, tile=size, size=size))
    read, expected = bytes_of_patches(plain, corners)
    sharded = built(configured(tmp_path, True, tile=size, size=size))
    few, patches = bytes_of_patches(sharded, corners)
    np.testing.assert_array_equal(patches, expected)
    assert few < read / 20
    # Not a file more than before.
    assert len(shards_in(sharded)) == 1


# --- interrupted runs, buckets -----------------------------------------------------------------


BROKEN = """\
import os
import xarray as xr

def change(ds):
    def check(values):
        if "BROKEN" in os.environ and values.size and values[0, 0, 0] == int(os.environ["BROKEN"]):
            raise ValueError("no luck")
        return values
    return xr.apply_ufunc(check, ds, dask="parallelized", output_dtypes=["uint8"])
"""


def test_an_interrupted_build_goes_on_to_the_same_bytes(
    tmp_path: Path, cubes: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cubes["sharded"] / "src", tmp_path / "src")
    (tmp_path / "modify.py").write_text(BROKEN)
    with rasterio.open(tmp_path / "src" / "codes.tif") as file:
        first, second = (int(value) for value in file.read()[:, 0, 0])
    assert first != second
    path = configured(
        tmp_path,
        64,
        scheduler="synchronous",
        custom_processing={"module_path": "modify.py", "function_name": "change"},
    )
    config = library.load_config(path)
    monkeypatch.setenv("BROKEN", str(second))
    [result] = library.build(config, tmp_path / "catalogs", errors="collect")
    assert "no luck" in result.message
    journal = Journal.read(tmp_path / "data" / ".c.zarr.journal")
    assert journal is not None
    # The nine shards of the first band.
    assert list(journal.finished["c"]) == [((0, 1), (0, 700), (0, 700))]
    [staged] = (tmp_path / "data").glob(".c.zarr.*/")
    # A shard that was being written is no obstacle.
    partial = staged / "c" / "c" / "1" / "2" / "2"
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(b"cut off")
    monkeypatch.delenv("BROKEN")
    cube = built(path)
    assert shards_in(cube) == shards_in(cubes["sharded"] / "data" / "c.zarr")


def test_a_cube_in_a_bucket(tmp_path: Path, s3_server: S3Server, runs: Runs) -> None:
    path = configured(tmp_path, True, tile=1024, storage=bucket(s3_server, "shards-1"))
    done = runs("cube", path)
    assert done.code == 0, done.stderr
    fields = asset_of(tmp_path, "c").extra_fields
    assert fields["stacbuild:chunks"]["c"]["count"] == 2
    asked = [each.method for each in s3_server.log if each.key and "/c/c/" in each.key]
    # A shard is written as a whole, and not read before.
    assert asked[:2] == ["PUT", "PUT"]
    done = runs("validate", path, "--deep")
    assert "all well: 1 cube of 2 chunks" in done.stdout
