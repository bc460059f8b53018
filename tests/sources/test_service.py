"""Services with an API and a cache: what is stated, what the environment says, what is implied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacbuild.sources.zenodo.store import ZenodoStore


def service(directory: Path, **params: Any) -> ZenodoStore:
    data = {"identifier": "z", "store_id": "zenodo", "store_params": {"root": "7", **params}}
    context = {"directory": directory, "path": None, "known": {}}
    return ZenodoStore.model_validate(data, context=context)


def test_the_configuration_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STACBUILD_ZENODO_API", raising=False)
    assert service(tmp_path).api == ZenodoStore.api_default
    monkeypatch.setenv("STACBUILD_ZENODO_API", "https://sandbox.example/api/")
    assert service(tmp_path).api == "https://sandbox.example/api"
    stated = service(tmp_path, endpoint_url="https://own.example/api")
    assert stated.api == "https://own.example/api"
    assert stated.servers == ("https://own.example/api",)
    assert "endpoint_url" not in stated.implied_params


def test_what_is_implied_is_told_but_no_user_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACBUILD_ZENODO_API", "https://me:canary@sandbox.example/api")
    implied = service(tmp_path).implied_params
    assert implied == {"cache_store_params": {"root": "zenodo_cache"}}
    assert service(tmp_path).cache == tmp_path / "zenodo_cache"
    assert service(tmp_path, cache_store_params={"root": "../c"}).cache == tmp_path.parent / "c"


def test_options_of_the_command_line() -> None:
    assert ZenodoStore.params_of(None, signed=True) == {}
    assert ZenodoStore.params_of("https://a", signed=False) == {"endpoint_url": "https://a"}
