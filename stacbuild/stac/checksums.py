"""Checksums of local sources, by which a file that was only touched is known to be the same.

They are recorded when a cube is built, and compared if a file has another modification time and the
same size; a harvest reads no data.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pystac
from pystac.utils import datetime_to_str

from stacbuild.net.versions import is_other_version
from stacbuild.stac.extensions import HEADER, file_time

CHECKSUM = "stacbuild:checksum"
"""Field of an asset: the multihash of its file's SHA-256 when a cube was made from it.

It is recorded beside the collection (`stacbuild.stac.checksum_file`), in items that older versions
wrote in the item. Unlike ``file:checksum``, it is not part of what a cube was made from."""

SERVED = "stacbuild:served"
"""Field of an asset: which bytes a server had at harvest (`stacbuild.net.versions.version_text`).

It is compared when the file is opened, and is not part of what a cube was made from."""

_UPDATED, _SIZE = "updated", "file:size"

# A larger file takes seconds to read: it counts as changed once it is written to.
_LARGEST = 256 * 2**20


def checksum(file: Path) -> str:
    """Return the multihash of a file's SHA-256, for ``file:checksum``."""
    with file.open("rb") as content:
        return f"1220{hashlib.file_digest(content, 'sha256').hexdigest()}"


def is_same_file(asset: pystac.Asset) -> bool:
    """Return whether a local file has the content that its item describes.

    The file is read only if its modification time differs and its size does not.
    """
    path, fields = Path(asset.href), asset.extra_fields
    if not path.is_file() or fields.get(_SIZE) != path.stat().st_size:
        return False
    if fields.get(_UPDATED) == file_time(path):
        return True
    return CHECKSUM in fields and fields[CHECKSUM] == checksum(path)


def keep_state(new: pystac.Asset, previous: pystac.Asset) -> None:
    """Keep the recorded state of a harvested file that is the same as before, though touched."""
    if CHECKSUM in previous.extra_fields and new.href == previous.href and is_same_file(previous):
        for field in (CHECKSUM, _UPDATED):
            new.extra_fields[field] = previous.extra_fields[field]


def keep_version(new: pystac.Asset, previous: pystac.Asset) -> None:
    """Set ``updated`` of a harvested remote file if it changed since it was harvested before.

    A file that is harvested for the first time has none, so cubes stay up to date whether or not
    their items state a version.
    """
    if new.href != previous.href:
        return
    fields, before = new.extra_fields, previous.extra_fields
    if _UPDATED in before:
        fields[_UPDATED] = before[_UPDATED]
    if HEADER in fields and _SIZE in before:
        # The header is not read any more: a cube that was made when it was stays up to date.
        fields.setdefault(_SIZE, before[_SIZE])
    if SERVED in fields and is_other_version(before.get(SERVED, ""), fields[SERVED]):
        fields[_UPDATED] = datetime_to_str(dt.datetime.now(dt.UTC))


def new_checksums(items: Sequence[pystac.Item]) -> Iterator[tuple[pystac.Item, str]]:
    """Yield the items whose files have no checksum yet, with the checksum.

    Files that were written to since they were harvested are left out, and so are large ones.
    """
    with ThreadPoolExecutor() as threads:
        for item, found in zip(items, threads.map(_new_checksum, items), strict=True):
            if found is not None:
                yield item, found


def _new_checksum(item: pystac.Item) -> str | None:
    asset = item.assets["data"]
    fields, path = asset.extra_fields, Path(asset.href)
    if not fields.keys().isdisjoint({CHECKSUM, "file:checksum"}) or not path.is_file():
        return None
    size, updated = fields.get(_SIZE), fields.get(_UPDATED)
    if size is None or updated is None or size > _LARGEST:
        return None
    found = checksum(path)
    return found if (size, updated) == (path.stat().st_size, file_time(path)) else None
