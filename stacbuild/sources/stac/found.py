"""Items of a foreign catalog, and the limit on their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.net.http import public_url
from stacbuild.sources.stac.reader import Json, Reader

MOST_ITEMS = 100_000
"""Most items of a data id."""


@dataclass(frozen=True)
class Found:
    """An item of a foreign catalog: its JSON and location, and those of its collection.

    ``whole`` is true for the assets of a collection itself, represented as an item.
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
    """Return *count* plus one; raise StacbuildError if a data id has too many items."""
    if count >= MOST_ITEMS:
        raise StacbuildError(
            f"{public_url(reader.root)}: more than {MOST_ITEMS} items match; narrow them by bbox "
            "and datetime"
        )
    return count + 1


def item_of(where: str, content: Any) -> Json:
    """Return a document that is an item, with ``properties``; raise IntegrityError otherwise."""
    where = public_url(where) if "://" in where else where
    ok = isinstance(content, dict) and isinstance(content.get("id"), str) and content["id"]
    if not ok or not isinstance(content.get("assets"), dict):
        raise IntegrityError(f"{where}: is not a STAC item (no id or assets)")
    if content.get("type") in ("Catalog", "Collection", "FeatureCollection"):
        raise IntegrityError(f"{where}: is not a STAC item, but a {content['type']}")
    if not isinstance(content.get("properties"), dict):
        content["properties"] = {}
    return dict(content)
