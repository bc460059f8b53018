"""Documents of somebody's catalog are items, or are refused by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.sources.stac.found import MOST_ITEMS, counted, item_of


def test_an_item_has_an_id_and_assets() -> None:
    assert item_of("x", {"id": "a", "assets": {}})["properties"] == {}
    kept = {"id": "a", "assets": {}, "properties": {"datetime": None}, "type": "Feature"}
    assert item_of("x", kept) == kept


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"id": "", "assets": {}},
        {"id": 7, "assets": {}},
        {"id": "a"},
        {"id": "a", "assets": {}, "type": "Collection"},
    ],
)
def test_what_is_no_item_is_named_without_a_query(content: Any) -> None:
    with pytest.raises(IntegrityError, match=r"https://host\.example/a\.json") as caught:
        item_of("https://host.example/a.json?key=canary", content)
    assert "canary" not in str(caught.value)


def test_more_items_than_are_read_are_refused() -> None:
    reader: Any = SimpleNamespace(root="https://host.example")
    assert counted(reader, 0) == 1
    with pytest.raises(StacbuildError, match=f"more than {MOST_ITEMS}"):
        counted(reader, MOST_ITEMS)
