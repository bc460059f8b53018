"""A catalog on this machine: whether it still means the items that it meant."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pystac
import pytest

from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.state import FOUND, state_of, why_changed
from stacbuild.sources.stac.store import StacStore


def found(name: str, **properties: Any) -> Found:
    content = {"type": "Feature", "id": name, "assets": {}, "properties": properties}
    return Found(content, f"{name}.json", {}, "")


def test_the_state_is_of_what_items_say_in_any_order() -> None:
    one, two = found("a", x=1), found("b")
    assert state_of([one, two]) == state_of([two, one])
    assert state_of([one]).startswith("1-")
    assert state_of([one]) != state_of([found("a", x=2)])


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = pystac.Catalog("root", "A catalog.")
    box = pystac.SpatialExtent([[0, 0, 1, 1]])
    collection = pystac.Collection(
        "c", "C", pystac.Extent(box, pystac.TemporalExtent([[None, None]]))
    )
    root.add_child(collection)
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    collection.add_item(pystac.Item("a", None, None, when, {}, assets={"d": pystac.Asset("a.tif")}))
    root.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path


def why(catalog: Path, known: str) -> str:
    store = StacStore.model_validate(
        {"identifier": "s", "store_id": "stac", "store_params": {"root": str(catalog)}}
    )
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    return why_changed(
        store, "c", [pystac.Item("x", None, None, when, {FOUND: known} if known else {})]
    )


def test_what_changed_is_told(catalog: Path) -> None:
    path = catalog / "c" / "a" / "a.json"
    content = json.loads(path.read_text())
    known = state_of([Found(content, "", {}, "")])
    assert why(catalog, known) == ""
    assert why(catalog, "") == ""
    assert "1 items for it now, 5 when" in why(catalog, "5-abc")
    path.write_text(json.dumps(content | {"properties": {"datetime": "2021-01-01T00:00:00Z"}}))
    assert "changed" in why(catalog, known)
    path.write_text("{")
    assert why(catalog / "gone", known) == ""
