"""Stores of a configuration."""

from __future__ import annotations

from typing import Any

from tests.support.cli import Json


def store(name: str, root: object, kind: str = "file", **params: Any) -> Json:
    return {
        "identifier": name,
        "store_id": kind,
        "store_params": {"root": str(root), **params},
    }


def options(server: str) -> Json:
    return {"anon": True, "endpoint_url": server}
