"""CF, grid-mapping and GeoZarr metadata of a cube."""

from __future__ import annotations

import datetime as dt
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from stacbuild.building.cf import add_grid, geozarr_attrs, global_attrs
from stacbuild.config import GridMapping
from stacbuild.geo.grid import Grid


def grid(crs: str, bbox: tuple[float, float, float, float], size: float) -> Grid:
    return Grid.from_mapping(
        GridMapping(identifier="g", crs=crs, spatial_res=size, bbox=bbox), bbox
    )


def with_grid(found: Grid) -> xr.Dataset:
    y, x = found.coords()
    dims = found.dims
    data = xr.Dataset({"v": (dims, np.zeros(found.shape))}, coords={dims[0]: y, dims[1]: x})
    return add_grid(data, found)


@pytest.mark.parametrize(
    ("crs", "bbox", "size"),
    [
        ("EPSG:4326", (10, 45, 10.2, 45.1), 0.1),
        ("EPSG:3035", (4_000_000, 3_000_000, 4_000_200, 3_000_100), 100),
        # Oblique Mercator, which CF has no complete attributes for.
        ("EPSG:2056", (2_600_000, 1_200_000, 2_600_200, 1_200_100), 100),
    ],
)
def test_the_grid_mapping_is_the_crs(crs: str, bbox: Any, size: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapping = with_grid(grid(crs, bbox, size))["spatial_ref"].attrs
    assert CRS.from_wkt(mapping["crs_wkt"]).equals(CRS(crs), ignore_axis_order=True)
    west, dx, _, north, _, dy = map(float, mapping["GeoTransform"].split())
    assert (west, north, dx, dy) == (bbox[0], bbox[3], size, -size)


def test_axes_are_named_and_labels_are_no_times() -> None:
    found = with_grid(grid("EPSG:4326", (10, 45, 10.2, 45.1), 0.1))
    assert found["lat"].attrs["standard_name"] == "latitude"
    assert found["lon"].attrs["axis"] == "X"
    labels = add_grid(
        found.assign_coords(time=("time", ["a"])), grid("EPSG:4326", (10, 45, 10.2, 45.1), 0.1)
    )
    assert labels["time"].attrs == {}


def test_geozarr_says_the_same() -> None:
    attrs = geozarr_attrs(grid("EPSG:4326", (10, 45, 10.2, 45.1), 0.1))
    assert attrs["proj:code"] == "EPSG:4326"
    assert attrs["spatial:shape"] == [1, 2]
    assert attrs["spatial:bbox"] == [10, 45, 10.2, 45.1]
    names = [each["name"] for each in attrs["zarr_conventions"]]
    # In the spelling of drafts as well, which rioxarray reads.
    assert sorted(names) == ["proj", "proj:", "spatial", "spatial:"]
    uuids = [each["uuid"] for each in attrs["zarr_conventions"] if "uuid" in each]
    assert len(set(uuids)) == len(uuids) == 2


def test_sources_are_cited() -> None:
    sources: Any = [
        SimpleNamespace(title="A", license="CC-BY-4.0", citation="A. (2020)", dois=("10.1/a",)),
        SimpleNamespace(title="B", license="other", citation=None, dois=("10.1/a", "10.1/b")),
    ]
    attrs = global_attrs("cube", sources, "stacbuild 1", dt.datetime(2020, 1, 1))
    assert attrs["license"] == "A: CC-BY-4.0; B: other"
    assert attrs["citation"] == "A. (2020)"
    assert attrs["references"] == "https://doi.org/10.1/a; https://doi.org/10.1/b"
    assert attrs["history"].startswith("2020-01-01T00:00:00Z")
