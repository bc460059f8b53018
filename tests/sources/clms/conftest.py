"""One product, its server and its delivery, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stacbuild.net.http import session
from stacbuild.progress import reported_to
from stacbuild.sources.clms.api import ClmsApi
from stacbuild.sources.clms.auth import read_credentials
from stacbuild.sources.clms.delivery import Delivery, Polling, Tile, deliver
from tests.standins.clms import ClmsServer, Product
from tests.support.clms import (
    AT_ONCE,
    DATA_ID,
    FILE,
    Recorder,
    Run,
    product,
    two_tiles,
)


@pytest.fixture
def forest(tmp_path: Path) -> Product:
    return product(two_tiles(tmp_path / "sent.zip"), other_files=("FTY_listed_only",))


@pytest.fixture
def server(forest: Product) -> Iterator[ClmsServer]:
    with ClmsServer(forest) as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with session(tries=2, backoff=0.01) as made:
        yield made


@pytest.fixture
def api(server: ClmsServer, http: requests.Session) -> ClmsApi:
    return ClmsApi(server.api, http, lambda: read_credentials(None, server.credentials()))


@pytest.fixture
def delivery(forest: Product, tmp_path: Path) -> Delivery:
    folder = tmp_path / "cache" / FILE
    return Delivery(DATA_ID, forest.uid, forest.file_id(FILE), None, folder)


@pytest.fixture
def run(api: ClmsApi, http: requests.Session, delivery: Delivery) -> Run:
    def run(reporter: Recorder | None = None, polling: Polling = AT_ONCE) -> tuple[Tile, ...]:
        with reported_to(reporter):
            return deliver(delivery, api, http, polling)

    return run
