"""A configuration written for files works at once, and its cubes have the files' pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from rasterio import Affine

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from stacbuild.planning.own_configuration import (
    OneGrid,
    describe_files,
    files_configuration,
    grid_for,
    place_files,
)
from stacbuild.sources.own_files import find_files
from tests.support.own_files import raster


def configured(folder: Path, stated: OneGrid | None = None) -> str:
    """Return the text for the files in ``data``."""
    found = find_files([folder / "data"])
    placed = place_files(found)
    grid = grid_for(placed, stated) if stated else None
    return files_configuration(found, placed, grid, folder / "stacbuild.yml")


def cubes(folder: Path, text: str) -> dict[str, xr.DataArray]:
    """Build what the text says; return the only variable of each cube."""
    (folder / "stacbuild.yml").write_text(text)
    results = build(load_config(folder / "stacbuild.yml"), folder / "catalogs")
    assert {each.status for each in results} == {"COMPLETED"}, results
    found = {}
    for result in results:
        with xr.open_zarr(folder / "cubes" / f"{result.name}.zarr", mask_and_scale=False) as ds:
            [name] = [str(each) for each in ds.data_vars if each != "spatial_ref"]
            found[result.name] = ds[name].load()
    return found


def test_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    months = ("2019_11", "2019_12", "2020_01")
    series = [
        raster(tmp_path / f"data/ndvi_{name}.tif", seed=seed) for seed, name in enumerate(months)
    ]
    tiles = [
        raster(tmp_path / f"data/dem_{n}.tif", column=n % 2, row=n // 2, seed=n) for n in range(4)
    ]
    one = raster(tmp_path / "data/map.tif", crs="EPSG:3857", seed=9)
    found = cubes(tmp_path, configured(tmp_path))
    assert sorted(found) == ["dem", "map", "ndvi"]
    np.testing.assert_array_equal(found["ndvi"], series)
    assert [f"{time:%Y_%m}" for time in found["ndvi"].indexes["time"]] == list(months)
    np.testing.assert_array_equal(found["dem"].squeeze(), np.block([tiles[:2], tiles[2:]]))
    np.testing.assert_array_equal(found["map"].squeeze(), one)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_a_series_of_netcdf_or_zarr_is_one_cube(tmp_path: Path, ending: str) -> None:
    (tmp_path / "data").mkdir()
    axes = {"lat": 45 - 0.1 * np.arange(4), "lon": 8 + 0.1 * np.arange(5)}
    values = np.random.default_rng(1).random((4, 4, 5), "float32")
    for month in (1, 2):
        times = np.array([f"2020-{month:02}-01", f"2020-{month:02}-15"], "M8[ns]")
        part = values[2 * month - 2 : 2 * month]
        ds = xr.Dataset({"t2m": (("time", "lat", "lon"), part)}, {"time": times, **axes})
        path = tmp_path / f"data/era_2020{month:02}.{ending}"
        ds.to_netcdf(path, engine="h5netcdf") if ending == "nc" else ds.to_zarr(
            path, consolidated=False
        )
    text = configured(tmp_path)
    assert f'data_id: "era_{{time:%Y%m}}.{ending}"' in text
    found = cubes(tmp_path, text)
    np.testing.assert_array_equal(found["era"], values)
    assert found["era"].sizes["time"] == 4


def test_one_grid_for_all_is_completed_by_the_files(tmp_path: Path) -> None:
    values = raster(tmp_path / "data/a.tif")
    raster(tmp_path / "data/b.tif", transform=Affine(20, 0, 600000, 0, -20, 5000000))
    raster(tmp_path / "data/c.tif", column=1, seed=2)
    raster(tmp_path / "data/d.tif", crs="EPSG:32633")
    text = configured(tmp_path, OneGrid(bbox=(600000, 4999900, 600100, 5000000)))
    [grid] = load_config(yaml.safe_load(text), base_dir=tmp_path).grid_mappings
    assert (grid.crs, grid.spatial_res) == ("EPSG:32632", 10)
    text = configured(tmp_path, OneGrid("EPSG:32633"))
    [grid] = load_config(yaml.safe_load(text), base_dir=tmp_path).grid_mappings
    assert grid.bbox == (600000, 4999800, 600300, 5000000)
    with pytest.raises(ConfigError, match="--res"):
        configured(tmp_path, OneGrid("EPSG:3035"))
    text = configured(tmp_path, OneGrid("EPSG:3035", 20))
    [grid] = load_config(yaml.safe_load(text), base_dir=tmp_path).grid_mappings
    assert all(value % 20 == 0 for value in grid.bbox)
    for name in "bcd":
        (tmp_path / f"data/{name}.tif").unlink()
    found = cubes(tmp_path, configured(tmp_path, OneGrid(bbox=(600000, 4999900, 600100, 5000000))))
    np.testing.assert_array_equal(found["a"].squeeze(), values[:10, :10])


def test_files_whose_grid_cannot_be_that_of_a_cube_get_one(tmp_path: Path) -> None:
    turned = Affine.translation(600000, 5000000) * Affine.rotation(30) * Affine.scale(10, -10)
    raster(tmp_path / "data/turned.tif", transform=turned)
    text = configured(tmp_path)
    assert "turned_grid" in text
    [dataset] = load_config(yaml.safe_load(text), base_dir=tmp_path).datasets
    assert dataset.grid_mapping == "turned_grid"
    found = cubes(tmp_path, text)
    assert (found["turned"] > 0).any()


def test_its_comments_say_what_the_files_are(tmp_path: Path) -> None:
    raster(tmp_path / "data/ndvi_2019_11.tif")
    raster(tmp_path / "data/ndvi_2020_01.tif")
    (tmp_path / "data/bad.tif").write_bytes(b"nothing")
    text = configured(tmp_path)
    assert (
        "# 2 files, 2019-11 to 2020-01; EPSG:32632, pixels of 10; "
        "bbox 600000, 4999800, 600300, 5000000; int16\n"
    ) in text
    assert "#   bad.tif: " in text
    assert 'root: "cubes"' in text
    # The example of a grid in its comments is a grid.
    example = text[text.index("# grid_mappings:") :].replace("# ", "", 1).replace("\n# ", "\n")
    content = yaml.safe_load(text) | yaml.safe_load(example)
    content["datasets"][0]["grid_mapping"] = "grid"
    assert load_config(content, base_dir=tmp_path).grid_mappings[0].spatial_res == 10


def test_names_are_transliterated(tmp_path: Path) -> None:
    for path in ("Höhe_x0_y0.tif", "Forêt.tif", "Bo\u0308den.tif", "日本.tif"):
        raster(tmp_path / path)
    names = {each.name for each in place_files(find_files([tmp_path]))}
    assert names == {"Hoehe_x0_y0", "Foret", "Boeden", "data"}


def test_the_times_are_those_of_the_cubes(tmp_path: Path) -> None:
    for path in ("a 01.02.2020.tif", "b_2020Q1.tif", "c_2020_01.tif", "e_Apr2020.tif"):
        raster(tmp_path / path)
    raster(tmp_path / "e_May2020.tif")
    raster(tmp_path / "f_April2020.tif")
    raster(tmp_path / "f_May2020.tif")
    raster(tmp_path / "g_2020.tif", column=0)
    raster(tmp_path / "g_2021.tif", column=1)
    raster(tmp_path / "d_2020-01-01.tif")
    with rasterio.open(tmp_path / "d_2020-01-01.tif", "r+") as file:
        file.update_tags(time_coverage_start="2019-01-01")
    with rasterio.open(tmp_path / "g_2020.tif", "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2023:01:01 00:00:00")
    shown = {each.name: describe_files(each) for each in place_files(find_files([tmp_path]))}
    counts = {name: text.partition(";")[0] for name, text in shown.items()}
    assert counts == {
        "a_01_02_2020": "1 file",
        "b_2020Q1": "1 file",
        "c_2020_01": "1 file, 2020-01",
        "d_2020_01_01": "1 file, 2019-01-01",
        "e": "2 files, 2020-04 to 2020-05",
        "f": "2 files, 2020-04 to 2020-05",
        "g": "2 files, 2020 to 2021",
    }
    assert 'data_id: "a {time:%d.%m.%Y}.tif"' in shown["a_01_02_2020"]
