"""Files that a data id matches on a web server."""

from __future__ import annotations

from stacbuild.config.data_ids import joined
from stacbuild.sources.https.files import listing_of
from stacbuild.sources.https.store import HttpsStore
from stacbuild.sources.matching import match
from tests.support.file_server import FileServer

FILES = {
    "/d/": b'<a href="2020/">2020/</a><a href="a.tif">a</a>',
    "/d/2020/": b'<a href="b.tif">b</a>',
}


def test_patterns_are_listed_and_lists_are_taken_as_they_are() -> None:
    with FileServer(dict(FILES), types=dict.fromkeys(FILES, "text/html")) as server:
        store = HttpsStore(
            identifier="web", store_id="https", store_params={"root": f"{server.url}/d"}
        )
        found = match("**/*.tif", listing_of(store)).files
        assert [file.path for file in found] == ["2020/b.tif", "a.tif"]
        server.asked.clear()
        found = match(str(joined(["x.tif", "a.tif"])), listing_of(store)).files
        assert [file.path for file in found] == ["x.tif", "a.tif"]
        assert server.asked == []
