"""Changes of the files of a data id on a web server."""

from __future__ import annotations

import datetime as dt

import pystac

from stacbuild.sources.https.state import why_changed
from stacbuild.sources.https.store import HttpsStore
from tests.support.file_server import FileServer


def test_files_that_were_added() -> None:
    with FileServer({"/": b'<a href="a.tif">a</a>'}, types={"/": "text/html"}) as server:
        store = HttpsStore(identifier="web", store_id="https", store_params={"root": server.url})
        now = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        item = pystac.Item("a", None, None, now, {"stacbuild:file": "a.tif"})
        item.add_asset("data", pystac.Asset("a.tif"))
        items = [item]
        assert why_changed(store, "*.tif", items) == ""
        server.files["/"] += b'<a href="b.tif">b</a>'
        assert why_changed(store, "*.tif", items) == "b.tif added"
        server.asked.clear()
        # A list states its files.
        assert why_changed(store, '["a.tif", "b.tif"]', items) == ""
        assert server.asked == []
