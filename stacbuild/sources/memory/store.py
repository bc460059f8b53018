"""Configuration of storage in memory."""

from __future__ import annotations

from typing import Literal

from stacbuild.config.store import Store
from stacbuild.config.types import Model, Text


class MemoryParams(Model):
    """``root`` is a folder in memory."""

    root: Text = "stacbuild"
    """A folder in the memory of the process."""


class MemoryStore(Store):
    """Memory of the process; for cubes only, to try things out."""

    readable = False
    listable = False
    writable = True

    store_id: Literal["memory"]
    """Kind of store."""
    store_params: MemoryParams = MemoryParams()
    """Location of the folder in memory."""

    @property
    def key(self) -> str:
        """``memory:<root>``."""
        return f"memory:{self.root}"

    @property
    def root(self) -> str:
        """Folder in fsspec's memory file system."""
        return self.store_params.root.strip("/")
