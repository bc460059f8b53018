"""No data, unit, scale and legend that only a foreign item states, or that it states otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import LAT, LON, variable_of
from tests.support.cli import configuration
from tests.support.rasters import noise, write
from tests.support.stac_documents import Json
from tests.support.stac_rasters import (
    OURS,
    catalog,
    described,
    fields_of,
    raster,
    stated,
    values,
    zarr_item,
)

V10 = {"nodata": 0, "unit": "K", "scale": 0.1, "offset": 200, "data_type": "uint16"}
V11 = {"nodata": 0, "unit": "K", "raster:scale": 0.1, "raster:offset": 200}


def cube_of(folder: Path, **entry: Any) -> xr.Dataset:
    one = {"identifier": "cube", "store": "other", "data_id": "c", **entry}
    other = {"identifier": "other", "store_id": "stac", "store_params": {"root": "in"}}
    [result] = build(load_config(configuration(folder, [one], [other])), folder / "catalogs")
    assert result.status == "COMPLETED", result.message
    return xr.open_zarr(folder / "data" / "cube.zarr", mask_and_scale=False).load()


# Where a STAC item may say it.
PLACES: dict[str, Json] = {
    "raster:bands": {"asset": {"raster:bands": [V10]}},
    "bands": {"asset": {"bands": [V11]}},
    "asset": {"asset": V11},
    "properties": {"properties": V11},
    "bands of properties": {"properties": {"bands": [V11]}},
    "item_assets": {"collection": {"item_assets": {"map": {"raster:bands": [V10]}}}},
    "item_assets 1.1": {"collection": {"item_assets": {"map": V11}}},
    "mixed": {"asset": {"raster:bands": [{"scale": 0.1, "offset": 200}], "nodata": 0, "unit": "K"}},
    "nearest counts": {
        "asset": {"raster:bands": [V10]},
        "properties": {"nodata": 7, "unit": "m"},
        "collection": {"item_assets": {"map": {"nodata": 9, "raster:scale": 5}}},
    },
    "as text": {"asset": {"raster:bands": [V10 | {"nodata": "0", "scale": "0.1"}]}},
    "null": {"asset": {"raster:bands": [V10], "nodata": None, "unit": None}},
}


@pytest.mark.parametrize("where", PLACES)
def test_what_only_the_item_states(tmp_path: Path, where: str) -> None:
    places = PLACES[where]
    raster(tmp_path / "a.tif")
    one = stated(**places.get("asset", {}))
    one["properties"] |= places.get("properties", {})
    catalog(tmp_path, one, **places.get("collection", {}))
    items, warnings = described(tmp_path)
    assert fields_of(items) == OURS
    assert warnings == []
    assert any("/raster/" in each for each in items[0].stac_extensions)


def test_it_reaches_the_cube(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "a.tif")
    catalog(tmp_path / "in", stated(**{"raster:bands": [V10]}))
    cube = cube_of(tmp_path)
    band = variable_of(cube)
    assert (band.attrs["units"], band.attrs["scale_factor"], band.attrs["add_offset"]) == (
        "K",
        0.1,
        200.0,
    )
    assert band.attrs["_FillValue"] == 0
    np.testing.assert_array_equal(band, values()[0, 10:110, 10:110])
    masked = variable_of(xr.open_zarr(tmp_path / "data" / "cube.zarr")).values
    packed = values()[0, 10:110, 10:110]
    assert (packed == 0).any()
    np.testing.assert_allclose(masked, np.where(packed == 0, np.nan, packed * 0.1 + 200))


@pytest.mark.parametrize(
    ("header", "fields", "said"),
    [
        ({"nodata": 9}, {"nodata": 0}, "item states no data 0, but the file 9"),
        ({"units": ["m"]}, {"unit": "K"}, "item states unit K, but the file m"),
        ({"scales": [0.5]}, {"raster:scale": 0.1}, "item states scale 0.1, but the file 0.5"),
        ({"scales": [0.5]}, {"raster:offset": 3}, "item states offset 3, but the file 0"),
        ({"offsets": [1.0]}, {"raster:offset": 3}, "item states offset 3, but the file 1"),
        ({"scales": [0.5]}, {"raster:scale": 1}, "item states scale 1, but the file 0.5"),
    ],
)
def test_the_file_counts_and_a_warning_tells_both(
    tmp_path: Path, header: Json, fields: Json, said: str
) -> None:
    raster(tmp_path / "a.tif", **header)
    catalog(tmp_path, stated())
    before, _ = described(tmp_path)
    catalog(tmp_path, stated(**fields))
    items, [warning] = described(tmp_path)
    assert fields_of(items) == fields_of(before)
    assert said in warning
    assert warning.startswith("i: ")


def test_what_both_say_alike_is_no_disagreement(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", "float32", nodata=-3.402823e38, units=["M"], scales=[0.1])
    same = {"nodata": -3.4028234663852886e38, "unit": "m ", "scale": 0.1, "offset": 0}
    catalog(tmp_path, stated(**{"raster:bands": [same]}))
    _, warnings = described(tmp_path)
    assert warnings == []


@pytest.mark.parametrize(
    ("dtype", "value", "kept", "said"),
    [
        ("int16", "-9999", -9999, None),
        ("uint8", -9999, None, "no data -9999, not a value of uint8"),
        ("int16", "nan", None, None),
        ("float32", "nan", "nan", None),
        ("float32", "-inf", "-inf", None),
        ("float32", -9999, -9999, None),
        ("int16", "none", None, "no data none: not valid"),
        ("int16", True, None, "no data True: not valid"),
        ("int16", [1], None, ": not valid"),
        ("int16", 0.5, None, "no data 0.5, not a value of int16"),
    ],
)
def test_no_data_in_every_spelling(
    tmp_path: Path, dtype: str, value: Any, kept: Any, said: str | None
) -> None:
    raster(tmp_path / "a.tif", dtype)
    catalog(tmp_path, stated(**{"raster:bands": [{"nodata": value}]}))
    items, warnings = described(tmp_path)
    assert fields_of(items).get("nodata") == kept
    assert [said in line for line in warnings] == ([True] if said else []) if said else not warnings


def test_values_that_are_none_are_told_of(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif")
    catalog(tmp_path, stated(**{"raster:bands": [{"scale": 0, "offset": "inf", "unit": 5}]}))
    items, warnings = described(tmp_path)
    assert fields_of(items) == {}
    assert len(warnings) == 3


def test_bands_of_their_own(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", count=2)
    bands = [{"nodata": 0, "unit": "K", "scale": 0.1}, {"nodata": 0, "unit": "m", "scale": 0.5}]
    catalog(tmp_path, stated(**{"raster:bands": bands}))
    items, warnings = described(tmp_path)
    assert fields_of(items) == {"nodata": 0}
    own = items[0].assets["data"].extra_fields["bands"]
    assert [(band["unit"], band["raster:scale"]) for band in own] == [("K", 0.1), ("m", 0.5)]
    assert warnings == []
    # One entry is of all bands; another number of them is of another file.
    catalog(tmp_path, stated(**{"raster:bands": bands[:1]}))
    items, _ = described(tmp_path)
    assert fields_of(items) == {"nodata": 0, "unit": "K", "raster:scale": 0.1}
    catalog(tmp_path, stated(**{"raster:bands": [*bands, bands[0]]}))
    items, [warning] = described(tmp_path)
    assert "describes 3 bands, but the file has 2" in warning
    assert fields_of(items) == {}


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_no_data_of_each_band(tmp_path: Path, dtype: str) -> None:
    raster(tmp_path / "in" / "a.tif", dtype, count=3)
    bands = [{"nodata": 10}, {"nodata": 11}, {"unit": "m"}]
    catalog(tmp_path / "in", stated(**{"raster:bands": bands}))
    source = values(3)[:, 10:110, 10:110]
    found = cube_of(tmp_path, open_params={"band_as_variable": True})
    masked = found if dtype == "float32" else xr.decode_cf(found)
    for band, plane in enumerate(source, 1):
        hidden = plane == 9 + band if band < 3 else np.zeros(plane.shape, bool)
        np.testing.assert_array_equal(np.isnan(masked[f"band_{band}"]), hidden)
        np.testing.assert_array_equal(masked[f"band_{band}"].values[~hidden], plane[~hidden])
    if dtype == "float32":
        together = variable_of(cube_of(tmp_path))
        np.testing.assert_array_equal(np.isnan(together[:2]), source[:2] == [[[10]], [[11]]])
        return
    one = {"identifier": "cube", "store": "other", "data_id": "c"}
    other = {"identifier": "other", "store_id": "stac", "store_params": {"root": "in"}}
    [result] = build(load_config(configuration(tmp_path, [one], [other])), tmp_path / "catalogs")
    assert "bands differ in what no data is" in result.message
    assert "band_as_variable: true" in result.message


def test_no_data_of_64_bits_in_the_file_is_compared_exactly(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", noise("int64"), nodata_tag=str(2**53 + 1))
    catalog(tmp_path, stated(nodata=2**53 + 1))
    items, warnings = described(tmp_path)
    assert fields_of(items) == {"nodata": 2**53 + 1}
    assert not [line for line in warnings if "no data" in line]
    catalog(tmp_path, stated(nodata=2**53))
    items, warnings = described(tmp_path)
    assert fields_of(items) == {"nodata": 2**53 + 1}
    [warning] = [line for line in warnings if "no data" in line]
    assert f"no data {2**53}, but the file {2**53 + 1}, which is used" in warning


def test_an_offset_that_the_pixels_hold_is_not_applied_again(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif")
    one = stated(**{"raster:bands": [{"scale": 0.0001, "offset": -0.1}]})
    one["properties"]["earthsearch:boa_offset_applied"] = True
    catalog(tmp_path, one)
    items, [warning] = described(tmp_path)
    assert fields_of(items) == {"raster:scale": 0.0001}
    assert "earthsearch:boa_offset_applied" in warning


def test_many_items_that_say_the_same_warn_once(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", nodata=9)
    catalog(tmp_path, *(stated(f"i{n}", nodata=0) for n in range(5)))
    items, [warning] = described(tmp_path)
    assert len(items) == 5
    assert warning.startswith("i0 and 4 more: its item states no data 0")


def test_a_profile_counts_before_both(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "a.tif", nodata=9, units=["m"])
    catalog(tmp_path / "in", stated(nodata=0, unit="K"))
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yml").write_text(
        "source: 'stac:*'\ndata:\n  - match: c\n    unit: cm\n    nodata: 7\n"
    )
    band = variable_of(cube_of(tmp_path))
    assert (band.attrs["units"], band.attrs["_FillValue"]) == ("cm", 7)


# --- Zarr: an entry a variable -------------------------------------------------------------------


def zarr(path: Path, encoding: Json | None = None, **attrs: Json) -> None:
    """Write int16 variables ``age`` and ``agent``, with these attributes."""
    ds = xr.Dataset(
        {name: (("lat", "lon"), values()[0].astype("int16")) for name in ("age", "agent")},
        {"lat": LAT, "lon": LON},
    )
    for name, each in attrs.items():
        ds[name].attrs.update(each)
    ds.to_zarr(path, mode="w", zarr_format=2, consolidated=True, encoding=encoding)


AGE = {"name": "age", "unit": "years", "data_type": "int16", "nodata": -9999}
AGENT = {"name": "agent", "nodata": 0, "scale": 0.1, "offset": 200}


@pytest.mark.parametrize(
    "place", [{"raster:bands": [AGE, AGENT]}, {"bands": [AGENT, AGE]}, {"cube:variables": None}]
)
def test_variables_of_a_zarr_asset(tmp_path: Path, place: Json) -> None:
    if "cube:variables" in place:
        place = {"cube:variables": {"age": AGE, "agent": AGENT}}
    zarr(tmp_path / "in" / "a.zarr")
    catalog(tmp_path / "in", zarr_item(**place))
    items, warnings = described(tmp_path / "in")
    assert warnings == []
    variables = items[0].properties["cube:variables"]
    assert (variables["age"]["unit"], variables["age"]["nodata"]) == ("years", -9999)
    cube = cube_of(tmp_path)
    assert cube["age"].attrs["units"] == "years"
    assert cube["age"].attrs["_FillValue"] == -9999
    assert cube["agent"].attrs["scale_factor"] == 0.1
    assert cube["agent"].attrs["add_offset"] == 200
    assert cube["agent"].attrs["_FillValue"] == 0


def test_a_zarr_store_counts_before_its_item(tmp_path: Path) -> None:
    zarr(tmp_path / "a.zarr", age={"_FillValue": -1, "units": "a"}, agent={"scale_factor": 0.5})
    catalog(tmp_path, zarr_item(**{"raster:bands": [AGE, AGENT, {"name": "gone", "nodata": 1}]}))
    items, warnings = described(tmp_path)
    age = items[0].properties["cube:variables"]["age"]
    assert (age["nodata"], age["unit"]) == (-1, "a")
    said = "\n".join(warnings)
    assert "age: its item states no data -9999, but the file -1" in said
    assert "age: its item states unit years, but the file a" in said
    assert "agent: its item states scale 0.1, but the file 0.5" in said
    assert "its item describes gone, not in the store" in said


def test_a_fill_value_that_nobody_chose_is_no_statement(tmp_path: Path) -> None:
    zarr(tmp_path / "a.zarr", encoding={"age": {"_FillValue": 0}})
    catalog(tmp_path, zarr_item(**{"raster:bands": [AGE]}))
    items, warnings = described(tmp_path)
    assert items[0].properties["cube:variables"]["age"]["nodata"] == -9999
    assert warnings == []


def test_a_legend_that_only_the_catalog_has(tmp_path: Path) -> None:
    zarr(tmp_path / "in" / "a.zarr", age={"flag_values": [1], "flag_meanings": "old"})
    legend = [{"value": 1, "label": "Wind & bark beetle"}, {"value": 2, "name": "fire"}]
    summaries = {"agent_legend": legend, "age_classes": legend}
    catalog(tmp_path / "in", zarr_item(), summaries=summaries)
    cube = cube_of(tmp_path)
    assert cube["agent"].attrs["flag_meanings"] == "Wind_bark_beetle fire"
    assert np.atleast_1d(cube["agent"].attrs["flag_values"]).tolist() == [1, 2]
    assert cube["age"].attrs["flag_meanings"] == "old"
