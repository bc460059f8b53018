"""Files that stacbuild wrote are recognised; no others are overwritten or removed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pystac
import pytest

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.stac.catalog import Catalog, Harvest
from stacbuild.stac.files import (
    is_of_cubes,
    is_own_picture,
    read_json,
    remove_item_files,
    save,
    save_all,
    save_picture,
    strange_picture,
    stranger,
    write_json,
)

ITEM = {"type": "Feature", "id": "a", "properties": {"stacbuild:store": "file:src"}}
PNG = b"\x89PNG\r\n\x1a\n....tEXtSoftware\x00stacbuild...."


def test_json_has_stable_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert write_json(path, {"name": "Gänse"})
    assert path.read_text() == '{\n  "name": "Gänse"\n}\n'
    assert not write_json(path, {"name": "Gänse"})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"value": float("nan")})


def test_of_several_files_those_that_change_are_synced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    contents: dict[Path, Any] = {tmp_path / f"{name}/{name}.json": {"id": name} for name in "abc"}
    assert save_all(contents)
    assert len(synced) == 3
    assert [read_json(path) for path in contents] == list(contents.values())
    contents[tmp_path / "b/b.json"] = {"id": "b", "title": "B"}
    assert save_all(contents)
    assert len(synced) == 4
    assert not save_all(contents)
    assert not save_all({})
    with pytest.raises(LocalError, match=r"a\.json/a\.json"):
        save_all({tmp_path / "a/a.json" / "a.json": {}, **contents})


@pytest.mark.parametrize("content", [b"{", b"[1]", b"[" * 100_000, b"\xff"])
def test_what_is_no_stac_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
    with pytest.raises(LocalError, match=r"gone\.json"):
        read_json(tmp_path / "gone.json")


def test_an_item_of_ours_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "a" / "a.json"
    assert stranger(path, "Feature", "a") is None
    save(path, ITEM)
    assert stranger(path, "Feature", "a") is None


@pytest.mark.parametrize(
    "content",
    [ITEM | {"id": "b"}, ITEM | {"type": "Collection"}, ITEM | {"properties": {}}, {"a": 1}],
)
def test_what_another_wrote_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    write_json(path, content)
    assert str(path) in (stranger(path, "Feature", "a") or "")


def test_links_and_folders_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    assert stranger(tmp_path / "a.json", "Feature", "a")
    (tmp_path / "link").symlink_to(tmp_path)
    assert "symbolic link" in (stranger(tmp_path / "link" / "b.json", "Feature", "b") or "")


def test_pictures_bear_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    save_picture(path, PNG)
    assert is_own_picture(tmp_path / "thumbnail.png")
    assert strange_picture(path) is None
    (tmp_path / "thumbnail.png").write_bytes(b"\x89PNG somebody's")
    assert "thumbnail.png" in (strange_picture(path) or "")
    # Of older versions, which put none in: the item names it.
    write_json(path, ITEM | {"assets": {"thumbnail": {"href": "./thumbnail.png"}}})
    assert strange_picture(path) is None


def test_what_is_not_ours_stays_beside_a_removed_item(tmp_path: Path) -> None:
    for name, picture in (("a", PNG), ("b", b"somebody's")):
        path = tmp_path / name / f"{name}.json"
        save(path, ITEM)
        path.with_name("thumbnail.png").write_bytes(picture)
        remove_item_files(path)
    assert not (tmp_path / "a").exists()
    assert [each.name for each in (tmp_path / "b").iterdir()] == ["thumbnail.png"]


def test_collections_of_cubes_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "collection.json"
    for providers, expected in [
        ([{"name": "stacbuild", "roles": ["processor"]}], True),
        ([{"name": "GFZ"}, {"name": "stacbuild"}], True),
        ([{"name": "GFZ"}], False),
        ([], False),
        (None, False),
        ("stacbuild", False),
        (["stacbuild"], False),
    ]:
        path.write_text(json.dumps({"type": "Collection", "providers": providers}))
        assert is_of_cubes(path) == expected
    path.write_text("{")
    assert not is_of_cubes(path)
    assert not is_of_cubes(tmp_path / "gone.json")


def test_a_catalog_lists_cubes_first(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    everywhere = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[when, None]])
    )
    for name, provider in [("b", None), ("z", "stacbuild"), ("a", None), ("y", "stacbuild")]:
        collection = pystac.Collection(name, "Described.", everywhere)
        collection.providers = [pystac.Provider(provider)] if provider else None
        item = pystac.Item(f"of-{name}", None, None, when, {"stacbuild:store": "file:src"})
        catalog.put(Harvest(collection, (item,)))
    assert [path.parent.name for path in catalog.collections()] == ["y", "z", "a", "b"]
    assert not catalog.put(Harvest(collection, (item,)))
