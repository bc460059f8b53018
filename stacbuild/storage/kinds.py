"""Create the storage of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.storage.bucket import Bucket
from stacbuild.storage.folder import Folder
from stacbuild.storage.memory import Memory

if TYPE_CHECKING:
    from stacbuild.config.store import Store
    from stacbuild.storage.output import Storage


def storage_of(store: Store) -> Storage:
    """Return the storage for a store of the configuration."""
    match store:
        case FileStore():
            return Folder(store)
        case S3Store():
            return Bucket(store)
        case MemoryStore():
            return Memory(store)
    raise AssertionError(store.store_id)  # reading the configuration checked its kind
