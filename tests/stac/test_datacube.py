"""Dimensions and variables as fields of the datacube extension."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stacbuild.formats.zarr_grid import grid_of
from stacbuild.profiles import DataProfile
from stacbuild.stac.datacube import (
    cube_dimensions,
    cube_variables,
    read_as,
    stated_by_rasters,
    text_of,
    time_of,
    utc,
)


def dataset(dtype: str = "int16", **attrs: Any) -> xr.Dataset:
    times = pd.date_range("2020-01-01", periods=2)
    return xr.Dataset(
        {"v": (("time", "lat", "lon"), np.zeros((2, 3, 4), dtype), attrs)},
        coords={
            "time": times,
            "lat": ("lat", [2.5, 1.5, 0.5], {"units": "degrees_north"}),
            "lon": ("lon", [0.5, 1.5, 2.5, 3.5], {"units": "degrees_east"}),
        },
    )


def test_dimensions_are_the_edges_and_the_values() -> None:
    ds = dataset().assign_coords(
        band=("band", ["red", "nir"]), depth=("depth", [1, 3], {"positive": "down", "units": "m"})
    )
    found = cube_dimensions(ds, grid_of(ds))
    assert found["lon"]["extent"] == [0, 4]
    assert (found["lat"]["extent"], found["lat"]["step"]) == ([0, 3], -1)
    assert found["time"]["values"] == ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"]
    assert found["band"] == {"type": "bands", "values": ["red", "nir"]}
    depth = {
        "type": "spatial",
        "axis": "z",
        "extent": [1, 3],
        "step": 2,
        "values": [1, 3],
        "unit": "m",
    }
    assert found["depth"] == depth


@pytest.mark.parametrize(
    ("attrs", "nodata"),
    [
        ({"_FillValue": -1}, -1),
        ({"_FillValue": 0, "missing_value": -9}, -9),
        ({"_FillValue": 0}, 0),
        ({"nodata": 5}, 5),
        ({"nodatavals": (7, 7)}, 7),
        ({"nodatavals": (7, 8)}, None),
        ({"missing_value": "-3"}, -3),
        ({}, None),
    ],
)
def test_what_stands_for_no_data(attrs: dict[str, Any], nodata: int | None) -> None:
    assert cube_variables(dataset(**attrs))["v"].get("nodata") == nodata


def test_a_profile_wins_over_the_store() -> None:
    profile = DataProfile.model_validate({"variables": {"v": {"unit": "km", "nodata": 9}}})
    found = cube_variables(
        dataset(units="m", long_name=" Height\n of trees", _FillValue=1), profile
    )["v"]
    assert (found["unit"], found["nodata"], found["title"]) == ("km", 9, "Height of trees")


def test_variables_that_no_cube_holds_say_why() -> None:
    ds = dataset().assign(text=("lat", ["a", "b", "c"]), empty=(("n", "lat"), np.zeros((0, 3))))
    found = cube_variables(ds)
    assert "text" in found["text"]["stacbuild:left_out"]
    assert "length 0 along n" in found["empty"]["stacbuild:left_out"]
    assert "stacbuild:left_out" not in found["v"]


@pytest.mark.parametrize(
    ("dtype", "read"), [("bool", "uint8"), ("float16", "float32"), ("int8", "int8")]
)
def test_types_that_readers_lack_are_read_as_others(dtype: str, read: str) -> None:
    assert read_as(np.dtype(dtype)) == read


def test_small_things() -> None:
    assert stated_by_rasters({"nodata": 1, "nodatavals": (2,)}) == [1]
    assert text_of({"a": 7, "b": "x  y"}, "a", "b") == "x y"
    naive = dt.datetime(2020, 1, 1, 12)
    assert utc(naive) == naive.replace(tzinfo=dt.UTC)
    assert time_of(pd.Timestamp("2020-01-01T00:00:00.123456789")).microsecond == 123456
