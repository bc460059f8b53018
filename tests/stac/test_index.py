"""Lookups read the items that they return, and never believe an index that is not that of today."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.locks import hold
from stacbuild.stac.catalog import Catalog, read_json
from stacbuild.stac.index import INDEX, MIN_ITEMS, Index
from stacbuild.stac.reading import LOCK
from tests.support.many_items import (
    ADDRESS,
    COLLECTION,
    COUNT,
    an_item,
    counted_reads,
    let_time_pass,
    many_items,
    put,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_items(tmp_path_factory.mktemp("many") / "catalogs").root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    root = shutil.copytree(template, tmp_path / "catalogs")
    (root / COLLECTION / INDEX).unlink()
    assert len(found(root, 7)) == 1
    let_time_pass(root)
    return root


def found(root: Path, number: int) -> list[str]:
    return [item.id for item in Catalog(root).find(ADDRESS, f"d_{number}")]


def edit(root: Path, number: int, old: str, new: str) -> Path:
    """Replace text of an item as an editor does, without changing its times."""
    path = root / COLLECTION / f"i_{number:03d}" / f"i_{number:03d}.json"
    before = path.stat()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


def test_a_lookup_reads_the_items_that_it_returns(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_reads(monkeypatch) as reads:
        assert found(root, 7) == ["i_007"]
        assert reads("i_") == 1
        assert found(root, 1000) == []
        assert reads("i_") == 1


def test_many_lookups_read_the_index_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(root)
    with counted_reads(monkeypatch) as reads:
        for number in range(20):
            assert len(catalog.find(ADDRESS, f"d_{number}")) == 1
        assert (reads("collection.json"), reads(INDEX), reads("i_")) == (1, 1, 20)


def test_an_item_that_was_edited_by_hand_is_noticed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same size, and the same modification time.
    edit(root, 7, '"d_7"', '"d_8"')
    assert found(root, 7) == []
    assert found(root, 8) == ["i_007", "i_008"]
    edit(root, 9, '"d_9"', '"d_9000"')
    assert (found(root, 9), found(root, 9000)) == ([], ["i_009"])
    with counted_reads(monkeypatch) as reads:
        found(root, 3)
        assert reads("i_") <= 3


def test_an_item_of_the_same_tick_as_the_index_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It may have been written after it was read, without other times.
    stored = root / COLLECTION / INDEX
    paths = (root / COLLECTION).glob("*/*.json")
    when, newest = max((path.stat().st_ctime_ns, path.stem) for path in paths)
    os.utime(stored, ns=(when + 1, when + 1))
    with counted_reads(monkeypatch) as reads:
        assert found(root, 1000) == []
        assert reads(newest) == 1


def damage(data: bytes, kind: str) -> bytes:
    head, body = data.rstrip(b"\n").split(b"\n")
    return {
        "truncated": data[: len(data) // 2],
        "empty": b"",
        "a letter": data.replace(b'"d_7"', b'"d_6"', 1),
        "another version": data.replace(b'"stacbuild:index": 1', b'"stacbuild:index": 99', 1),
        "no checksum": b'{"stacbuild:index": 1}\n' + body,
        "a list": head + b"\n[]\n",
        "more lines": data + data,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["truncated", "empty", "a letter", "another version", "no checksum", "a list", "more lines"],
)
def test_a_damaged_index_is_not_believed(root: Path, kind: str) -> None:
    path = root / COLLECTION / INDEX
    path.write_bytes(damage(path.read_bytes(), kind))
    assert found(root, 7) == ["i_007"]
    assert found(root, 6) == ["i_006"]


def test_a_file_of_somebody_else_is_not_replaced(root: Path) -> None:
    path = root / COLLECTION / INDEX
    path.write_text('{"my": "items"}')
    assert found(root, 7) == ["i_007"]
    put(Catalog(root), an_item(7, root, title="new"))
    assert path.read_text() == '{"my": "items"}'


def test_a_copied_catalog_is_read_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    with counted_reads(monkeypatch) as reads:
        assert found(copy, 7) == ["i_007"]
        assert reads("i_") == COUNT + 1
    let_time_pass(copy)
    with counted_reads(monkeypatch) as reads:
        assert found(copy, 7) == ["i_007"]
        assert reads("i_") == 1


def test_changes_of_our_own_are_indexed(root: Path) -> None:
    catalog = Catalog(root)
    assert catalog.find(ADDRESS, "d_500") == []
    put(catalog, an_item(500, root))
    assert [item.id for item in catalog.find(ADDRESS, "d_500")] == ["i_500"]
    assert found(root, 500) == ["i_500"]
    catalog.remove(COLLECTION, ["i_007"])
    assert (found(root, 7), catalog.find(ADDRESS, "d_7")) == ([], [])
    assert len(stored_entries(root)) == COUNT


def stored_entries(root: Path) -> dict[str, list[object]]:
    body = (root / COLLECTION / INDEX).read_bytes().split(b"\n")[1]
    entries: dict[str, list[object]] = json.loads(body)
    return entries


def test_a_run_that_dies_before_it_writes_the_index_loses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(index: Index) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Index, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            put(Catalog(root), an_item(500, root), an_item(7, root, **{"stacbuild:data_id": "x"}))
    assert (found(root, 500), found(root, 7)) == (["i_500"], [])
    assert [item.id for item in Catalog(root).find(ADDRESS, "x")] == ["i_007"]


def test_a_lookup_does_not_wait_for_another_process(root: Path) -> None:
    path = root / COLLECTION / INDEX
    path.unlink()
    with hold(root / LOCK, "catalog"):
        assert found(root, 7) == ["i_007"]
        assert not path.exists()


def test_a_link_out_of_the_catalog_is_refused_with_an_index_too(root: Path, tmp_path: Path) -> None:
    folder = root / COLLECTION / "i_007"
    elsewhere = shutil.move(folder, tmp_path / "i_007")
    folder.symlink_to(elsewhere)
    with pytest.raises(IntegrityError, match="outside of the catalog"):
        found(root, 7)


def test_an_item_without_a_file_is_an_error_as_before(root: Path) -> None:
    (root / COLLECTION / "i_009" / "i_009.json").unlink()
    with pytest.raises(LocalError, match="i_009"):
        found(root, 7)


def test_few_items_have_no_index(tmp_path: Path) -> None:
    catalog = many_items(tmp_path / "catalogs", 3)
    assert [path.name for path in (catalog.root / COLLECTION).glob("*.*")] == ["collection.json"]


def test_a_collection_that_shrinks_loses_its_index(root: Path) -> None:
    Catalog(root).remove(COLLECTION, [f"i_{number:03d}" for number in range(MIN_ITEMS, COUNT)])
    assert (root / COLLECTION / INDEX).exists()
    Catalog(root).remove(COLLECTION, ["i_000"])
    assert not (root / COLLECTION / INDEX).exists()
    assert found(root, 7) == ["i_007"]
    Catalog(root).remove(COLLECTION, Catalog(root).item_ids(COLLECTION))
    assert not (root / COLLECTION).exists()


def test_an_item_is_added_without_reading_the_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_reads(monkeypatch) as reads:
        put(Catalog(root), an_item(500, root))
        assert reads("i_") <= 3
    links = read_json(root / COLLECTION / "collection.json")["links"]
    assert sum(link["rel"] == "item" for link in links) == COUNT + 1


def test_the_collection_is_not_read_for_each_item(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = set()
    for count in (1, 30):
        with counted_reads(monkeypatch) as reads:
            put(Catalog(root), *(an_item(number, root, title="b") for number in range(count)))
            counts.add(reads("collection.json"))
    assert len(counts) == 1


@pytest.mark.parametrize("state", ["", None])
def test_entries_without_the_state_of_a_file_are_not_believed(
    root: Path, state: str | None
) -> None:
    item = {"id": "x", "bbox": None, "properties": {}}
    write_entries(root, {href: [state, "x", item] for href in stored_entries(root)})
    os.utime(root / COLLECTION / INDEX, ns=(1, 1))
    assert found(root, 7) == ["i_007"]


@pytest.mark.parametrize("item", [None, "x", {}, {"bbox": None, "properties": []}])
def test_entries_of_other_types_are_not_believed(root: Path, item: object) -> None:
    stored = stored_entries(root)
    write_entries(root, {href: [entry[0], entry[1], item] for href, entry in stored.items()})
    let_time_pass(root)
    assert found(root, 7) == ["i_007"]


def write_entries(root: Path, entries: dict[str, list[object]]) -> None:
    """Write an index with the right checksum."""
    body = json.dumps(entries).encode()
    head = {"stacbuild:index": 1, "sha256": hashlib.sha256(body).hexdigest()}
    path = root / COLLECTION / INDEX
    path.write_bytes(json.dumps(head).encode() + b"\n" + body + b"\n")


def test_heights_in_a_bbox_are_not_in_the_extent(root: Path) -> None:
    edit(root, 7, "[\n    0,\n    0,\n    1,\n    1\n  ]", "[0, 0, -50, 2, 1, 900]")
    put(Catalog(root), an_item(8, root, title="new"))
    content = read_json(root / COLLECTION / "collection.json")
    assert content["extent"]["spatial"]["bbox"] == [[0, 0, 2, 1]]
