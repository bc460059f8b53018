"""Data ids are matched by patterns, and stores made of parameters."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.stores import MODELS
from stacbuild.errors import ConfigError
from stacbuild.sources.listing_base import Entry, make_store, matches, matches_inside


def test_patterns_are_of_whole_data_ids() -> None:
    assert matches("a/b.tif", None)
    assert matches("a/b.tif", "*.tif")
    assert not matches("a/B.tif", "*b.tif")
    assert not matches("a/b.tif", "b.tif")


def test_a_pattern_may_be_of_what_is_inside() -> None:
    assert matches_inside("france", "fr*/mask.tif")
    assert not matches_inside("andorra", "fr*/mask.tif")
    assert not matches_inside("france", "france")
    assert not matches_inside("france", None)


def test_unknown_values_are_left_out() -> None:
    assert Entry("a", "Zarr").to_dict() == {"data_id": "a", "type": "Zarr"}
    assert Entry("a", "Zarr", 0).to_dict() == {"data_id": "a", "type": "Zarr", "size": 0}


def test_a_store_of_a_kind_or_of_a_configuration() -> None:
    store = make_store("https", "host.example")
    assert isinstance(store, MODELS["https"])
    assert make_store(store) is store
    assert make_store("stac-pc").store_id == "stac"
    with pytest.raises(ConfigError, match="its own root"):
        make_store(store, "other")


@pytest.mark.parametrize(
    ("kind", "root", "params", "said"),
    [
        ("memory", "", {}, "'memory'"),
        ("zenod", "", {}, "did you mean 'zenodo'"),
        ("cds", "", {}, "cdsapi"),
        ("zenodo", "", {}, "zenodo root: "),
        ("s3", "bucket", {"storage_options": {"key": "canary-k"}}, "s3 storage_options: "),
    ],
)
def test_mistakes_are_in_the_words_of_the_kind(
    kind: str, root: str, params: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        make_store(kind, root, params)
    assert "canary" not in str(caught.value)
