"""Parameters of scenes: masks, groups, and where they are allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import stacbuild
from stacbuild.config.datasets import OpenParams
from stacbuild.config.scenes import Mask
from stacbuild.errors import ConfigError


def configuration(store: str, **params: Any) -> dict[str, Any]:
    roots = {
        "stac": {"url": "https://example.org/v1"},
        "file": {"root": "data"},
    }
    return {
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
            {"identifier": "source", "store_id": store, "store_params": roots[store]},
        ],
        "grid_mappings": [
            {
                "identifier": "grid",
                "bbox": [0, 0, 1, 1],
                "spatial_res": 0.1,
                "crs": "EPSG:4326",
                "tile_size": 10,
            }
        ],
        "datasets": [
            {
                "identifier": "one",
                "store": "source",
                "data_id": "s2",
                "grid_mapping": "grid",
                "open_params": params,
            }
        ],
    }


def test_the_assets_of_a_mask_are_found_but_no_variables() -> None:
    mask = {"asset": "scl", "values": [3, 8], "dilate": 2}
    config = stacbuild.load_config(configuration("stac", asset_names=["red", "nir"], mask=mask))
    dataset = config.datasets[0].variables[0]
    assert dataset.data_id == "s2?asset_names=red,nir,scl&spatial_res=11132"
    assert dataset.open_params.asset_names == ("red", "nir")
    assert dataset.open_params.masks == (Mask(asset="scl", values=(3, 8), dilate=2),)


@pytest.mark.parametrize("key", ["groupby", "mask", "duplicates", "apply_scaling", "errors"])
def test_parameters_of_scenes_are_refused_for_files(key: str) -> None:
    with pytest.raises(ConfigError, match=f"open_params.{key}: is for scenes, in stores of kind"):
        stacbuild.load_config(configuration("file", **{key: "time"}))


def test_a_cube_without_scenes_has_none_of_these_parameters() -> None:
    assert OpenParams().model_dump(exclude_none=True) == {"band_as_variable": False}


@pytest.mark.parametrize("value", ["solar_day", "time", "id", "P1M", "P10D", "P2W", "P1Y"])
def test_groups(value: str) -> None:
    assert OpenParams(groupby=value).groupby == value


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"groupby": "month"}, "solar_day, time, id or an ISO 8601 period"),
        ({"groupby": "P0D"}, "ISO 8601 period"),
        ({"groupby": "PT6H"}, "ISO 8601 period"),
        ({"asset_names": ["a", "a"]}, "names 'a' twice"),
        ({"mask": {"asset": "scl", "values": [3]}}, "needs asset_names"),
        ({"asset_names": ["a"], "mask": {"asset": "data", "values": [3]}}, "write 'DATA'"),
        ({"asset_names": ["a"], "mask": {"asset": "a", "values": [3]}}, "masks 'a' by itself"),
        ({"asset_names": ["a"], "mask": {"asset": "scl"}}, "one of values, bits and classes"),
        (
            {"asset_names": ["a"], "mask": {"asset": "scl", "values": [1], "bits": [1]}},
            "one of values, bits and classes",
        ),
        ({"asset_names": ["a"], "mask": {"asset": "scl", "values": []}}, "at least 1 item"),
        ({"asset_names": ["a"], "mask": {"asset": "q", "bits": [1], "dilate": -1}}, "greater than"),
        ({"duplicates": "oldest"}, "'newest' or 'all'"),
    ],
)
def test_mistakes(params: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        OpenParams.model_validate(params)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ({"asset": "scl", "values": [8], "dilate": 1.5}, "mask.dilate: has to be a whole number"),
        ([{"asset": "scl", "values": [8], "dilat": 1}], "mask.0.dilat: unknown key"),
        ({"asset": "scl"}, "mask: needs one of values"),
        ("scl", "mask: has to be a mapping"),
        ([], "mask: is empty"),
    ],
)
def test_a_mistake_in_a_mask_is_reported_once(mask: Any, expected: str) -> None:
    with pytest.raises(stacbuild.ConfigError) as caught:
        stacbuild.load_config(configuration("stac", asset_names=["red"], mask=mask))
    (line,) = str(caught.value).splitlines()
    assert expected in line
