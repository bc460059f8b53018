"""Changes of the files of a data id."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pystac

from stacbuild.sources.file.state import why_changed
from stacbuild.sources.file.store import FileStore


def test_files_that_were_added_or_removed(tmp_path: Path) -> None:
    store = FileStore(identifier="own", store_id="file", store_params={"root": str(tmp_path)})
    now = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    item = pystac.Item("a", None, None, now, {"stacbuild:file": "a.tif"})
    item.add_asset("data", pystac.Asset("a.tif"))
    items = [item]
    (tmp_path / "a.tif").touch()
    assert why_changed(store, "*.tif", items) == ""
    (tmp_path / "b.tif").touch()
    assert why_changed(store, "*.tif", items) == "b.tif added"
    (tmp_path / "a.tif").rename(tmp_path / "c.txt")
    assert why_changed(store, "*.tif", items) == "b.tif added and a.tif removed"
