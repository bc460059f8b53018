"""Items of somebody's catalog as they were found, and how many may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.net.http import public_url
from stacbuild.sources.stac.reader import Json, Reader

MOST_ITEMS = 1000
"""Items that a data id may mean."""


@dataclass(frozen=True)
class Found:
    """An item as its catalog has it: the JSON, where it lies, and its collection's JSON.

    ``whole`` is true of the assets of a collection itself, in the form of an item.
    """

    content: Json
    location: str
    collection: Json
    collection_location: str
    whole: bool = False

    @property
    def id(self) -> str:
        """Id of the item."""
        return str(self.content["id"])


def counted(reader: Reader, count: int) -> int:
    """Count one item more; an error where a data id would mean too many."""
    if count >= MOST_ITEMS:
        raise StacbuildError(
            f"{public_url(reader.root)}: more than {MOST_ITEMS} items fit; narrow them by bbox and "
            "datetime"
        )
    return count + 1


def item_of(where: str, content: Any) -> Json:
    """Return a document that is an item, with properties if only empty ones.

    Raises
    ------
    IntegrityError
        It is none.
    """
    where = public_url(where) if "://" in where else where
    ok = isinstance(content, dict) and isinstance(content.get("id"), str) and content["id"]
    if not ok or not isinstance(content.get("assets"), dict):
        raise IntegrityError(f"{where}: is no STAC item (no id or assets)")
    if content.get("type") in ("Catalog", "Collection", "FeatureCollection"):
        raise IntegrityError(f"{where}: is no STAC item, but a {content['type']}")
    if not isinstance(content.get("properties"), dict):
        content["properties"] = {}
    return dict(content)
