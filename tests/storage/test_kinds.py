"""Every kind of store that can take cubes has a storage."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.stores import MODELS, kinds_that
from stacbuild.storage.kinds import storage_of
from stacbuild.storage.output import Storage

PARAMS: dict[str, dict[str, Any]] = {"file": {"root": "d"}, "s3": {"root": "bucket"}, "memory": {}}


@pytest.mark.parametrize("kind", kinds_that(lambda model: model.writable))
def test_a_storage_of_each_writable_kind(kind: str) -> None:
    data = {"identifier": "storage", "store_id": kind, "store_params": PARAMS[kind]}
    storage = storage_of(MODELS[kind].model_validate(data))
    assert isinstance(storage, Storage)
    assert storage.persistent == (kind != "memory")


def test_no_other_kind_has_one() -> None:
    web = {"identifier": "web", "store_id": "https", "store_params": {"root": "host.example"}}
    with pytest.raises(AssertionError, match="https"):
        storage_of(MODELS["https"].model_validate(web))
