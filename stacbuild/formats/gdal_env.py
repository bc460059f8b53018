"""GDAL's options, and the environment of rasterio in which files are opened and read.

Entering and leaving an environment makes GDAL register its drivers and PROJ forget the reference
systems that it knows, which takes longer than opening a small file. So a thread that reads many
files enters one for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio.io import DatasetReader

GDAL_OPTIONS = {
    # Only the file itself: .aux.xml, .ovr or .tfw beside it are ignored.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    # Bytes for decoded blocks of all files. GDAL's default is 5 % of the memory, which a file in
    # strips as wide as Europe fills at once, to no use: each window is read once.
    "GDAL_CACHEMAX": 64 << 20,
    # With several, the errors of JPEG 2000 tiles are lost, and damaged ones are read as they come
    # (GDAL 3.10, OpenJPEG). Windows are read in parallel anyway.
    "GDAL_NUM_THREADS": "1",
}


class _Thread(threading.local):
    is_inside = False


_thread = _Thread()

# Without rasterio's decorator, which enters an environment of its own for each file.
_open: Callable[..., Any] = getattr(rasterio.open, "__wrapped__", rasterio.open)


@contextmanager
def gdal_env() -> Iterator[None]:
    """Set GDAL's options for the current thread; nothing is done where they already are."""
    if _thread.is_inside:
        yield
        return
    with rasterio.Env(**GDAL_OPTIONS):
        _thread.is_inside = True
        try:
            yield
        finally:
            _thread.is_inside = False


def open_dataset(file: Any, driver: str) -> DatasetReader:
    """Open a path or a file of rasterio with a single driver of GDAL, within `gdal_env`."""
    dataset: DatasetReader = _open(file, driver=driver, sharing=False)
    return dataset
