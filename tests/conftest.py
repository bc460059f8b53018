"""Fixtures for all tests."""

from tests.standins.fixtures import (
    _running,
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
    "endpoints",
    "realdata",
    "s3_server",
    "scs2_config",
    "standin_data",
    "standins",
    "zenodo_server",
]
