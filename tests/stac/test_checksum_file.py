"""Checksums of the files of many items are one file, which changes no item."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pystac
import pytest

from stacbuild.stac.catalog import Catalog
from stacbuild.stac.checksum_file import NAME
from stacbuild.stac.checksums import CHECKSUM, keep_state, new_checksums
from stacbuild.stac.extensions import file_time
from stacbuild.stac.index import INDEX
from tests.support.many_items import ADDRESS, COLLECTION, an_item, counted_reads, put


def item_of(number: int, root: Path) -> pystac.Item:
    """Return an item with the state of its file."""
    item = an_item(number, root)
    asset = item.assets["data"]
    path = Path(asset.href)
    asset.extra_fields |= {"file:size": path.stat().st_size, "updated": file_time(path)}
    return item


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    for number in range(60):
        (tmp_path / "src" / f"d_{number}.tif").write_text(f"{number:3}")
    root = tmp_path / "catalogs"
    put(Catalog(root), *(item_of(number, root) for number in range(60)))
    record(root)
    return root


def record(root: Path) -> None:
    catalog = Catalog(root)
    catalog.add_checksums(new_checksums(list(catalog.items())))


def recorded(root: Path, number: int) -> str | None:
    [item] = Catalog(root).find(ADDRESS, f"d_{number}")
    found: str | None = item.assets["data"].extra_fields.get(CHECKSUM)
    return found


def states(root: Path) -> dict[str, tuple[int, int]]:
    paths = [*root.rglob("*.json"), *root.rglob("*.parquet")]
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in paths if p.name != NAME}


def test_recording_writes_one_file_and_reads_no_item(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / COLLECTION / NAME).unlink()
    Catalog(root).renew_mirrors()
    before = states(root)
    catalog = Catalog(root)
    found = list(new_checksums(list(catalog.items())))
    with counted_reads(monkeypatch) as reads:
        catalog.add_checksums(found)
        assert (reads("i_"), reads(INDEX)) == (0, 0)
    assert states(root) == before
    assert recorded(root, 7) == {item.id: each for item, each in found}["i_007"]
    assert list(new_checksums(list(Catalog(root).items()))) == []


def test_a_touched_file_keeps_its_checksum_and_its_item_its_bytes(root: Path) -> None:
    path = root.parent / "src" / "d_7.tif"
    known, before = recorded(root, 7), states(root)
    os.utime(path, (1e9, 1e9))
    again = item_of(7, root)
    [previous] = Catalog(root).find(ADDRESS, "d_7")
    keep_state(again.assets["data"], previous.assets["data"])
    assert again.assets["data"].extra_fields[CHECKSUM] == known
    assert not put(Catalog(root), again)
    assert states(root) == before
    assert recorded(root, 7) == known


@pytest.mark.parametrize("other", ["time", "size", "href"])
def test_an_entry_does_not_hold_for_another_state(root: Path, other: str) -> None:
    path = root.parent / "src" / "d_7.tif"
    if other == "size":
        state = path.stat().st_mtime_ns
        path.write_text("more")
        os.utime(path, ns=(state, state))
    elif other == "time":
        os.utime(path, (1e9, 1e9))
    again = item_of(7, root)
    if other == "href":
        copy = shutil.copy2(path, path.with_name("copy.tif"))
        again.assets["data"].href = str(copy)
    put(Catalog(root), again)
    assert recorded(root, 7) is None
    assert recorded(root, 8) is not None
    record(root)
    assert recorded(root, 7) is not None


def test_a_catalog_that_is_moved_with_its_files_keeps_them(root: Path, tmp_path: Path) -> None:
    known = recorded(root, 7)
    (tmp_path / "moved").mkdir()
    for name in ("catalogs", "src"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert recorded(tmp_path / "moved" / "catalogs", 7) == known


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"stacbuild:checksums": ', b'{"stacbuild:checksums": {"i_007": 3}}']
)
def test_a_damaged_file_is_as_good_as_none(root: Path, content: bytes) -> None:
    (root / COLLECTION / NAME).write_bytes(content)
    assert recorded(root, 7) is None
    if content.startswith(b'{"stacbuild:checksums": '):
        record(root)
        assert recorded(root, 7) is not None


def test_a_file_of_somebody_else_stays(root: Path) -> None:
    path = root / COLLECTION / NAME
    path.write_text('{"mine": 1}')
    record(root)
    assert path.read_text() == '{"mine": 1}'
    assert recorded(root, 7) is None


def test_entries_go_with_items_and_the_file_with_the_collection(root: Path) -> None:
    ids = [f"i_{number:03d}" for number in range(60)]
    Catalog(root).remove(COLLECTION, ids[:59])
    (root / COLLECTION / NAME).write_text(
        (root / COLLECTION / NAME).read_text().replace('"i_059"', '"i_058"')
    )
    record(root)
    assert list(json.loads((root / COLLECTION / NAME).read_text())["stacbuild:checksums"]) == [
        "i_059"
    ]
    Catalog(root).remove(COLLECTION, ids)
    assert not (root / COLLECTION).exists()


def test_a_checksum_in_an_item_of_an_older_version_holds(root: Path) -> None:
    (root / COLLECTION / NAME).unlink()
    item = item_of(7, root)
    item.assets["data"].extra_fields[CHECKSUM] = "12"
    put(Catalog(root), item)
    assert recorded(root, 7) == "12"
    record(root)
    assert recorded(root, 7) == "12"
