"""Files of one data id that have bands of the same number and different names."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from tests.support.cli import configuration
from tests.support.rasters import Recorder
from tests.support.stac_rasters import catalog, raster, stated


def two_files(folder: Path, *names: tuple[str, ...]) -> tuple[CubeResult, list[str]]:
    """Build a cube of two files whose bands have these names."""
    for file, each in zip(("a", "b"), names, strict=True):
        raster(folder / "in" / f"{file}.tif", count=len(each))
        with rasterio.open(folder / "in" / f"{file}.tif", "r+") as opened:
            opened.descriptions = each
    catalog(folder / "in", stated("first", "./a.tif"), stated("second", "./b.tif"))
    one = {"identifier": "cube", "store": "other", "data_id": "c"}
    other = {"identifier": "other", "store_id": "stac", "store_params": {"root": "in"}}
    told = Recorder()
    config = load_config(configuration(folder, [one], [other]))
    [result] = build(config, folder / "catalogs", reporter=told)
    return result, told.warnings


@pytest.mark.parametrize("second", [("nir", "red"), ("nir", "blue")])
def test_another_order_is_refused(tmp_path: Path, second: tuple[str, ...]) -> None:
    result, _ = two_files(tmp_path, ("red", "nir"), second)
    assert result.status == "FAILED"
    assert "bands in different orders" in result.message
    assert all(name in result.message for name in ("first", "second", *second))


def test_numbers_in_another_order_are_refused(tmp_path: Path) -> None:
    result, _ = two_files(tmp_path, ("band_1", "band_2"), ("band_2", "band_1"))
    assert result.status == "FAILED"
    assert "bands in different orders" in result.message


def test_other_names_are_told_of(tmp_path: Path) -> None:
    result, warnings = two_files(tmp_path, ("red", "nir"), ("Red", "B8"))
    assert result.status == "COMPLETED"
    [told] = [line for line in warnings if "name bands differently" in line]
    assert "Red, B8" in told


@pytest.mark.parametrize("names", [(("red", "nir"),) * 2, (("tile 1",), ("tile 2",))])
def test_nothing_is_told_otherwise(tmp_path: Path, names: tuple[tuple[str, ...], ...]) -> None:
    result, warnings = two_files(tmp_path, *names)
    assert result.status == "COMPLETED"
    assert not any("bands" in line for line in warnings)
