"""What rasterio hands to GDAL as a file whose bytes `stacbuild.net.pages` reads."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from rasterio.io import FilePath

from stacbuild.net.pages import PagedFile, Pages


class GdalFile(FilePath):  # type: ignore[misc]
    """What rasterio hands to GDAL as a file.

    rasterio's `FilePath`, and not the ``opener`` of `rasterio.open` that is to replace it in 2.0:
    that one keeps files in the context (`contextvars`) of the thread that opened them, and the
    process crashes when another thread uses or closes the dataset (seen with rasterio 1.4.4).
    """

    def __init__(self, handle: GdalHandle, name: str) -> None:
        # Past FilePath's own __init__, which does nothing but warn of 2.0.
        super(FilePath, self).__init__(handle, filename=name)
        # rasterio 1.5 keeps the datasets it opens here, to close them with the file.
        self._env = ExitStack()

    def let_go(self) -> None:
        """Leave the closing of datasets to who opened them; kept here, none would ever be freed."""
        self._env.pop_all()


class GdalHandle(PagedFile):
    """A file for GDAL, which can take no exception: it is kept, and raised when GDAL is done."""

    # GDAL wants a new handle each time it opens the file; rasterio makes it from these, as of an
    # fsspec file.
    path = ""
    mode = "rb"

    def __init__(self, pages: Pages, trouble: list[BaseException]) -> None:
        super().__init__(pages)
        self._trouble = trouble

    @property
    def fs(self) -> GdalHandle:
        """What opens further handles."""
        return self

    def open(self, path: str, mode: str) -> GdalHandle:  # noqa: ARG002 - of fsspec
        """Return another handle of the same file."""
        return GdalHandle(self.pages, self._trouble)

    def readinto(self, buffer: Any) -> int:
        """Read; nothing at all if that fails."""
        try:
            return super().readinto(buffer)
        except BaseException as error:  # noqa: BLE001 - an interrupt too must outlive GDAL
            self._trouble.append(error)
            return 0
