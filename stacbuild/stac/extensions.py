"""STAC extensions by the fields that they define, and the fields that stacbuild defines."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pystac

_SCHEMAS = "https://stac-extensions.github.io"

EXTENSIONS = {
    "alternate": f"{_SCHEMAS}/alternate-assets/v1.2.0/schema.json",
    "archive": f"{_SCHEMAS}/archive/v1.0.0/schema.json",
    "cf": f"{_SCHEMAS}/cf/v0.2.0/schema.json",
    "classification": f"{_SCHEMAS}/classification/v2.0.0/schema.json",
    "cube": f"{_SCHEMAS}/datacube/v2.3.0/schema.json",
    "eo": f"{_SCHEMAS}/eo/v2.0.0/schema.json",
    "file": f"{_SCHEMAS}/file/v2.1.0/schema.json",
    "grid": f"{_SCHEMAS}/grid/v1.1.0/schema.json",
    "processing": f"{_SCHEMAS}/processing/v1.2.0/schema.json",
    "proj": f"{_SCHEMAS}/projection/v2.0.0/schema.json",
    "raster": f"{_SCHEMAS}/raster/v2.0.0/schema.json",
    "renders": f"{_SCHEMAS}/render/v2.0.0/schema.json",
    "sat": f"{_SCHEMAS}/sat/v1.1.0/schema.json",
    "sci": f"{_SCHEMAS}/scientific/v1.0.0/schema.json",
    "storage": f"{_SCHEMAS}/storage/v2.0.0/schema.json",
    "version": f"{_SCHEMAS}/version/v1.2.0/schema.json",
    "view": f"{_SCHEMAS}/view/v1.1.0/schema.json",
    "zarr": f"{_SCHEMAS}/zarr/v1.1.0/schema.json",
}
"""Schema of each extension by the prefix of its fields, or by a field without prefix."""

MASK = "stacbuild:mask"
"""Field of an asset: what masks pixels besides ``nodata``: ``mask``, ``alpha`` or ``values``."""

ALPHA = "stacbuild:alpha"
"""Field of ``bands``: true for an alpha band, which is not data."""

HEADER = "stacbuild:header"
"""Field of an asset whose header was not read: what it states about values, as that of other files
of the product (`stacbuild.formats.geotiff_header.signature`). It is compared when it is opened."""

VARIABLE = "stacbuild:variable"
"""Field of an asset or of ``bands``: the variable according to the header."""

SCALING = "stacbuild:scaling"
"""Field of an asset: why its scale and offset are not those that its item states."""

CONFIGURATION = "stacbuild:configuration"
"""Property of a cube's item: path of its configuration, relative to the catalog's folder."""

FINGERPRINT = "stacbuild:fingerprint"
"""Property of a cube's item: SHA-256 over `INPUTS`, in hexadecimal."""

INPUTS = "stacbuild:inputs"
"""Property of a cube's item: ``{part: {name: digest}}``, see `inputs_of`."""

UNREAD = "stacbuild:unread"
"""Property of the first item of a data id: others that were left out because they could not be
read, as in `SKIPPED`."""

SKIPPED = "stacbuild:skipped"
"""Property of a cube's item: scenes that could not be read and were left out of it, each with
``item``, ``asset`` and ``reason``. Also a part of `INPUTS`."""


def declare_extensions(entity: pystac.Item | pystac.Collection) -> None:
    """Set ``stac_extensions`` to exactly the extensions whose fields *entity* uses.

    Considers the fields of an item's properties, or of a collection itself with its summaries and
    ``item_assets``; and those of assets with their bands and alternates.
    """
    if isinstance(entity, pystac.Item):
        fields = set(_fields(entity.properties))
    else:
        fields = set(_fields(entity.extra_fields))
        fields |= set(_fields(entity.summaries.to_dict()))
        for definition in entity.extra_fields.get("item_assets", {}).values():
            fields |= set(_fields(definition))
    for asset in entity.assets.values():
        fields |= set(_fields(asset.extra_fields))
        fields |= _inside(asset.extra_fields.get("alternate", {}).values())
    prefixes = {field.partition(":")[0] for field in fields}
    entity.stac_extensions = sorted(uri for key, uri in EXTENSIONS.items() if key in prefixes)


def multihash_md5(digest: str) -> str:
    """Return the multihash for ``file:checksum`` from the hexadecimal digest of an MD5.

    The code of md5 is 0xd5, ``d501`` as a varint; the length is 16 bytes, ``10``
    (https://github.com/multiformats/multicodec/blob/master/table.csv).
    """
    return f"d50110{digest.lower()}"


def file_time(path: Path) -> str:
    """Return the modification time of a file in UTC, for the field ``updated`` of its asset.

    For a folder it is the time of the newest file below it; deletions do not change it.
    """
    modified = _newest(str(path)) if path.is_dir() else path.stat().st_mtime
    when = dt.datetime.fromtimestamp(modified, dt.UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _newest(directory: str) -> float:
    with os.scandir(directory) as entries:
        times = (
            _newest(entry.path) if entry.is_dir(follow_symlinks=False) else entry.stat().st_mtime
            for entry in entries
        )
        return max(times, default=0.0)


def _fields(content: Mapping[str, Any]) -> Iterator[str]:
    yield from content
    for band in content.get("bands", ()):
        yield from band


def _inside(contents: Iterable[Mapping[str, Any]]) -> set[str]:
    return {field for content in contents for field in _fields(content)}
