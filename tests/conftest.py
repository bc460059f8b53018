"""Fixtures for all tests."""

import gc
import itertools
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from stacbuild import safe_text
from stacbuild.formats import kept_pages, zarr_http
from stacbuild.net import http, pace
from tests.standins.fixtures import (
    _running,
    _running_s3,
    endpoints,
    realdata,
    s3_server,
    scs2_config,
    standin_data,
    standins,
    zenodo_server,
)
from tests.support.cli import shared_runs
from tests.support.forked import Runs, without_syncing

__all__ = [
    "_running",
    "_running_s3",
    "endpoints",
    "realdata",
    "s3_server",
    "scs2_config",
    "standin_data",
    "standins",
    "zenodo_server",
]

_numbers = itertools.count()


# Files that take longest, begun first: a long one that is begun last keeps one process busy alone.
_LONGEST = (
    "test_resume",
    "test_browser",
    "test_formats",
    "test_cube",
    "test_counts",
    "test_compute",
    "test_faults_wire",
    "test_planner",
    "test_tools_demo",
    "test_bad_input",
    "test_cluster",
    "test_resume_long",
    "test_longitudes",
    "test_config_effects",
    "test_faults",
    "test_storage",
    "test_preview",
    "test_canary",
    "test_modules",
    "test_harvest",
    "test_notebook",
    "test_validate",
    "test_process_state",
    "test_properties_config",
    "test_program",
    "test_properties_grid",
    "test_grids_polar",
    "test_locks",
    "test_temporal",
    "test_realdata",
    "test_foreign",
)


def pytest_configure() -> None:
    # As `stacbuild.cli.program.main` does, and for its reason: a quarter of all time of tests.
    gc.set_threshold(100_000, 50, 50)
    without_syncing()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files come first, and all others in their order."""
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_collection_finish() -> None:
    """Leave what is imported out of what is gone through for garbage from here on."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _a_pace_of_its_own() -> None:
    """Let every test begin as a new process does, not in debt for the requests of the others."""
    pace.forget()


@pytest.fixture(autouse=True)
def _kept_bytes_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep no bytes of one test's server for another's, which may have its port."""
    folder = tmp_path_factory.getbasetemp() / f"kept-{next(_numbers)}"
    monkeypatch.setattr(kept_pages, "user_cache", lambda: folder)


@pytest.fixture(autouse=True)
def _secrets_of_its_own() -> Iterator[None]:
    """Forget what a test took for a secret: any word may be one, masked in the next test."""
    known, pattern = set(safe_text._secrets), safe_text._pattern
    yield
    safe_text._secrets.clear()
    safe_text._secrets.update(known)
    safe_text._pattern = pattern


@pytest.fixture(autouse=True)
def _helpers_of_its_own() -> Iterator[None]:
    """Forget the module that tests of users' functions import as the process's own."""
    sys.modules.pop("helpers", None)
    yield
    sys.modules.pop("helpers", None)


@pytest.fixture
def unwaited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the pauses between tries take no time; return their seconds."""
    waited: list[float] = []
    instead = SimpleNamespace(sleep=waited.append, time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr(http, "time", instead)
    of_zarr = zarr_http.Retrying._wait

    def wait(*words: Any) -> float:
        waited.append(of_zarr(*words))
        return 0

    monkeypatch.setattr(zarr_http.Retrying, "_wait", wait)
    return waited


@pytest.fixture(scope="session")
def runs() -> Runs:
    """Return the process whose children runs of the command are, which can be killed."""
    return shared_runs()
