"""pytest fixtures: data made once a session, servers started once and reset before each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.standins.data import Data, load_or_make
from tests.standins.demo import Endpoints, Servers, demo_config, serve
from tests.standins.s3 import S3Server
from tests.standins.zenodo import ZenodoServer
from tests.support.paths import SHARED


@pytest.fixture(scope="session")
def standin_data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Data of all sources for the demo's box. Not to be changed by a test."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return load_or_make(base / "sources")
    # The folder above is one for all that run side by side.
    with FileLock(base.parent / "sources.lock"):
        return load_or_make(base.parent / "sources")


@pytest.fixture(scope="session")
def _running(standin_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with serve(standin_data, tmp_path_factory.mktemp("credentials")) as servers:
        yield servers


@pytest.fixture
def standins(_running: Servers) -> Servers:
    """All three servers with the demo's data, as they started."""
    _running.reset()
    return _running


@pytest.fixture
def endpoints(standins: Servers) -> Endpoints:
    """Addresses of the three servers."""
    return standins.endpoints


@pytest.fixture
def scs2_config(tmp_path: Path, endpoints: Endpoints) -> Path:
    """The SCS2 configuration in a directory of its own, moved to the stand-ins."""
    return demo_config(tmp_path / "scs2", endpoints)


@pytest.fixture
def zenodo_server() -> Iterator[ZenodoServer]:
    """An empty Zenodo of the test's own: put records into ``.records``."""
    with ZenodoServer() as server:
        yield server


@pytest.fixture(scope="session")
def _running_s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3_server(_running_s3: S3Server) -> S3Server:
    """A running S3, for buckets of the test's own."""
    _running_s3.reset()
    return _running_s3


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of small real inputs; skips the test where there is none."""
    if not (SHARED / "realdata").is_dir():
        pytest.skip(f"no real inputs at {SHARED / 'realdata'}")
    return SHARED / "realdata"
