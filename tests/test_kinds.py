"""The registry names a package for each kind of store."""

from __future__ import annotations

import pytest

from stacbuild.config.stores import MODELS
from stacbuild.kinds import KINDS, load_module
from tests.support.paths import ROOT


def test_each_folder_of_a_kind_is_registered() -> None:
    folders = {path.parent.name for path in (ROOT / "stacbuild" / "sources").glob("*/store.py")}
    assert {package.rpartition(".")[2] for package in KINDS.values()} == folders


@pytest.mark.parametrize("kind", KINDS)
def test_the_module_of_a_kind_is_imported_by_name(kind: str) -> None:
    module = load_module(kind, "store")
    assert module.__name__ == f"{KINDS[kind]}.store"
    assert MODELS[kind].__module__ == module.__name__


def test_an_unknown_kind_has_no_module() -> None:
    with pytest.raises(KeyError, match="ftp"):
        load_module("ftp", "store")
