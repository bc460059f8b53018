"""What bands of GeoTIFFs are called, and what files beside one or its profile say otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from rasterio import Affine
from rasterio.enums import ColorInterp

from stacbuild.config import load_config
from stacbuild.planning.fingerprint import fingerprint
from stacbuild.planning.planner import plan
from stacbuild.sources.listing import describe_data
from tests.support.built import variable_of
from tests.support.rasters import build_raster, cube, noise, write

NAMES = ("near infrared", "red", None)


def named(path: Path) -> None:
    write(path, noise("int16", 3), nodata=7)
    with rasterio.open(path, "r+") as file:
        file.descriptions, file.units = NAMES, ("1", "1", "mm")
        file.scales, file.offsets = (0.1, 0.1, 0.1), (0, 0, 5)


def test_bands_of_a_cube_have_the_names_of_the_file(tmp_path: Path) -> None:
    named(tmp_path / "src" / "one.tif")
    band = cube(tmp_path)["band"]
    assert list(band) == [1, 2, 3]
    assert band.attrs["flag_meanings"] == "near_infrared red band_3"
    assert list(band.attrs["flag_values"]) == [1, 2, 3]
    assert band.attrs["long_name"] == "band: near infrared, red, band 3"
    apart = cube(tmp_path, open_params={"band_as_variable": True})
    assert apart["red"].attrs["long_name"] == "red"


def test_names_stay_in_netcdf(tmp_path: Path) -> None:
    named(tmp_path / "src" / "one.tif")
    result, _ = build_raster(tmp_path, format_id="netcdf")
    assert result.error is None, result.message
    with xr.open_dataset(tmp_path / "data" / "cube.nc") as found:
        assert found["band"].attrs["flag_meanings"] == "near_infrared red band_3"


def test_bands_without_names_have_none(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.tif", noise("int16", 3))
    assert "flag_meanings" not in cube(tmp_path)["band"].attrs


def test_a_description_tells_bands_units_packing_and_mask(tmp_path: Path) -> None:
    named(tmp_path / "one.tif")
    facts = describe_data("file", str(tmp_path), "one.tif")
    assert facts["bands"] == ["near infrared", "red", "b3"]
    assert (facts["unit"], facts["scale"]) == (["1", "1", "mm"], 0.1)
    assert facts["offset"] == [0, 0, 5]
    assert "mask" not in facts
    path = write(tmp_path / "alpha.tif", noise("uint8", 2), alpha="yes")
    with rasterio.open(path) as file:
        assert file.colorinterp[1] == ColorInterp.alpha
    facts = describe_data("file", str(tmp_path), "alpha.tif")
    assert facts["bands"] == ["b1", "b2 (opacity)"]
    assert facts["mask"] == "opacity (alpha band)"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path / "mask.tif", noise("uint8"))
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.zeros((40, 40), "uint8"))
    assert describe_data("file", str(tmp_path), "mask.tif")["mask"] == "in the file"


@pytest.mark.parametrize(
    ("field", "bands"),
    [
        ("bands", [{"name": "B08", "description": "near infrared"}, {"name": "B04"}]),
        ("eo:bands", [{"name": "near infrared"}, {"eo:common_name": "B04"}]),
    ],
)
def test_an_item_names_what_the_file_does_not(
    tmp_path: Path, field: str, bands: list[dict[str, Any]]
) -> None:
    write(tmp_path / "one.tif", noise("int16", 2))
    asset = {"href": "./one.tif", "type": "image/tiff", "roles": ["data"], field: bands}
    content = {
        "type": "Feature", "stac_version": "1.1.0", "id": "one", "geometry": None, "links": [],
        "properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {"data": asset},
    }  # fmt: skip
    (tmp_path / "one.json").write_text(json.dumps(content))
    catalog = {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "c"}
    links = [{"rel": "item", "href": "./one.json"}]
    (tmp_path / "catalog.json").write_text(json.dumps(catalog | {"links": links}))
    facts = describe_data("stac", str(tmp_path), "one")
    assert facts["bands"] == ["b1 (near infrared)", "b2 (B04)"]


def aux(path: Path, content: str) -> None:
    text = f"<PAMDataset>{content}</PAMDataset>"
    path.with_name(f"{path.name}.aux.xml").write_text(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('<PAMRasterBand band="1"><NoDataValue>0</NoDataValue></PAMRasterBand>', "no data 0"),
        ('<PAMRasterBand band="1"><Scale>0.1</Scale></PAMRasterBand>', "a scale of 0.1"),
        ('<PAMRasterBand band="1"><Offset>-5</Offset></PAMRasterBand>', "an offset of -5"),
        ('<PAMRasterBand band="1"><UnitType>K</UnitType></PAMRasterBand>', "the unit K"),
        ("<GeoTransform>10.1, 0.01, 0, 50, 0, -0.01</GeoTransform>", "another place"),
        ("<SRS>EPSG:3035</SRS>", "another CRS"),
        ('<PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand>', None),
        ("<SRS>EPSG:4326</SRS>", None),
        ("<GeoTransform>10, 0.01, 0, 50, 0, -0.01</GeoTransform>", None),
        ('<Metadata><MDI key="STATISTICS_MAXIMUM">99</MDI></Metadata>', None),
    ],
)
def test_what_a_file_beside_says_otherwise_is_told(
    tmp_path: Path, content: str, said: str | None
) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("int16"), nodata=7)
    aux(path, content)
    result, told = build_raster(tmp_path)
    assert result.error is None
    lines = [line for line in told.warnings if "one.tif.aux.xml) with" in line]
    assert len(lines) == (said is not None)
    assert all(f"with {said}, which is not read" in line for line in lines)


@pytest.mark.parametrize("end", [".tfw", ".prj", ".tif.aux.xml"])
def test_a_place_that_only_a_file_beside_states(tmp_path: Path, end: str) -> None:
    path = tmp_path / "src" / "one.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(path, noise("int16"), crs=None, transform=Affine.identity())
    path.with_name(f"one{end}").write_text("<GeoTransform>10,1,0,5,0,-1</GeoTransform>")
    result, _ = build_raster(tmp_path)
    assert f"its sidecar files (one{end}) are not read" in result.message


def test_a_profile_that_says_otherwise_counts_and_is_told_of(tmp_path: Path) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("int16"), nodata=7)
    with rasterio.open(path, "r+") as file:
        file.units = ("K",)
    content = {"source": "file:src", "data": [{"match": "*", "nodata": [9], "unit": "mm"}]}
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yml").write_text(yaml.safe_dump(content))
    _, told = build_raster(tmp_path)
    said = [line for line in told.warnings if "in its profile" in line]
    assert said == [
        "one.tif: its nodata value is 7, in its profile 9, which is used",
        "one.tif: its unit is K, in its profile mm, which is used",
    ]
    found = variable_of(cube(tmp_path, raw=True))
    assert (int(found.attrs["_FillValue"]), found.attrs["units"]) == (9, "mm")
    assert (found.values == 7).any()


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("dem", "dem"),
        ("site/dem-2020.v1", "dem_2020_v1"),
        ("2020", "_2020"),
        ("lat", "band_data"),
    ],
)
def test_a_variable_without_a_name_has_that_of_its_dataset(
    tmp_path: Path, identifier: str, name: str
) -> None:
    write(tmp_path / "src" / "one.tif", noise("int16"))
    result, _ = build_raster(tmp_path, identifier=identifier)
    assert result.error is None, result.message
    with xr.open_zarr(tmp_path / "data" / f"{identifier}.zarr") as found:
        assert list(found.data_vars) == [name]


def test_a_name_that_parameters_or_functions_give_stays(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.tif", noise("int16"))
    params = {"agg_methods": {"band_data": "mean"}}
    assert list(cube(tmp_path, spatial_resample_params=params)) == ["band_data"]
    params = {"agg_methods": {"cube": "mean"}}
    assert list(cube(tmp_path, spatial_resample_params=params)) == ["cube"]
    (tmp_path / "own.py").write_text("def own(ds):\n    return ds.rename(band_data='height')\n")
    custom = {"module_path": "own", "function_name": "own"}
    assert list(cube(tmp_path, custom_processing=custom)) == ["height"]


def test_only_cubes_that_are_named_otherwise_now_are_rebuilt(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.tif", noise("int16"))
    build_raster(tmp_path)
    path = tmp_path / "catalogs" / "c" / "cube" / "cube.json"
    content = json.loads(path.read_text())
    inputs = content["properties"]["stacbuild:inputs"]
    assert inputs["algorithm"] == {"stacbuild": "1", "default name": "cube"}
    del inputs["algorithm"]["default name"]
    old = content["properties"]["stacbuild:fingerprint"]
    path.write_text(json.dumps(content).replace(old, fingerprint(inputs)))
    group = tmp_path / "data" / "cube.zarr" / "zarr.json"
    group.write_text(group.read_text().replace(old, fingerprint(inputs)))
    config = load_config(tmp_path / "c_config.yml")
    [planned] = plan(config, tmp_path / "catalogs")
    assert "its variable is named cube, not band_data" in planned.reasons


def test_a_single_band_is_named_by_its_description_unless_a_profile_does(tmp_path: Path) -> None:
    for name in ("dem_a.tif", "dem_b.tif"):
        with rasterio.open(write(tmp_path / "src" / name, noise("int16")), "r+") as file:
            file.set_band_description(1, "Height of ground")
    assert cube(tmp_path, data_id="dem_*.tif")["cube"].attrs["long_name"] == "Height of ground"


def test_a_mosaic_has_the_title_that_its_tiles_share(tmp_path: Path) -> None:
    for name in ("dem_a.tif", "dem_b.tif"):
        write(tmp_path / "src" / name, noise("int16"))
    assert "long_name" not in cube(tmp_path, data_id="dem_*.tif")["cube"].attrs
    content = {"source": "file:src", "data": [{"match": "*", "title": "Height"}]}
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yml").write_text(yaml.safe_dump(content))
    assert cube(tmp_path, data_id="dem_*.tif")["cube"].attrs["long_name"] == "Height"
