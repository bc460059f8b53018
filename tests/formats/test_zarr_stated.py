"""What a Zarr dataset states of its pixels' edges, by the conventions in use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_stated import Span, of_bbox, stated_dimensions, statements


def dataset(group: dict[str, Any] | None = None, **attrs: Any) -> xr.Dataset:
    found = xr.Dataset({"v": (("y", "x"), np.zeros((2, 4)), attrs)}, attrs=group or {})
    return found.assign_coords(y=[1.5, 0.5], x=[10.5, 11.5, 12.5, 13.5])


def edges(ds: xr.Dataset) -> list[tuple[str, float, float, float, float]]:
    return [
        (each.by, each.columns.origin, each.rows.end, each.columns.end, each.rows.origin)
        for each in statements(ds, "x", "y")
    ]


BOX = (10.0, 0.0, 14.0, 2.0)


@pytest.mark.parametrize(
    ("attrs", "by"),
    [
        ({"spatial:transform": [1, 0, 10, 0, -1, 2]}, "spatial:transform"),
        ({"proj:transform": (1, 0, 10, 0, -1, 2, 0, 0, 1)}, "proj:transform"),
        ({"spatial:bbox": list(BOX)}, "spatial:bbox"),
        ({"proj:bbox": "10, 0, 14, 2"}, "proj:bbox"),
        (
            {"spatial:transform": [1, 0, 10.5, 0, -1, 1.5], "spatial:registration": "node"},
            "spatial:transform",
        ),
        ({"spatial:bbox": [10.5, 0.5, 13.5, 1.5], "spatial:registration": "node"}, "spatial:bbox"),
    ],
)
def test_each_statement_is_the_outer_edges(attrs: dict[str, Any], by: str) -> None:
    assert edges(dataset(attrs)) == [(by, *BOX)]
    assert edges(dataset(**attrs)) == [(f"{by} of v", *BOX)]


def test_the_order_of_gdal_is_another() -> None:
    ds = dataset(grid_mapping="spatial_ref")
    ds = ds.assign_coords(spatial_ref=((), 0, {"GeoTransform": "10.0 1.0 0.0 2.0 0.0 -1.0"}))
    assert edges(ds) == [("GeoTransform of spatial_ref", *BOX)]


@pytest.mark.parametrize(
    "attrs",
    [
        {"spatial:transform": [1, 0, 10]},
        {"spatial:transform": "nan 0 10 0 -1 2"},
        {"spatial:transform": [1, 0, 10, 0, -1, 2], "spatial:transform_type": "rpc"},
        {"spatial:bbox": [14, 0, 10, 2]},
        {"spatial:bbox": {"west": 1}},
    ],
)
def test_what_is_not_well_formed_states_nothing(attrs: dict[str, Any]) -> None:
    assert edges(dataset(attrs)) == []


def test_a_statement_for_another_shape_does_not_fit() -> None:
    (found,) = statements(
        dataset({"spatial:transform": [1, 0, 10, 0, -1, 2], "spatial:shape": [9, 9]}), "x", "y"
    )
    assert not found.fits


def test_a_rotated_grid_is_refused() -> None:
    with pytest.raises(StacbuildError, match="rotated"):
        edges(dataset({"spatial:transform": [1, 0.5, 10, 0.5, -1, 2]}))


def test_spans_are_compared_in_pixels() -> None:
    span = Span(0, 2, 5)
    assert span.end == 10
    assert span.reversed() == Span(10, -2, 5)
    assert Span(1, 2, 5).off(span) == 0.5
    stated = of_bbox("a profile", BOX, (2, 4))
    assert (stated.rows.pitch, stated.columns.pitch, stated.rows.directed) == (-1, 1, False)


def test_dimensions_that_are_named() -> None:
    assert stated_dimensions(dataset({"spatial:dimensions": ["y", "x"]})) == ("y", "x")
    assert stated_dimensions(dataset(**{"spatial:dimensions": ("y", "x")})) == ("y", "x")
    assert stated_dimensions(dataset({"spatial:dimensions": ["lat", "lon"]})) is None
