"""The grid of scenes without a grid mapping, on the pixels that they have."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pystac
import pytest
from pyproj import Transformer

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import BuildError
from stacbuild.loading.own_grid import own_grid
from stacbuild.loading.utm_grid import finest, is_on_utm, utm_grid
from stacbuild.stac.scenes import all_views

# A tile of Sentinel-2 in zone 32, and one of Landsat, whose pixels begin at odd multiples of 15 m.
SENTINEL = (600000.0, 5300040.0)
LANDSAT = (483285.0, 5372415.0)
POINT = [10.36, 47.84]


def item(
    sizes: dict[str, float],
    corner: tuple[float, float] = SENTINEL,
    epsg: int = 32632,
    **properties: Any,
) -> pystac.Item:
    made = pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), properties)
    for name, size in sizes.items():
        x, y = corner
        grid = {
            "proj:code": f"EPSG:{epsg}",
            "proj:shape": [int(109800 / size)] * 2,
            "proj:transform": [size, 0, x, 0, -size, y],
        }
        made.add_asset(name, pystac.Asset(f"{name}.tif", extra_fields=grid))
        made.properties = {**grid, **made.properties}
    return made


def variable(**params: Any) -> SourceVariable:
    params = {"point": POINT, "bbox_width": 4000, **params}
    return SourceVariable.model_validate(
        {
            "store": "s",
            "data_id": "s2",
            "open_params": {key: value for key, value in params.items() if value is not None},
        }
    )


def grid_of(items: list[pystac.Item], **params: Any):
    views = all_views(items)
    assert is_on_utm(variable(**params), views)
    return utm_grid(variable(**params), views)


def test_a_square_of_whole_pixels_of_the_tile() -> None:
    grid = grid_of([item({"red": 10})], spatial_res=10)
    assert (grid.crs, grid.shape, grid.resolution) == ("EPSG:32632", (400, 400), (10, 10))
    west, _, _, north = grid.bounds
    assert ((west - SENTINEL[0]) % 10, (north - SENTINEL[1]) % 10) == (0, 0)
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(*POINT)
    assert abs(west + 2000 - x) <= 5
    assert abs(north - 2000 - y) <= 5


def test_pixels_of_landsat_begin_at_odd_multiples_of_15_metres() -> None:
    grid = grid_of([item({"red": 30, "pan": 15}, LANDSAT)], asset_names=["red"], spatial_res=30)
    assert (grid.bounds[0] % 30, grid.bounds[3] % 30) == (15, 15)
    # Larger pixels are whole numbers of them, smaller ones parts.
    for size in (60, 10):
        coarse = grid_of([item({"red": 30, "b": 30}, LANDSAT)], spatial_res=size)
        assert (coarse.bounds[0] % min(size, 30), coarse.bounds[3] % min(size, 30)) == (
            15 % min(size, 30),
            15 % min(size, 30),
        )


def test_northern_zones_south_of_the_equator() -> None:
    # As Landsat's: northings are negative, and 10 000 km is no multiple of 30 m.
    corner = 483285.0, -1600005.0
    grid = grid_of([item({"a": 30, "b": 30}, corner, 32652)], point=[129, -14.5], spatial_res=30)
    assert grid.crs == "EPSG:32752"
    assert (grid.bounds[3] - 1e7 - corner[1]) % 30 == 0


@pytest.mark.parametrize("size", [25, 7.5, 1000])
def test_other_sizes_begin_at_multiples(size: float) -> None:
    grid = grid_of([item({"red": 10, "nir": 10}, (600003.0, 5300041.0))], spatial_res=size)
    if size != 1000:
        assert (grid.bounds[0] % size, grid.bounds[3] % size) == (0, 0)
    else:
        assert (grid.bounds[0] % 10, grid.bounds[3] % 10) == (3, 1)


def test_the_corner_of_most_scenes_counts_whatever_their_order() -> None:
    odd = item({"a": 10, "b": 10}, (600004.0, 5300044.0))
    even = item({"a": 10, "b": 10})
    other = item({"a": 10, "b": 10}, (300007.0, 5300047.0), 32633)
    for items in ([odd, even, even, other, other], [other, even, odd, other, even]):
        assert grid_of(items, spatial_res=10).bounds[0] % 10 == 0


def test_by_default_the_finest_pixels_of_the_assets() -> None:
    scene = item({"red": 10, "swir": 20, "scl": 60})
    assert grid_of([scene]).resolution == (10, 10)
    assert grid_of([scene], asset_names=["scl", "swir"]).resolution == (20, 20)
    assert grid_of([scene, item({"red": 10, "swir": 20, "scl": 60}, epsg=32633)]).shape[0] == 400


@pytest.mark.parametrize(
    ("items", "params"),
    [
        ([item({"data": 10})], {}),
        ([item({"red": 10, "nir": 10}, epsg=3035)], {}),
        ([item({"red": 10, "nir": 10})], {"point": None, "bbox_width": None}),
        ([item({"red": 10, "nir": 10})], {"bbox_width": None}),
    ],
)
def test_others_keep_the_grid_of_their_source(
    items: list[pystac.Item], params: dict[str, Any]
) -> None:
    assert not is_on_utm(variable(**params), all_views(items))


def test_an_item_of_one_asset_is_a_scene_by_its_fields() -> None:
    scene = item({"data": 10}, **{"eo:cloud_cover": 3})
    assert grid_of([scene]).resolution == (10, 10)
    # Without scenes, the resolution says so.
    assert grid_of([item({"data": 10})], spatial_res=20).resolution == (20, 20)


def test_a_box_is_covered_by_pixels_with_their_centre_in_it() -> None:
    box = [600005.0, 5299000.0, 600304.0, 5299100.0]
    grid = grid_of([item({"a": 10, "b": 10})], point=None, bbox_width=None, bbox=box,
                   crs="EPSG:32632", spatial_res=10)  # fmt: skip
    # A centre on the west edge is in it, one on the south edge is not.
    assert grid.bounds == (600000, 5299000, 600300, 5299100)


def test_an_area_of_less_than_a_pixel_is_refused() -> None:
    with pytest.raises(BuildError, match="s2: open_params: no centre of a pixel of 10 m lies in"):
        grid_of([item({"a": 10, "b": 10})], bbox_width=0.5, spatial_res=10)


def test_scenes_of_several_zones_without_an_area_are_told_of_it() -> None:
    whole = SourceVariable.model_validate({"store": "s", "data_id": "s2"})
    views = all_views([item({"red": 10, "nir": 10}), item({"red": 10, "nir": 10}, epsg=32633)])
    with pytest.raises(BuildError, match="name one of grid_mappings, or state spatial_res and an"):
        own_grid(whole, views)


def test_the_finest_views_have_the_grid_of_scenes_without_an_area() -> None:
    views = all_views([item({"red": 10, "nir": 10, "scl": 20})])
    whole = SourceVariable.model_validate({"store": "s", "data_id": "s2"})
    assert len(finest(whole, views)) == 2
    single = [item({"data": 10})]
    assert finest(whole, single) == single
