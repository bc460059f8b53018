"""Export the catalog as a few files with absolute hrefs, for search engines and APIs.

The files are ``items.json``, a GeoJSON FeatureCollection of all items; ``items.parquet``, the same
as stac-geoparquet 1.1 (https://github.com/radiantearth/stac-geoparquet-spec), if the optional
package rustac is installed; and ``collections/<id>.json``. The catalog itself is not changed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pystac

from stacbuild import progress
from stacbuild.errors import (
    ConfigError,
    ConflictError,
    IntegrityError,
    LocalError,
    MissingError,
    StacbuildError,
)
from stacbuild.progress import Reporter
from stacbuild.stac.catalog import Catalog, read_json, write_json
from stacbuild.stac.parquet import can_write_parquet, footer, write_parquet

Json = dict[str, Any]

ITEMS = "items.json"
PARQUET = "items.parquet"
COLLECTIONS = "collections"

# Structural links, which software that loads the items replaces by its own.
_STRUCTURAL = {"root", "parent", "child", "item", "items", "collection", "self"}

# Column names of Parquet files that stacbuild exported contain this prefix.
_FIELD_PREFIX = b"stacbuild:"


@dataclass(frozen=True)
class BaseLocation:
    """The base location from which the hrefs of an export are computed.

    Parameters
    ----------
    root
        The catalog's folder, absolute.
    base_url
        URL of that folder, without a trailing slash; None for local absolute paths.
    """

    root: Path
    base_url: str | None = None

    def href(self, path: Path) -> str:
        """Return the absolute href of a file.

        Raises
        ------
        ConfigError
            If the file is more levels above the catalog than the URL path has folders.
        """
        if self.base_url is None:
            return str(path)
        parts = Path(os.path.relpath(path, self.root)).as_posix().split("/")
        above = parts.count("..")
        url = urlsplit(self.base_url)
        folders = [part for part in url.path.split("/") if part]
        if above > len(folders):
            raise ConfigError(
                f"{self.base_url}: as the URL of {self.root} it leaves no room for {path}; serve a "
                "folder that holds both, and give the URL of the catalog in it"
            )
        names = [*folders[: len(folders) - above], *(quote(part) for part in parts[above:])]
        return f"{url.scheme}://{url.netloc}/" + "/".join(names)


def export(
    catalog: Path,
    folder: Path,
    *,
    base_url: str | None = None,
    parquet: bool | None = None,
    reporter: Reporter | None = None,
) -> list[Path]:
    """Write all items and collections of a catalog with absolute hrefs.

    Files of a previous export in *folder* are replaced, each of them atomically. A file that no
    export wrote is never replaced or removed.

    Parameters
    ----------
    catalog
        Folder of ``catalog.json``.
    folder
        Output folder, created if it does not exist; must not be within the catalog.
    base_url
        URL at which the catalog's folder is served; files outside of it get the URLs to which their
        relative hrefs resolve. None gives local absolute paths.
    parquet
        Whether to write ``items.parquet``; None does so if rustac is installed. Items
        without a geometry (files that are still in an archive) are omitted from it.
    reporter
        Receives messages about what was omitted.

    Returns
    -------
    The files written, ``items.json`` first.

    Raises
    ------
    MissingError
        If there is no catalog.
    ConfigError
        If *base_url* is not a plain http(s) URL, or *folder* is within the catalog.
    ConflictError
        If it would overwrite a file that no export wrote; nothing is written in this case.
    LocalError
        If a file cannot be written, or *parquet* is true and rustac is not installed.
    IntegrityError
        If a file of the catalog is damaged.
    """
    with progress.reported_to(reporter):
        return _export(Catalog(catalog), folder.resolve(), base_url, parquet)


def _export(
    source: Catalog, target: Path, base_url: str | None, parquet: bool | None
) -> list[Path]:
    if not source.path.exists():
        raise MissingError(
            f"{source.path}: there is no catalog; run stacbuild harvest, or name its folder"
        )
    if target.is_relative_to(source.root):
        raise ConfigError(f"{target}: lies in the catalog, which holds STAC only; write elsewhere")
    found = can_write_parquet()
    if parquet and not found:
        raise LocalError(f"{PARQUET}: needs rustac: pip install 'stacbuild[export]'")
    if parquet is None and not found:
        progress.say(f"no {PARQUET}: rustac is not installed (pip install 'stacbuild[export]')")
    base = BaseLocation(source.root, _validate_url(base_url))
    collections = {path: _collection(path, base) for path in source.collections()}
    items = sorted(
        (_item(item, base) for item in source.items()),
        key=lambda item: (str(item.get("collection")), item["id"]),
    )
    # Named by folder instead of id, which is arbitrary in a third-party catalog.
    files = {
        target / COLLECTIONS / f"{path.parent.name}.json": content
        for path, content in collections.items()
    }
    with_parquet = found if parquet is None else parquet
    _check_strangers([target / ITEMS, *([target / PARQUET] if with_parquet else []), *files])
    written = [target / ITEMS]
    write_json(target / ITEMS, {"type": "FeatureCollection", "features": items})
    if with_parquet:
        written += _put_parquet(target / PARQUET, items)
    else:
        _remove(target / PARQUET)
    for path, content in files.items():
        written.append(path)
        write_json(path, content)
    for left in (target / COLLECTIONS).glob("*.json"):
        if left not in written:
            _remove(left)
    return written


def _check_strangers(paths: Sequence[Path]) -> None:
    """Raise `ConflictError` if a path is occupied by a file that no export wrote."""
    for path in paths:
        folder = next(each for each in path.parents if os.path.lexists(each))
        if not folder.is_dir():
            raise ConflictError(f"{folder}: is not a folder; move it away, or write elsewhere (-o)")
        if os.path.lexists(path) and not _is_export(path):
            raise ConflictError(
                f"{path}: is a file that stacbuild export did not write; move it away, or write "
                "elsewhere (-o)"
            )


def _is_export(path: Path) -> bool:
    """Return whether an export wrote a file, judging by its content."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        if path.suffix == ".parquet":
            return _FIELD_PREFIX in footer(path)
        content = json.loads(path.read_bytes())
        if path.parent.name != COLLECTIONS:
            # An empty collection is accepted: nothing is lost by replacing it.
            features = content.get("features")
            return content.keys() == {"type", "features"} and all(map(_is_exported, features))
        return content["type"] == "Collection" and _is_exported(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _is_exported(content: Json) -> bool:
    """Return whether STAC JSON comes from `_absolute`."""
    first, *others = content["links"]
    return first.keys() == _canonical("", "").keys() and (
        first["rel"] == "canonical" and not any(each["rel"] in _STRUCTURAL for each in others)
    )


def _validate_url(base_url: str | None) -> str | None:
    """Validate the base URL; return it without ``/catalog.json`` and trailing slashes."""
    if base_url is None:
        return None
    try:
        url = urlsplit(base_url)
        plain = url.scheme in ("https", "http") and url.hostname and not (url.query or url.fragment)
    except ValueError:
        plain = False
    if not plain or "@" in url.netloc or ".." in url.path.split("/"):
        raise ConfigError(
            "the base URL has to be a plain https or http URL of the catalog's folder, as "
            "https://example.org/stac"
        )
    return base_url.removesuffix("/catalog.json").rstrip("/")


def _item(item: pystac.Item, base: BaseLocation) -> Json:
    path = Path(item.get_self_href() or "")
    content: Json = item.to_dict(include_self_link=False, transform_hrefs=False)
    return _absolute(content, path, base, "application/geo+json")


def _collection(path: Path, base: BaseLocation) -> Json:
    return _absolute(read_json(path), path, base, "application/json")


def _absolute(content: Json, path: Path, base: BaseLocation, media_type: str) -> Json:
    """Make all hrefs absolute in place, and add a canonical link to the file in the catalog."""
    try:
        links = [link for link in content["links"] if link["rel"] not in _STRUCTURAL]
        content["links"] = [_canonical(str(path), media_type), *links]
        for entry in _entries(content):
            entry["href"] = _resolved(entry["href"], path.parent, base)
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise IntegrityError(f"{path}: is not STAC ({reason}); harvest its store again") from error
    return content


def _canonical(href: str, media_type: str) -> Json:
    return {"rel": "canonical", "href": href, "type": media_type}


def _entries(content: Json) -> Iterator[Json]:
    """Yield all objects with an href."""
    yield from content["links"]
    for asset in content.get("assets", {}).values():
        yield asset
        yield from asset.get("alternate", {}).values()


def _resolved(href: str, directory: Path, base: BaseLocation) -> str:
    if "://" in href or href.startswith("mailto:"):
        return href
    return base.href(Path(os.path.normpath(directory / href)))


def _put_parquet(path: Path, items: list[Json]) -> list[Path]:
    """Write stac-geoparquet by atomic replace; return the paths written."""
    rows = [item for item in items if item["geometry"] is not None]
    if len(rows) < len(items):
        progress.say(
            f"{PARQUET}: {len(rows)} of {len(items)} items; {len(items) - len(rows)} without a "
            f"geometry, as their files are not here yet, are in {ITEMS} only"
        )
    if not rows:
        _remove(path)
        return []
    try:
        write_parquet(path, lambda: rows)
    except LocalError:
        raise
    except StacbuildError as error:
        raise StacbuildError(f"{error}; {ITEMS} was written; use --no-parquet") from error
    return [path]


def _remove(path: Path) -> None:
    """Remove a file if a previous export wrote it."""
    if not _is_export(path):
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"{path}: cannot be removed: {error.strerror}") from error
