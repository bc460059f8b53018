"""Fixtures for all tests."""

import gc

import pytest

from stacbuild.fetch import pace
from tests.cli import shared_runs
from tests.forked import Runs
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


def pytest_configure() -> None:
    # As `stacbuild.cli.program.main` does, and for its reason: a quarter of all time of tests.
    gc.set_threshold(100_000, 50, 50)


def pytest_collection_finish() -> None:
    """Leave what is imported out of what is gone through for garbage from here on."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _a_pace_of_its_own() -> None:
    """Let every test begin as a new process does, not in debt for the requests of the others."""
    pace.forget()


@pytest.fixture(scope="session")
def runs() -> Runs:
    """Give the process whose children runs of the command are, which can be killed."""
    return shared_runs()
