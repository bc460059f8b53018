"""Checksums of local sources."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pystac
import pytest

from stacbuild.stac.checksums import CHECKSUM, is_same_file, keep_state, new_checksums
from stacbuild.stac.extensions import file_time


def item_of(path: Path) -> pystac.Item:
    item = pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {})
    fields = {"file:size": path.stat().st_size, "updated": file_time(path)}
    item.add_asset("data", pystac.Asset(str(path), extra_fields=fields))
    return item


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.tif"
    path.write_bytes(b"abc")
    return path


def test_a_file_that_was_touched_is_the_same_if_its_checksum_is(path: Path) -> None:
    asset = item_of(path).assets["data"]
    assert is_same_file(asset)
    os.utime(path, (1e9, 1e9))
    assert not is_same_file(asset)
    [(_, found)] = new_checksums([item_of(path)])
    asset.extra_fields[CHECKSUM] = found
    assert is_same_file(asset)
    path.write_bytes(b"abd")
    assert not is_same_file(asset)
    path.write_bytes(b"abcd")
    assert not is_same_file(asset)
    path.unlink()
    assert not is_same_file(asset)


def test_the_state_is_kept_of_the_same_content_only(path: Path) -> None:
    previous = item_of(path)
    [(_, found)] = new_checksums([previous])
    previous.assets["data"].extra_fields[CHECKSUM] = found
    os.utime(path, (1e9, 1e9))
    touched = item_of(path).assets["data"]
    keep_state(touched, previous.assets["data"])
    assert touched.extra_fields == previous.assets["data"].extra_fields
    path.write_bytes(b"xyz")
    written = item_of(path).assets["data"]
    keep_state(written, previous.assets["data"])
    assert CHECKSUM not in written.extra_fields
    assert written.extra_fields["updated"] == file_time(path)


def test_no_checksum_is_recorded_of_a_file_that_has_one_or_was_written_to(path: Path) -> None:
    known, changed = item_of(path), item_of(path)
    known.assets["data"].extra_fields["file:checksum"] = "1220"
    changed.assets["data"].extra_fields["updated"] = "2000-01-01T00:00:00Z"
    assert list(new_checksums([known, changed])) == []
