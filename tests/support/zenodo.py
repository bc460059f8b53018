"""Harvests of records from the stand-in of Zenodo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stacbuild.profiles import Profiles
from stacbuild.progress import Silent
from stacbuild.sources.base import Wanted
from stacbuild.sources.zenodo.harvest import harvest
from stacbuild.sources.zenodo.store import ZenodoStore
from stacbuild.stac.catalog import Harvest
from tests.standins.zenodo import ZenodoServer


class Told(Silent):
    """A reporter that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)


def store_of(server: ZenodoServer, record: str, cache: Path, **params: Any) -> ZenodoStore:
    return ZenodoStore(
        identifier="z",
        store_id="zenodo",
        store_params={
            "root": record,
            "endpoint_url": server.api,
            "cache_store_params": {"root": str(cache)},
        }
        | params,
    )


def harvested(
    store: ZenodoStore, *data_ids: str, preload: tuple[str, ...] = (), **options: Any
) -> Harvest:
    wanted = Wanted(data_ids, preload, options.pop("force", False))
    (found,) = harvest(store, wanted, options.pop("profiles", Profiles.load()))
    return found


def contents(server: ZenodoServer) -> list[str]:
    return [entry.path for entry in server.log if "/content" in entry.path]
