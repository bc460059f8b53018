"""Configuration of a local folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stacbuild.config.store import Store
from stacbuild.config.types import LocalPath, Model


class FileParams(Model):
    """``root`` is a folder."""

    root: LocalPath
    """A folder, relative to the configuration; data ids are relative to it."""


class FileStore(Store):
    """A local folder."""

    writable = True
    is_mixed = True
    is_tiled = True
    has_files = True
    is_watched = True

    store_id: Literal["file"]
    """Kind of store."""
    store_params: FileParams
    """Location of the folder."""

    @property
    def key(self) -> str:
        """``file:<root as written>``."""
        return f"file:{self.store_params.root}"

    @property
    def root(self) -> Path:
        """Absolute path of the folder."""
        return self._absolute(self.store_params.root)

    @property
    def folder(self) -> Path:
        """Absolute path of the folder."""
        return self.root

    def path(self, data_id: str) -> Path:
        """Return the path of a data id below the folder."""
        return self.root / data_id.strip("/")
