"""Keys of the notebook's tool that are not acted on are refused, each with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.models import Config
from stacbuild.config.unsupported import REFUSALS, unsupported


def found(data: Any) -> list[str]:
    return [".".join(map(str, each.path)) for each in unsupported(data)]


def test_a_key_is_found_at_each_of_its_places() -> None:
    params = {"open_params": {"chunks": 1, "bbox": [0, 0, 1, 1]}}
    data = {"datasets": [params, {"variables": [{}, params]}], "general": {"gdal_http_params": {}}}
    assert found(data) == [
        "datasets.0.open_params.chunks",
        "datasets.1.variables.1.open_params.chunks",
        "general.gdal_http_params",
    ]
    (first, *_) = unsupported(data)
    assert first.on_key
    assert first.message.startswith("is not supported yet; chunks of the cube are the tile_size")


def test_the_variables_of_another_tool_are_named_otherwise() -> None:
    (found,) = unsupported({"datasets": [{"open_params": {"variables": ["b04"]}}]})
    assert found.message.endswith(
        "name assets of scenes by asset_names, variables of a file by variable_names"
    )


def test_some_values_only_are_refused() -> None:
    spatial = {"agg_methods": {"a": "mode", "b": "std"}, "interp_methods": "nearest"}
    temporal = {"agg_methods": "std", "interp_methods": "cubic"}
    data = {
        "datasets": [{"spatial_resample_params": spatial, "temporal_resample_params": temporal}],
        "general": {"dask_scheduler": "distributed"},
        "preload_datasets": [{"preload_params": {"blocking": True}}],
    }
    assert found(data) == [
        "datasets.0.spatial_resample_params.agg_methods",
        "datasets.0.temporal_resample_params.interp_methods",
        "general.dask_scheduler",
    ]


@pytest.mark.parametrize("data", [None, [], {"datasets": 7}, {"datasets": [7], "general": []}])
def test_what_is_of_another_shape_has_none(data: Any) -> None:
    assert found(data) == []


def test_a_key_that_is_refused_whatever_its_value_is_none_of_the_models() -> None:
    fields = set(Config.model_json_schema()["$defs"]["General"]["properties"])
    always = {key for row in REFUSALS for key in row.keys if row.refused("anything else")}
    assert not always & fields
