"""pytest fixtures: data made once a session, servers started once and reset before each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standins.data import Data, load_or_make
from tests.standins.demo import ROOT, Endpoints, Servers, demo_config, serve
from tests.standins.s3 import S3Server
from tests.standins.zenodo import ZenodoServer


@pytest.fixture(scope="session")
def standin_data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Data of all sources for the demo's box. Not to be changed by a test."""
    return load_or_make(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def _running(standin_data: Data) -> Iterator[Servers]:
    with serve(standin_data) as servers:
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


@pytest.fixture
def s3_server(_running: Servers) -> S3Server:
    """The running S3, for buckets of the test's own."""
    _running.s3.reset()
    return _running.s3


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of small real inputs; skips the test where there is none."""
    shared = Path(os.environ.get("STACBUILD_SHARED", ROOT.parent / "shared"))
    if not (shared / "realdata").is_dir():
        pytest.skip(f"no real inputs at {shared / 'realdata'}")
    return shared / "realdata"
