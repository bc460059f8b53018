"""The pool of a process, shared by chunks: open files, index maps, decoded windows.

Opening a file for every chunk would read its header every time, and a GDAL dataset must be used
by only one thread at a time; idle handles are therefore pooled and lent to one thread each. A
builder holds the pool while it builds a cube (`using`); the last holder releases everything. The
pool never changes a result.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from stacbuild.cache import Cache
from stacbuild.geo.grid import PixelGrid, Window
from stacbuild.geo.mapping import IndexMap, index_map
from stacbuild.geo.positions import window_key
from stacbuild.loading.memory import MOST_CACHED, cache_bytes
from stacbuild.loading.stated_grid import check_dtype, check_header, check_raster, check_version
from stacbuild.machine import open_files_allowed

if TYPE_CHECKING:
    import requests
    from rasterio.io import DatasetReader

    from stacbuild.formats.geotiff import RasterFile

cache = Cache(max_bytes=MOST_CACHED)

# Files that are kept open: of a product of thousands, those of neighbouring windows. The system
# limits the open files of a process, on macOS to 256; a local one is opened by each thread.
_MOST_FILES = 128
# A remote one has a single file for its pages, and what it fetched is fetched again once it is
# closed: so at least those of the scenes of a season, a third of what the system allows.
_MOST_REMOTE = max(_MOST_FILES, min(open_files_allowed() // 3, 1024))

_files: OrderedDict[tuple[Any, ...], Future[RasterFile]] = OrderedDict()
_idle: dict[Hashable, list[DatasetReader]] = {}
_sessions: dict[str, requests.Session] = {}
_datasets: dict[Hashable, xr.Dataset] = {}
_lock = threading.Lock()
_users = 0
# A random key of this process, so that a digest does not reveal credentials.
_SALT = secrets.token_bytes(32)


def identity(href: str, options: Mapping[str, Any]) -> tuple[str, str]:
    """Return a key that identifies an asset in the pool.

    The href alone is not enough: the same bucket and key may exist on several servers, and one
    server may return different data for different credentials.

    Parameters
    ----------
    options
        Storage options for fsspec. Endpoint and credentials enter the key as a keyed digest, which
        does not reveal them.
    """
    if not options:
        return href, ""
    content = json.dumps(options, sort_keys=True, default=repr)
    return href, hashlib.blake2b(content.encode(), key=_SALT, digest_size=16).hexdigest()


@contextmanager
def using(budget: int | None = None) -> Iterator[None]:
    """Hold the pool while a cube is built; it is released with the last holder.

    Builders in several threads of one process share it, so none closes a file that another reads.
    A dataset that a user loads and computes does not hold the pool. Files that it left open are
    closed first, since they may have been modified in the meantime.

    Parameters
    ----------
    budget
        Bytes that may be used, which limits the cache until the pool is released.
    """
    global _users
    release()
    with _lock:
        _users += 1
        if budget is not None:
            cache.max_bytes = cache_bytes(budget)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
        release()


@dataclass(frozen=True)
class Stated:
    """What the item of a file states, compared when the file is opened.

    Parameters
    ----------
    grid
        None if it is not compared.
    version
        Which bytes the server had, see `stacbuild.stac.checksums.SERVED`; empty if not known.
    header
        What a header that was not read has to state, see `stacbuild.stac.extensions.HEADER`.
    dtype
        Type of the pixels; empty if it is not compared.
    """

    grid: PixelGrid | None = None
    version: str = ""
    header: str = ""
    dtype: str = ""


@contextmanager
def open_raster(
    href: str,
    size: int | None,
    kind: str,
    options: Mapping[str, Any],
    stated: Stated = Stated(),
) -> Iterator[tuple[RasterFile, DatasetReader]]:
    """Lend an open GeoTIFF to one thread: the shared file, and the thread's own dataset.

    *kind* is the kind of store, such as ``zenodo``, which sets the request rate.

    Raises
    ------
    NotFoundError, RemoteError, LocalError, IntegrityError
        If the file does not exist, cannot be reached, is not a GeoTIFF, has another grid, or
        changed since it was harvested.
    """
    # Imported late: Zarr sources need no GDAL.
    from stacbuild.formats.geotiff import RasterFile
    from stacbuild.net import http

    key = (*identity(href, options), kind, size, stated)
    with _lock:
        opened = _files.get(key)
        new = opened is None
        if opened is None:
            opened = _files[key] = Future()
            # Files of one kind share connections.
            if kind not in _sessions and "://" in href:
                _sessions[kind] = http.session(kind=kind)
        session = _sessions.get(kind)
        _files.move_to_end(key)
        dataset = _idle[key].pop() if _idle.get(key) else None
        surplus = _surplus()
    for each in surplus:
        each.close()
    if new:
        # Without the lock: the size of a remote file may have to be asked for.
        try:
            opened.set_result(RasterFile(href, session=session, size=size, storage_options=options))
        except BaseException as error:
            with _lock:
                _files.pop(key, None)
            opened.set_exception(error)
            raise
    file = opened.result()
    if dataset is None:
        dataset = file.open()
    try:
        if new:
            _check_stated(key, stated, dataset, file)
        yield file, dataset
    except BaseException:
        # GDAL caches failed blocks, so do not reuse the dataset.
        dataset.close()
        raise
    with _lock:
        kept = _files.get(key) is opened
        if kept:
            _idle.setdefault(key, []).append(dataset)
    if not kept:
        dataset.close()


def _surplus() -> list[DatasetReader]:
    """Forget the files that were not used for the longest time; return their idle datasets."""
    found: list[DatasetReader] = []
    if len(_files) <= _MOST_FILES:
        return found
    kinds: tuple[list[tuple[Any, ...]], ...] = ([], [])
    for key in _files:
        kinds["://" in key[0]].append(key)
    for keys, most in zip(kinds, (_MOST_FILES, _MOST_REMOTE), strict=True):
        for key in keys[: max(0, len(keys) - most)]:
            del _files[key]
            found += _idle.pop(key, [])
    return found


def _check_stated(
    key: tuple[Any, ...], stated: Stated, dataset: DatasetReader, file: RasterFile
) -> None:
    try:
        check_version(stated.version, file.version, file.name)
        if stated.grid is not None and stated.header:
            check_header(stated.grid, stated.header, dataset, file.name)
        elif stated.grid is not None:
            check_raster(stated.grid, dataset, file.name)
        if stated.dtype:
            check_dtype(stated.dtype, dataset, file.name)
    except BaseException:
        with _lock:
            _files.pop(key, None)  # checked again when it is opened again
        raise


def shared_index_map(source: PixelGrid, target: PixelGrid, window: Window) -> IndexMap | None:
    """Return the index map of a target window, computed once per pair of grids."""
    key = ("map", source, target, window_key(window))
    return cache.get(key, lambda: index_map(source, target, window))


def zarr_dataset(href: str, options: Mapping[str, Any], version: str = "") -> xr.Dataset:
    """Return an open Zarr group, lazily indexed, without dask; shared by all threads.

    Parameters
    ----------
    version
        That of `Stated`, compared when a file is opened.

    Raises
    ------
    NotFoundError, AuthError, RemoteError, LocalError, IntegrityError
        As `stacbuild.formats.zarr_store.open_source`; RemoteError also if the file changed.
    """
    from stacbuild.formats.array_store import VERSION
    from stacbuild.formats.zarr_store import open_source

    key = identity(href, options)
    with _lock:
        if key not in _datasets:
            found = open_source(href, dict(options))
            check_version(version, found.encoding[VERSION], href)
            _datasets[key] = found
        return _datasets[key]


def uses() -> int:
    """Return the number of uses of cached index maps and windows so far."""
    return cache.uses


def forget(before: int | None = None) -> None:
    """Drop cached index maps and windows; files stay open.

    Each belongs to one target window. On a large grid, windows no longer needed would otherwise
    fill the cache up to its limit.

    Parameters
    ----------
    before
        Only those that were last used before, as counted by `uses`.
    """
    cache.clear(before)


def release() -> None:
    """Close all idle handles and clear the caches, unless a builder holds the pool."""
    with _lock:
        if _users:
            return
        handles: list[DatasetReader | xr.Dataset | requests.Session] = [*_datasets.values()]
        handles += [dataset for idle in _idle.values() for dataset in idle]
        handles += _sessions.values()
        _idle.clear()
        _files.clear()
        zarr_stores = bool(_datasets)
        _sessions.clear()
        _datasets.clear()
        cache.max_bytes = MOST_CACHED
    for handle in handles:
        handle.close()
    cache.clear()
    if zarr_stores:
        # Imported late: other sources need no Zarr.
        from stacbuild.formats.zarr_reused import forget_reused

        forget_reused()
