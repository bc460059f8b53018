"""The page at the URL of a Zarr store."""

from __future__ import annotations

from stacbuild.web.store_page import store_page


def test_names_are_text() -> None:
    page = store_page('http://127.0.0.1/files/<b>&".zarr').decode()
    assert "<h1>&lt;b&gt;&amp;&quot;.zarr</h1>" in page
    assert "<b>" not in page
