"""Files that rasterio passes to GDAL and whose bytes `stacbuild.net.pages` reads."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from rasterio.io import DatasetReader, FilePath

from stacbuild.net.pages import PagedFile, Pages

VERSION = "_stacbuild_version"
"""Attribute of a dataset: the version of its file."""


class GdalFile(FilePath):  # type: ignore[misc]
    """A Python file for `rasterio.open`.

    It is rasterio's `FilePath` and not the ``opener`` of `rasterio.open`, which will replace it in
    2.0: that stores files in the context (`contextvars`) of the thread that opened them, and the
    process crashes when another thread uses or closes the dataset (seen with rasterio 1.4.4).
    """

    def __init__(self, handle: GdalHandle, name: str) -> None:
        # Skips FilePath.__init__, which only warns about 2.0.
        super(FilePath, self).__init__(handle, filename=name)
        # rasterio 1.5 adds the datasets that it opens, to close them with the file.
        self._env = ExitStack()

    def release(self) -> None:
        """Drop rasterio's references to datasets, which would never be freed."""
        self._env.pop_all()


class GdalHandle(PagedFile):
    """A file for GDAL, which cannot handle exceptions: they are stored, to be raised afterwards."""

    # rasterio makes a new handle with these attributes of fsspec files each time GDAL opens it.
    path = ""
    mode = "rb"

    def __init__(self, pages: Pages, trouble: list[BaseException]) -> None:
        super().__init__(pages)
        self._trouble = trouble

    @property
    def fs(self) -> GdalHandle:
        """Opener of further handles."""
        return self

    def open(self, path: str, mode: str) -> GdalHandle:  # noqa: ARG002 - of fsspec
        """Return another handle of the same file."""
        return GdalHandle(self.pages, self._trouble)

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return 0 if that fails."""
        try:
            return super().readinto(buffer)
        except BaseException as error:  # noqa: BLE001 - interrupts, too, are raised after GDAL
            self._trouble.append(error)
            return 0


def version_of(dataset: DatasetReader) -> str:
    """Return the version of the file of a dataset from `RasterFile.open`; empty for others."""
    return str(getattr(dataset, VERSION, ""))
