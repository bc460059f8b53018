"""Names of bands: of variables, of the coordinate `band`, and in the item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from stacbuild.loading.band_names import named_bands
from stacbuild.stac.catalog import Catalog
from tests.support.rasters import INSIDE, build_raster, decoded, noise, write

APART = {"band_as_variable": True}


def raster(folder: Path, *names: str | None, dtype: str = "int16") -> Path:
    path = write(folder / "src" / "one.tif", noise(dtype, len(names)), nodata=7)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    return path


def built(folder: Path, **dataset: Any) -> tuple[xr.Dataset, list[str]]:
    result, told = build_raster(folder, **dataset)
    assert result.error is None, result.message
    with xr.open_zarr(folder / "data" / "cube.zarr") as cube:
        return cube.load(), [line for line in told.warnings if "names of bands" in line]


def variables(folder: Path, **dataset: Any) -> list[str]:
    return sorted(map(str, built(folder, **dataset)[0].data_vars))


def test_bands_that_all_have_names_are_selected_by_them(tmp_path: Path) -> None:
    path = raster(tmp_path, "red", "Nahes Infrarot (832 nm)", "Grün")
    cube, told = built(tmp_path)
    [array] = cube.data_vars.values()
    assert list(cube["band"].values) == ["red", "Nahes Infrarot (832 nm)", "Grün"]
    assert "flag_values" not in cube["band"].attrs
    expected = decoded(path)[:, *INSIDE]
    np.testing.assert_array_equal(array.sel(band="Grün"), expected[2])
    assert told == []
    item = Catalog(tmp_path / "catalogs").get("file-src", "one")
    assert item is not None
    entries = item.assets["data"].extra_fields["bands"]
    assert entries[0] == {"name": "red", "description": "red"}
    assert named_bands(item)[3] == "Grün"


@pytest.mark.parametrize(
    "names",
    [(None, None), ("red", None), ("red", "red"), ("Band 1", "Band 2"), ("b2", "b1"), ("", " ")],
)
def test_other_bands_are_numbered(tmp_path: Path, names: tuple[str | None, ...]) -> None:
    raster(tmp_path, *names)
    assert list(built(tmp_path)[0]["band"].values) == [1, 2]


def test_bands_of_a_catalog_without_names_keep_numbers(tmp_path: Path) -> None:
    raster(tmp_path, "red", "green")
    built(tmp_path)
    # As earlier versions wrote it.
    [path] = tmp_path.glob("catalogs/file-src/**/one.json")
    content = json.loads(path.read_text())
    for number, band in enumerate(content["assets"]["data"]["bands"], 1):
        band["name"] = f"b{number}"
    path.write_text(json.dumps(content))
    cube, _ = built(tmp_path)
    assert list(cube["band"].values) == [1, 2]
    assert cube["band"].attrs["flag_meanings"] == "red green"


def test_bands_as_variables_have_their_names(tmp_path: Path) -> None:
    path = raster(tmp_path, "red", "near infrared", None)
    cube, [told] = built(tmp_path, open_params=APART)
    assert sorted(map(str, cube.data_vars)) == ["band_3", "near_infrared", "red"]
    np.testing.assert_array_equal(cube["near_infrared"], decoded(path)[1, *INSIDE])
    assert cube["near_infrared"].attrs["long_name"] == "near infrared"
    assert "'near infrared' is near_infrared" in told


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("lat", "Time"), ["band_1", "band_2"]),
        (("Red", "red"), ["band_1", "band_2"]),
        (("2020", "band_1"), ["band_1", "band_2"]),
        (("x" * 200, "森"), ["band_1", "band_2"]),
        (("größe", "../etc"), ["etc", "grosse"]),
    ],
)
def test_names_that_no_variable_can_have_are_changed(
    tmp_path: Path, names: tuple[str, ...], expected: list[str]
) -> None:
    raster(tmp_path, *names)
    cube, [told] = built(tmp_path, open_params=APART)
    assert sorted(map(str, cube.data_vars)) == expected
    assert cube[expected[0]].attrs["long_name"] in names
    assert "one.tif: names of bands that no variable can have are changed: '" in told


def test_bands_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    raster(tmp_path, "red", "nir")
    assert variables(tmp_path, open_params=APART | {"variable_names": ["nir"]}) == ["nir"]
    assert variables(tmp_path, open_params=APART | {"variable_names": ["band_2"]}) == ["band_2"]
    result, _ = build_raster(tmp_path, open_params=APART | {"variable_names": ["blue"]})
    assert "there are: nir, red" in result.message


def test_a_custom_function_gets_numbers_and_its_results_are_named(tmp_path: Path) -> None:
    raster(tmp_path, "red", "nir")
    (tmp_path / "own.py").write_text(
        "def own(ds):\n    return ds.assign(ratio=ds.band_2 - ds.band_1)\n"
        "def last(ds):\n    return ds.isel(band=[1])\n"
    )
    custom = {"module_path": "own", "function_name": "own"}
    assert variables(tmp_path, open_params=APART, custom_processing=custom) == [
        "nir",
        "ratio",
        "red",
    ]
    custom["function_name"] = "last"
    assert list(built(tmp_path, custom_processing=custom)[0]["band"].values) == ["nir"]
