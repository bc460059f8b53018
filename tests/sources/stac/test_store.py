"""Somebody's STAC catalog as a store: where it is, and where its hrefs may lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.sources.stac.store import StacStore


def store(**params: Any) -> StacStore:
    return StacStore.model_validate({"identifier": "s", "store_id": "stac", "store_params": params})


def test_a_catalog_on_the_web() -> None:
    found = store(url="https://host.example/stac/")
    assert (found.key, found.location) == ("stac:host.example/stac", "https://host.example/stac")
    assert (found.catalog_folder, found.servers) == (None, ("https://host.example/stac",))
    assert store(root="https://host.example/stac").key == found.key


def test_a_catalog_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("")
    assert store(root=str(tmp_path / "one.json")).location == str(tmp_path / "one.json")
    assert store(root=str(tmp_path)).location == str(tmp_path / "catalog.json")
    (tmp_path / "collection.json").write_text("")
    found = store(root=str(tmp_path))
    assert found.location == str(tmp_path / "collection.json")
    assert found.folder == tmp_path
    # It may lead into the web, and to no server of a private network.
    assert found.server == "https://web.invalid"


def test_buckets_are_read_unsigned_unless_there_are_keys() -> None:
    plain = store(url="https://host.example")
    assert (plain.anonymous, plain.s3_root, plain.s3_options) == (True, None, {})
    assert plain.storage_options == {"anon": True}
    signed = store(
        url="https://host.example", storage_options={"key": "kkkkkkkk", "secret": "ssssssss"}
    )
    assert (signed.anonymous, signed.s3_root) == (False, "s3://")
    assert signed.s3_options["key"] == "kkkkkkkk"


@pytest.mark.parametrize("params", [{}, {"url": "https://a.example", "root": "b"}])
def test_one_address_is_needed(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="url or as root"):
        store(**params)
