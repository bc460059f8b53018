"""``open_params`` of a STAC catalog's data are part of the data id."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.stac_ids import fold

STORES = [
    {"identifier": "api", "store_id": "stac"},
    {"identifier": "local", "store_id": "file"},
]


def folded(params: Any, data_id: str = "s2", store: str = "api") -> tuple[str, Any]:
    source = {"identifier": "one", "store": store, "data_id": data_id, "open_params": params}
    data = {"data_stores": STORES, "datasets": [source]}
    (found,) = fold(data)["datasets"]
    (nested,) = fold({"data_stores": STORES, "datasets": [{"variables": [source]}]})["datasets"]
    assert nested["variables"] == [found]
    assert source["data_id"] == data_id
    return found["data_id"], found["open_params"]


@pytest.mark.parametrize(
    ("params", "data_id"),
    [
        ({"asset_names": ["a b"]}, "s2?asset_names=a%20b"),
        ({"asset_names": " B04 "}, "s2?asset_names=B04"),
        ({"datetime": "2018"}, "s2?datetime=2018"),
        ({"datetime": ["2018", None]}, "s2?datetime=2018/"),
        ({"datetime": "2018", "asset_names": "B04"}, "s2?asset_names=B04&datetime=2018"),
    ],
)
def test_what_is_said_beside_a_data_id(params: dict[str, Any], data_id: str) -> None:
    assert folded(params) == (data_id, {})


@pytest.mark.parametrize(
    ("data_id", "params", "expected", "rest"),
    [
        ("s2", {"asset_names": ["b", "a"]}, "s2?asset_names=b,a", {"asset_names": ["b", "a"]}),
        ("s2", {"asset_names": "b, a"}, "s2?asset_names=b,a", {"asset_names": ["b", "a"]}),
        (
            "s2",
            {"asset_names": ["red"], "mask": {"asset": "scl"}},
            "s2?asset_names=red,scl",
            {"asset_names": ["red"], "mask": {"asset": "scl"}},
        ),
        (
            "s2",
            {"asset_names": ["red", "scl"], "mask": [{"asset": "scl"}, {"asset": "aot"}]},
            "s2?asset_names=red,scl,aot",
            {"asset_names": ["red", "scl"], "mask": [{"asset": "scl"}, {"asset": "aot"}]},
        ),
        (
            "s2?asset_names=red&bbox=1,2,3,4",
            {"mask": {"asset": "qa"}},
            "s2?asset_names=red,qa&bbox=1,2,3,4",
            {"mask": {"asset": "qa"}, "asset_names": ["red"]},
        ),
        ("s2?asset_names=b,a", {}, "s2?asset_names=b,a", {"asset_names": ["b", "a"]}),
        ("s2", {"query": "eo:cloud_cover<20"}, "s2?query=eo:cloud_cover%3C20", {}),
        ("s2", {"query": ["a=1", "b=2"]}, "s2?query=a%3D1&query=b%3D2", {}),
        ("s2", {"filter": "a = 'x&y'"}, "s2?filter=a%20%3D%20%27x%26y%27", {}),
        ("s2", {"asset_names": ["a", 1]}, "s2", {"asset_names": ["a", 1]}),
        (
            "s2",
            {"query": {"b": {"lt": 2}, "a": {"gt": 1}}},
            "s2?query=%7B%22a%22:%20%7B%22gt%22:%201%7D,%20%22b%22:%20%7B%22lt%22:%202%7D%7D",
            {},
        ),
        (
            "s2",
            {"query": [{"a": {"gt": 1}}, "b=2"]},
            "s2?query=%7B%22a%22:%20%7B%22gt%22:%201%7D%7D&query=b%3D2",
            {},
        ),
        ("s2", {"query": {}}, "s2", {"query": {}}),
        ("s2", {"query": ["a", 3]}, "s2", {"query": ["a", 3]}),
        ("s2", {"filter": ["a"]}, "s2", {"filter": ["a"]}),
    ],
)
def test_assets_of_variables_and_masks_are_found_together(
    data_id: str, params: dict[str, Any], expected: str, rest: dict[str, Any]
) -> None:
    assert folded(params, data_id) == (expected, rest)


def test_times_and_areas_are_searched_for_and_cut_to() -> None:
    data_id, rest = folded({"time_range": ["2018-01", ".."], "bbox": [1, 2, 3, 4]})
    assert data_id == "s2?bbox=1.0,2.0,3.0,4.0&datetime=2018-01/"
    assert rest == {"time_range": ["2018-01", None], "bbox": [1, 2, 3, 4]}
    data_id, _ = folded({"bbox": [4_000_000, 3_000_000, 4_100_000, 3_100_000], "crs": "EPSG:3035"})
    west, south, east, north = map(float, data_id.partition("bbox=")[2].split(","))
    assert (round(west), round(south), round(east), round(north)) == (5, 50, 7, 51)


def test_what_the_data_id_says_already_stays() -> None:
    assert folded({"datetime": "2018"}, "s2?datetime=2017") == (
        "s2?datetime=2017",
        {"datetime": "2018"},
    )
    assert folded({"asset_names": "a"}, "s2?datetime=2017") == (
        "s2?datetime=2017&asset_names=a",
        {},
    )


@pytest.mark.parametrize(
    "params",
    [7, {"asset_names": []}, {"asset_names": [1]}, {"datetime": [1, 2, 3]}, {"bbox": [1, 2]}],
)
def test_what_is_not_well_formed_is_left_to_the_models(params: Any) -> None:
    assert folded(params) == ("s2", params)


def test_other_stores_have_no_such_parameters() -> None:
    assert folded({"datetime": "2018"}, store="local") == ("s2", {"datetime": "2018"})


@pytest.mark.parametrize(
    "data", [7, {}, {"data_stores": STORES}, {"data_stores": STORES, "datasets": [7]}]
)
def test_other_data_stay(data: Any) -> None:
    assert fold(data) == data


@pytest.mark.parametrize(
    ("grid", "params", "data_id"),
    [
        ({"crs": "EPSG:32632", "spatial_res": 20}, {}, "s2?asset_names=B04,SCL&spatial_res=20"),
        ({"crs": "EPSG:32632", "spatial_res": [10, 12.5]}, {}, "…&spatial_res=12.5"),
        ({"crs": "EPSG:4326", "spatial_res": 0.0001}, {}, "…&spatial_res=11.132"),
        ({"crs": "EPSG:2263", "spatial_res": 100}, {}, "…&spatial_res=30.4801"),
        ({"crs": "EPSG:32632", "spatial_res": 20}, {"spatial_res": 60}, "…&spatial_res=20"),
        (None, {"spatial_res": 60}, "…&spatial_res=60"),
        # As of a table, and as YAML reads 1e1.
        (None, {"spatial_res": " 010"}, "…&spatial_res=10"),
        ({"crs": "EPSG:32632", "spatial_res": "1e1"}, {}, "…&spatial_res=10"),
        (None, {}, "…"),
        ({"crs": "nowhere", "spatial_res": 20}, {}, "…"),
        ({"crs": "EPSG:32632", "spatial_res": "fine"}, {}, "…"),
        ({"crs": "EPSG:32632", "spatial_res": 20}, {"asset_names": "B04"}, "s2?asset_names=B04"),
        (
            {"crs": "EPSG:32632", "spatial_res": 20},
            {"asset_names": "B04", "bbox": [1, 2, 3, 4]},
            "s2?asset_names=B04&bbox=1.0,2.0,3.0,4.0",
        ),
    ],
)
def test_scenes_are_looked_for_in_the_resolution_of_the_cube(
    grid: Any, params: dict[str, Any], data_id: str
) -> None:
    """A data id of one asset stays as it was, as catalogs have it."""
    entry = {"store": "api", "data_id": "s2", "grid_mapping": "g"}
    entry["open_params"] = {"asset_names": ["B04", "SCL"]} | params
    found = fold(
        {
            "data_stores": [{"identifier": "api", "store_id": "stac"}],
            "grid_mappings": [{"identifier": "g", **grid}] if grid else [],
            "datasets": [entry],
        }
    )
    assert found["datasets"][0]["data_id"] == data_id.replace("…", "s2?asset_names=B04,SCL")
