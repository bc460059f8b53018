"""The files that may be served: the catalog, and the files and Zarr stores of its assets.

A catalog may come from a third party, and a web page may request any URL of a local server. So a
file is not served just because it is in some folder. It is served only if the catalog links to it,
if it has a media type of data, and if its path, with symbolic links resolved, is in one of the
allowed folders. Of a Zarr store, only metadata and chunks are served. One bad document or asset
does not affect others.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from stacbuild.errors import MissingError, StacbuildError
from stacbuild.net.hrefs import is_relative_path
from stacbuild.stac.files import read_object

# Relative links of the catalog point to data outside of its folder, so both have one URL prefix;
# all other paths are those of STAC Browser.
PREFIX = "files"

_JSON = "application/json"
_KINDS = {
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".nc": "application/netcdf",
    ".zip": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".geojson": "application/geo+json",
}
# Metadata of Zarr v2; no other hidden files are served.
_ZARR_2 = {".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_STORE_MARKS = ("zarr.json", ".zgroup", ".zarray")
# The last segment of the key of a chunk, and the other ones below its array: c/0/1, c.0.1, 0/1, 0.1
_CHUNK = re.compile(r"c|(c\.)?\d+(\.\d+)*", re.ASCII)
_STRUCTURE = ("child", "item")

# Characters of a path (the limit of Linux), and of a code of a CRS.
_MOST_PATH = 4096
_MOST_CODE = 100

# Minimum seconds between scans of the catalog, which requests of unknown files cause.
_SCAN_INTERVAL = 1.0


@dataclass(frozen=True)
class Served:
    """A file that may be served, and its media type."""

    path: Path
    media_type: str


@dataclass
class _Index:
    files: dict[Path, str] = field(default_factory=dict)
    stores: set[Path] = field(default_factory=set)
    refused: dict[Path, str] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)


class Site:
    """The files of a catalog by their paths in URLs.

    Parameters
    ----------
    catalog
        The folder of ``catalog.json``.
    data
        Folders with data to serve, besides the parent folder of the catalog.

    Raises
    ------
    MissingError
        If there is no catalog.
    StacbuildError
        If it cannot be read.
    """

    def __init__(self, catalog: Path, data: Sequence[Path] = ()) -> None:
        self.catalog = catalog.resolve()
        if not (self.catalog / "catalog.json").is_file():
            raise MissingError(
                f"{catalog / 'catalog.json'}: there is no catalog; harvest first, or use --catalog"
            )
        self._allowed = (self.catalog.parent, *(folder.resolve() for folder in data))
        self._root = Path(os.path.commonpath(self._allowed))
        self._lock = threading.Lock()
        self._index = self._scan(strict=True)
        self._scanned = time.monotonic()

    @property
    def title(self) -> str:
        """The title of the catalog."""
        content = read_object(self.catalog / "catalog.json")
        return str(content.get("title") or content.get("id") or "STAC catalog")

    @property
    def codes(self) -> list[str]:
        """The ``proj:code`` of all items, sorted."""
        return sorted(self._index.codes)

    @property
    def refused(self) -> dict[Path, str]:
        """Local files of links and assets that are not served, and why."""
        return dict(self._index.refused)

    @property
    def url_path(self) -> str:
        """The path of ``catalog.json`` in URLs."""
        relative = (self.catalog / "catalog.json").relative_to(self._root)
        return "/".join(["", PREFIX, *(quote(part) for part in relative.parts)])

    def find(self, url_path: str) -> Served | None:
        """Return the file for the path of a URL; None if it must not be served.

        Parameters
        ----------
        url_path
            As in the request: percent-encoded, without query.
        """
        parts = decoded(url_path)
        if parts is None or len(parts) < 2 or parts[0] != PREFIX:
            return None
        path = self._root.joinpath(*parts[1:])
        found = self._look_up(path)
        if found is None and self._rescan():
            found = self._look_up(path)
        return found

    def is_store(self, url_path: str) -> bool:
        """Return whether the path of a URL is that of a Zarr store, not of a file in it."""
        parts = decoded(url_path.removesuffix("/"))
        if parts is None or len(parts) < 2 or parts[0] != PREFIX:
            return False
        path = self._root.joinpath(*parts[1:])
        return path in self._index.stores or (self._rescan() and path in self._index.stores)

    def _look_up(self, path: Path) -> Served | None:
        try:
            return self._found(path)
        except (OSError, RuntimeError, ValueError):
            return None  # too long, a loop of links, or removed meanwhile

    def _found(self, path: Path) -> Served | None:
        index = self._index
        inside = self._allowed
        if path in index.files:
            media_type = index.files[path]
        else:
            store = next((each for each in path.parents if each in index.stores), None)
            if store is None or not _is_key(path, store):
                return None
            is_json = path.name == "zarr.json" or path.name in _ZARR_2
            media_type = _JSON if is_json else "application/octet-stream"
            # Links within a store lead nowhere else, not even to other data.
            inside = (store,)
        # Resolve at each request, since a file or a folder can be replaced by a symbolic link.
        real = path.resolve(strict=True)
        roots = [each.resolve() for each in inside]
        if not real.is_file() or not any(
            real.is_relative_to(root) and self._is_allowed(root) for root in roots
        ):
            return None
        return Served(real, media_type)

    def _is_allowed(self, real: Path) -> bool:
        """Return whether a path without symbolic links is in one of the allowed folders."""
        return any(real.is_relative_to(each) for each in self._allowed)

    def _rescan(self) -> bool:
        """Scan the catalog again, which may have grown; return False if it was just scanned."""
        with self._lock:
            if time.monotonic() - self._scanned < _SCAN_INTERVAL:
                return False
            self._index = self._scan(strict=False)
            self._scanned = time.monotonic()
            return True

    def _scan(self, *, strict: bool) -> _Index:
        index = _Index()
        root = self.catalog / "catalog.json"
        waiting = [root]
        while waiting:
            path = waiting.pop()
            if path in index.files or path in index.refused:
                continue
            try:
                content = read_object(path)
            except StacbuildError as error:
                # Others are being written or removed, or damaged.
                if strict and path == root:
                    raise
                index.refused[path] = str(error).removeprefix(f"{path}: ")
                continue
            is_item = content.get("type") == "Feature"
            index.files[path] = "application/geo+json" if is_item else _JSON
            properties = content.get("properties")
            code = properties.get("proj:code") if isinstance(properties, dict) else None
            if isinstance(code, str) and len(code) <= _MOST_CODE:
                index.codes.add(code)
            for href in _links(content):
                target = _resolve(path.parent, href)
                in_catalog = target is not None and target.is_relative_to(self.catalog)
                if target is not None and in_catalog and _is_plain(target, self.catalog):
                    waiting.append(target)
            for href in _assets(content):
                target = _resolve(path.parent, href)
                if target is not None:
                    self._add_asset(index, target)
        return index

    def _add_asset(self, index: _Index, path: Path) -> None:
        try:
            why = self._why_refused(index, path)
        except (OSError, RuntimeError, ValueError):
            why = "cannot be a path"
        if why is not None:
            index.refused[path] = why

    def _why_refused(self, index: _Index, path: Path) -> str | None:
        """Add the file or the store of an asset; return why it is not served, if so."""
        folder = next((each for each in self._allowed if path.is_relative_to(each)), None)
        if folder is None:
            return "lies outside of the folders to be served"
        if not _is_plain(path, folder):
            return "has a name with a dot before it"
        if not self._is_allowed(path.resolve()):
            return "is a link out of the folders to be served"
        if path.suffix.lower() in _KINDS:
            index.files[path] = _KINDS[path.suffix.lower()]
        elif any((path / mark).is_file() for mark in _STORE_MARKS):
            if self.catalog.is_relative_to(path):
                return "is a Zarr store that contains the catalog"
            index.stores.add(path)
        elif path.exists():
            return "is of no kind that is served"
        return None


def _is_key(path: Path, store: Path) -> bool:
    """Return whether a path below a Zarr store is that of metadata, or of a chunk of an array."""
    *above, name = path.relative_to(store).parts
    if any(part.startswith(".") for part in above):
        return False
    if name == "zarr.json" or name in _ZARR_2:
        return True
    array = path
    while array != store and _CHUNK.fullmatch(array.name):
        array = array.parent
        if (array / "zarr.json").is_file() or (array / ".zarray").is_file():
            return True
    return False


def decoded(url_path: str) -> list[str] | None:
    """Return the decoded segments of a URL's path; None if it is unsafe, such as with ``..``."""
    if not url_path.startswith("/"):
        return None
    try:
        parts = [unquote(part, errors="strict") for part in url_path[1:].split("/")]
    except UnicodeDecodeError:
        return None
    if any(part in ("", ".", "..") or set(part) & {"/", "\\", "\0"} for part in parts):
        return None
    return parts


def _links(content: dict[str, Any]) -> Iterator[str]:
    links = content.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") in _STRUCTURE:
            yield str(link.get("href"))


def _assets(content: dict[str, Any]) -> Iterator[str]:
    assets = content.get("assets")
    for asset in assets.values() if isinstance(assets, dict) else ():
        if isinstance(asset, dict):
            yield str(asset.get("href"))


def _resolve(folder: Path, href: str) -> Path | None:
    """Resolve a relative href without accessing the disk; None if it cannot be a path."""
    try:
        if len(os.fsencode(href)) > _MOST_PATH:
            return None
    except UnicodeEncodeError:
        return None
    if "://" in href or "\0" in href or not is_relative_path(href):
        return None
    return Path(os.path.normpath(folder / href))


def _is_plain(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)
