"""The CLMS as a store: credentials as a file or as a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stacbuild.sources.clms.store import ClmsStore


def store(directory: Path, **params: Any) -> ClmsStore:
    data = {"identifier": "clms", "store_id": "clms", "store_params": params}
    return ClmsStore.model_validate(
        data, context={"directory": directory, "path": None, "known": {}}
    )


def test_credentials_are_a_file_beside_the_configuration(tmp_path: Path) -> None:
    found = store(tmp_path, credentials="clms.json")
    assert found.credentials == tmp_path / "clms.json"
    assert found.credentials_inline is None


def test_credentials_may_be_pasted_with_empty_fields(tmp_path: Path) -> None:
    found = store(tmp_path, credentials={"client_id": "canary-client", "ip_range": None})
    assert found.credentials is None
    assert found.credentials_inline is not None
    assert set(found.credentials_inline) == {"client_id"}
    assert "canary" not in repr(found) + str(found.model_dump(mode="json"))


def test_the_collection_of_a_data_id_is_its_product(tmp_path: Path) -> None:
    found = store(tmp_path)
    assert found.collection_key("tree-cover|2018.zip") == "tree-cover"
    assert (found.key, found.credentials) == ("clms", None)
    assert not found.described_in_place
