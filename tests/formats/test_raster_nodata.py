"""Nodata of GeoTIFFs as others write it: few digits, infinite, of 64 bits, out of range."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from rasterio.enums import Resampling

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.stac.export import export
from tests.support.built import variable_of
from tests.support.cli import configuration
from tests.support.file_server import FileServer
from tests.support.rasters import GRIDS, INSIDE, build_raster, cube, decoded, noise, warped, write

LOWEST = float(np.finfo("float32").min)


def item(directory: Path) -> pystac.Item:
    [path] = (directory / "catalogs").rglob("one.json")
    return pystac.Item.from_file(str(path))


@pytest.mark.parametrize(
    ("dtype", "tag", "value"),
    [
        ("float32", "-3.402823e+38", LOWEST),
        ("float32", "-3.40282346638529e+38", LOWEST),
        ("float32", "-9999.0001", -9999),
        ("float64", "-1.797693e+308", float(np.finfo("float64").min)),
        ("float32", "-inf", -np.inf),
        ("float64", "inf", np.inf),
        ("float32", "1e39", np.inf),
        ("float32", "nan", np.nan),
        ("uint8", "7.9", 7),
        ("int16", "-32768", -32768),
        ("int64", str(2**53 + 1), 2**53 + 1),
        ("int64", str(-(2**63)), -(2**63)),
        ("uint64", str(2**64 - 1), 2**64 - 1),
    ],
)
def test_nodata_is_what_gdal_masks(tmp_path: Path, dtype: str, tag: str, value: float) -> None:
    values = noise(dtype)
    values[0, 15:20, 12:18] = np.array(value).astype(dtype)
    path = write(tmp_path / "src" / "one.tif", values, nodata_tag=tag)
    expected = decoded(path)[0][INSIDE]
    assert np.isnan(expected).sum() >= 30
    np.testing.assert_array_equal(variable_of(cube(tmp_path)), expected)


@pytest.mark.parametrize("options", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", -(2**63)),
        ("int64", -(2**62)),
        ("uint64", 2**63),
        ("int64", -9),
        ("int64", 2),
    ],
)
def test_nodata_of_64_bits_as_rasterio_writes_it(
    tmp_path: Path, dtype: str, value: int, options: dict[str, str]
) -> None:
    # As -9.2233720368547758e+18, of which GDAL reads -9.
    values = noise(dtype)
    values[0, 15:20, 12:18] = value
    path = write(tmp_path / "src" / "one.tif", values)
    with rasterio.open(path) as file:
        profile = file.profile | {"nodata": value} | options
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
    found = variable_of(cube(tmp_path, raw=True))
    assert int(found.attrs["_FillValue"]) == value
    np.testing.assert_array_equal(found, values[0][INSIDE])


def test_nodata_of_64_bits_in_a_file_on_a_server(tmp_path: Path) -> None:
    values = noise("int64")
    values[0, 15:20, 12:18] = -(2**63)
    served = tmp_path / "served"
    write(served / "one.tif", values, nodata_tag="-9.2233720368547758e+18")
    one = pystac.Item("one", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {})
    one.add_asset("data", pystac.Asset("../one.tif", media_type="image/tiff"))
    catalog = pystac.Catalog("catalog", "One.")
    catalog.add_item(one)
    catalog.normalize_and_save(str(served), pystac.CatalogType.SELF_CONTAINED)
    files = [path for path in served.rglob("*") if path.is_file()]
    with FileServer(
        {f"/{path.relative_to(served)}": path.read_bytes() for path in files}
    ) as server:
        root = f"{server.url}/catalog.json"
        store = {"identifier": "web", "store_id": "stac", "store_params": {"root": root}}
        dataset = {"identifier": "cube", "store": "web", "data_id": "one", "grid_mapping": "same"}
        config = load_config(configuration(tmp_path, [dataset], [store], grids=GRIDS))
        [result] = build(config, tmp_path / "catalogs")
    assert result.error is None, result.message
    with xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False) as opened:
        assert int(variable_of(opened).attrs["_FillValue"]) == -(2**63)


@pytest.mark.parametrize(("dtype", "tag"), [("uint8", "-9999"), ("int16", "70000")])
def test_nodata_that_the_type_cannot_hold_masks_nothing(
    tmp_path: Path, dtype: str, tag: str
) -> None:
    values = noise(dtype)
    values[0, 10, 10] = np.array(int(tag)).astype(dtype)
    write(tmp_path / "src" / "one.tif", values, nodata_tag=tag)
    found = variable_of(cube(tmp_path, raw=True))
    np.testing.assert_array_equal(found, values[0][INSIDE])
    assert "_FillValue" not in found.attrs


def test_values_beside_nodata_of_64_bits_stay(tmp_path: Path) -> None:
    values = np.full((1, 40, 40), 2**53, "int64")
    values[0, 15, 15] = 2**53 + 1
    write(tmp_path / "src" / "one.tif", values, nodata_tag=str(2**53 + 1))
    found = variable_of(cube(tmp_path, raw=True))
    np.testing.assert_array_equal(found, values[0][INSIDE])
    assert int(found.attrs["_FillValue"]) == 2**53 + 1
    assert item(tmp_path).assets["data"].extra_fields["nodata"] == 2**53 + 1


def test_large_integers_without_nodata_stay(tmp_path: Path) -> None:
    values = noise("uint64") + np.uint64(2**63 + 1)
    write(tmp_path / "src" / "one.tif", values)
    np.testing.assert_array_equal(variable_of(cube(tmp_path, raw=True)), values[0][INSIDE])


def test_a_fill_value_of_64_bits_is_exact(tmp_path: Path) -> None:
    values = noise("int64")
    write(tmp_path / "src" / "one.tif", values, nodata_tag="7")
    fill = 2**62 + 1
    found = variable_of(cube(tmp_path, raw=True, spatial_resample_params={"fill_values": fill}))
    inside = values[0][INSIDE]
    np.testing.assert_array_equal(found, np.where(inside == 7, fill, inside))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_an_item_states_what_is_no_number_of_json(tmp_path: Path, value: str) -> None:
    write(tmp_path / "src" / "one.tif", noise("float32"), nodata=float(value))
    build_raster(tmp_path)
    fields = item(tmp_path).assets["data"].extra_fields
    assert fields["nodata"] == value
    [path] = (tmp_path / "catalogs").rglob("one.json")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize(
    ("method", "gdal"), [("mean", Resampling.average), ("mode", Resampling.mode)]
)
def test_integers_of_every_type_are_reduced(
    tmp_path: Path, dtype: str, method: str, gdal: Resampling
) -> None:
    values = noise(dtype, low=1, high=4 if method == "mode" else 100)
    values[0, 12:20, 12:20] = 0
    path = write(tmp_path / "src" / "one.tif", values, nodata=0)
    expected = warped(path, GRIDS[1], gdal)
    assert np.isnan(expected).sum() == 16
    found = variable_of(cube(tmp_path, "coarse", spatial_resample_params={"agg_methods": method}))
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    # A mean of integers is rounded; which of several values is the most frequent is open.
    near = np.nanmax(np.abs(found.values - expected))
    assert near <= 0.5 + 1e-9 if method == "mean" else near < 3


@pytest.mark.parametrize("tag", ["-3.402823e+38", "-inf"])
def test_means_leave_nodata_out(tmp_path: Path, tag: str) -> None:
    values = np.full((1, 40, 40), 5, "float32")
    values[0, 11:16, 11:16] = LOWEST if tag[1].isdigit() else -np.inf
    write(tmp_path / "src" / "one.tif", values, nodata_tag=tag)
    for grid in ("coarse", "fine", "wide"):
        found = variable_of(cube(tmp_path, grid, spatial_resample_params={"agg_methods": "mean"}))
        assert set(np.unique(found.values[~np.isnan(found.values)])) == {5}
        assert np.isnan(found).any()


def test_means_of_integers_beyond_doubles_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.tif", noise("int64") + 2**60)
    params = {"agg_methods": "mean"}
    result, _ = build_raster(tmp_path, "coarse", spatial_resample_params=params)
    assert result.status == "FAILED"
    assert "beyond 2**53" in result.message
    assert "agg_methods: center" in result.message


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_numbers_are_refused_and_other_cubes_built(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("complex64"), dtype=dtype)
    with rasterio.open(path) as file:
        assert file.dtypes[0] == dtype
    result, _ = build_raster(tmp_path)
    assert result.status == "FAILED"
    assert "complex numbers" in result.message
    assert "please report" not in result.message


def test_nodata_that_is_text_is_exported(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.tif", noise("float32"), nodata=np.nan)
    build_raster(tmp_path)
    export(tmp_path / "catalogs", tmp_path / "export", parquet=True)
    items = json.loads((tmp_path / "export" / "items.json").read_text())["features"]
    assert "nan" in [each["assets"]["data"].get("nodata") for each in items]
    assert (tmp_path / "export" / "items.parquet").exists()
