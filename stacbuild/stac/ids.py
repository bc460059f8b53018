"""Ids of collections and items, which are names of their folders."""

from __future__ import annotations

import hashlib
import re

from stacbuild.stac.files import THUMBNAIL
from stacbuild.stac.mirror import MIRROR

_MAX_ID_LENGTH = 180

_BESIDE_ITEMS = {"collection.json", THUMBNAIL, MIRROR}


def slug(text: str) -> str:
    """Return *text* as an id and file name: only ``[A-Za-z0-9._-]``, at most 180 characters.

    A longer id is truncated and ends with a digest of *text*, so that it is unique. The limit
    leaves room for suffixes: file systems allow 255 bytes.
    """
    short = plain_characters(text)
    return short if len(short) <= _MAX_ID_LENGTH else with_digest(short, text)


def cube_id(identifier: str) -> str:
    """Return the id of a cube's item, which is the name of its folder.

    ``a/b`` gets a digest to distinguish it from ``a-b``, and so do the names of files that are
    beside the folders of items.
    """
    is_taken = identifier.lower() in _BESIDE_ITEMS
    return (
        with_digest(slug(identifier), identifier) if "/" in identifier or is_taken else identifier
    )


def plain_characters(text: str) -> str:
    """Return *text* with a dash for each run of characters that no id has."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "_"


def with_digest(name: str, text: str) -> str:
    """Return an id that starts with *name* and is unique for *text*."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name[: _MAX_ID_LENGTH - 9]}-{digest}"
