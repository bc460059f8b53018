"""What pydantic finds wrong is said in the words of the file."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.config.models import Config
from stacbuild.config.wording import translated

STORES = [{"identifier": "storage", "store_id": "memory"}]
ONE = {"identifier": "one", "store": "s", "data_id": "a"}


def said(**more: Any) -> dict[str, str]:
    data = {"datasets": [ONE], "data_stores": STORES, **more}
    context: dict[str, Any] = {"directory": None, "path": None, "known": {}}
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(data, context=context)
    problems = translated(caught.value.errors(include_url=False), data, context["known"])
    return {".".join(map(str, each.path)): each.message for each in problems}


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        (
            {"datasets": [ONE | {"stor": 1}]},
            "datasets.0.stor",
            "unknown key (did you mean 'store'?)",
        ),
        ({"datasets": [{"identifier": "one", "store": "s"}]}, "datasets.0.data_id", "is missing"),
        (
            {"datasets": [ONE | {"data_id": None}]},
            "datasets.0.data_id",
            "is empty; set a value or leave the key out",
        ),
        (
            {"datasets": [ONE | {"data_id": 7}]},
            "datasets.0.data_id",
            "has to be text, got the number 7; put it in quotes",
        ),
        (
            {"datasets": [ONE | {"open_params": 7}]},
            "datasets.0.open_params",
            "has to be a mapping (key: value), got the number 7",
        ),
        ({"datasets": ONE}, "datasets", "has to be a list, got a mapping"),
        ({"datasets": []}, "datasets", "is empty; it needs at least one item"),
        (
            {"datasets": [ONE | {"format_id": "zar"}]},
            "datasets.0.format_id",
            "has to be 'zarr', 'netcdf' or 'levels', got 'zar' (did you mean 'zarr'?)",
        ),
        ({"data_stores": [{"identifier": "s"}]}, "data_stores.0.store_id", "is missing"),
        (
            {"general": {"force_preload": "maybe"}},
            "general.force_preload",
            "has to be true or false, got 'maybe'",
        ),
    ],
)
def test_each_mistake(more: dict[str, Any], path: str, message: str) -> None:
    assert said(**more)[path] == message


def test_a_truth_value_that_was_meant_as_text() -> None:
    assert "put it in quotes" in said(datasets=[ONE | {"data_id": True}])["datasets.0.data_id"]


def test_keys_of_a_source_belong_to_a_source() -> None:
    several = {"identifier": "one", "variables": [ONE], "custom_processing": {}}
    assert said(datasets=[several]) == {
        "datasets.0.custom_processing": "belongs into each item of variables, not beside them"
    }


def test_keys_of_open_params_belong_there() -> None:
    found = said(datasets=[ONE | {"band_as_variable": True, "bbox": [0, 0, 1, 1]}])
    assert found.pop("datasets.0.band_as_variable") == "belongs into open_params"
    assert found["datasets.0.bbox"].startswith("unknown key")


def test_a_credential_is_not_repeated() -> None:
    store = {
        "identifier": "s",
        "store_id": "s3",
        "store_params": {"root": "b", "storage_options": {"key": ["canary"], "secret": 12345}},
    }
    found = said(data_stores=[*STORES, store])
    assert set(found) == {
        "data_stores.1.store_params.storage_options.key",
        "data_stores.1.store_params.storage_options.secret",
    }
    assert "canary" not in str(found)
    assert "12345" not in str(found)
