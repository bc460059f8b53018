"""The stores of the configuration: where data come from, and where cubes go.

Each has a ``key``, the canonical address that its items carry in the catalog, so that the same
source is found again whatever a configuration calls it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stacbuild.config.catalogs import StacStore
from stacbuild.config.files import S3_HOST, FileStore, HttpsStore, MemoryStore, S3Store
from stacbuild.config.services import ClmsStore, ZenodoStore

Store = ZenodoStore | S3Store | FileStore | HttpsStore | MemoryStore | ClmsStore | StacStore
"""Any store of a configuration; ``store_id`` tells them apart."""

AnyStore = Annotated[Store, Field(discriminator="store_id")]

__all__ = [
    "S3_HOST",
    "AnyStore",
    "ClmsStore",
    "FileStore",
    "HttpsStore",
    "MemoryStore",
    "S3Store",
    "StacStore",
    "Store",
    "ZenodoStore",
]
