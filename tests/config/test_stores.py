"""Each kind of store has a model, which states what it can do."""

from __future__ import annotations

from types import ModuleType

import pytest
from pydantic import TypeAdapter, ValidationError

from stacbuild.config import stores
from stacbuild.config.stores import MODELS, AnyStore, kinds_that
from stacbuild.kinds import KINDS


def test_each_kind_has_a_model_with_its_name() -> None:
    assert list(MODELS) == list(KINDS)
    for kind, model in MODELS.items():
        assert model.__name__.lower() == f"{kind}store"
        assert model.__doc__


def test_kinds_by_what_they_can_do() -> None:
    assert kinds_that(lambda model: model.writable) == ("file", "memory", "s3")
    assert kinds_that(lambda model: model.preloadable) == ("clms", "zenodo")
    assert kinds_that(lambda model: not model.readable) == ("memory",)
    assert kinds_that(lambda _: False) == ()


def test_a_store_is_read_by_its_kind() -> None:
    adapter = TypeAdapter(AnyStore)
    assert isinstance(
        adapter.validate_python({"identifier": "s", "store_id": "memory"}), MODELS["memory"]
    )
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        adapter.validate_python({"identifier": "s", "store_id": "ftp"})


def test_a_package_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "load_module", lambda *_: ModuleType("some.store"))
    with pytest.raises(ImportError, match=r"some\.store: defines no store with store_id: .*'file'"):
        stores._model("file")
