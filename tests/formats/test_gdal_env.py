"""One environment of GDAL for many files, and its options in every thread."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.env import Env, getenv, hasenv

from stacbuild.formats import gdal_env
from stacbuild.formats.geotiff import RasterFile
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.validity import NoData
from stacbuild.loading import pool
from stacbuild.loading.reader import RasterSource, Tile
from tests.support.cli import geotiff


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[Env]:
    found: list[Env] = []
    enter = Env.__enter__

    def counting(env: Env) -> Env:
        found.append(env)
        return enter(env)

    monkeypatch.setattr(Env, "__enter__", counting)
    return found


def test_a_window_over_many_files_enters_one_environment(
    tmp_path: Path, entered: list[Env]
) -> None:
    tiles = []
    for number in range(6):
        path = geotiff(tmp_path / f"{number}.tif")
        with rasterio.open(path) as file:
            grid = PixelGrid.from_affine("EPSG:4326", file.transform, file.shape)
            dtype, nodata = file.dtypes[0], NoData(file.nodata or 0)
        tiles.append(Tile(str(path), grid))
    entered.clear()
    source = RasterSource(tuple(tiles), grid, "nearest", dtype, (1,), (nodata,))
    with pool.using():
        source.read(1, (slice(0, grid.shape[0]), slice(0, grid.shape[1])))
    assert len(entered) == 1
    assert not hasenv()


def test_a_file_by_itself_is_opened_in_one_environment(tmp_path: Path, entered: list[Env]) -> None:
    path = geotiff(tmp_path / "a.tif")
    entered.clear()
    RasterFile(path).open().close()
    assert len(entered) == 1


def test_each_thread_has_the_options_and_leaves_them() -> None:
    options: list[Any] = []

    def read() -> None:
        with gdal_env.gdal_env(), gdal_env.gdal_env():
            options.append(getenv())
        options.append(hasenv())

    with gdal_env.gdal_env():
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert hasenv()
    assert gdal_env.GDAL_OPTIONS.items() <= options[0].items()
    assert not options[1]
    with pytest.raises(KeyError), gdal_env.gdal_env():
        raise KeyError
    assert not hasenv()
    with rasterio.Env(GDAL_NUM_THREADS=1):
        with gdal_env.gdal_env():
            assert getenv()["GDAL_PAM_ENABLED"] == "NO"
        assert "GDAL_PAM_ENABLED" not in getenv()
        assert getenv()["GDAL_NUM_THREADS"] == 1
