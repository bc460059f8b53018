"""Folders of web servers, as the pages that servers make for them."""

from __future__ import annotations

import pytest
import requests

from stacbuild.errors import NotFoundError, StacbuildError
from stacbuild.net.index import list_index
from tests.support.file_server import FileServer

# Of Apache: other orders, the parent, quoted names, and links with the whole path.
PAGE = """<html><body><h1>Index of /data</h1><table><tr><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td><a href="/">Parent Directory</a></td></tr> <a href="../">..</a> <a name="here">x</a>
<a href="b%20%C3%BC.tif">b &uuml;.tif</a><a href="/data/a.tif">a.tif</a><a href="sub/">sub/</a>
<a href="sub/deep.tif">deep</a><a href="https://elsewhere.example/data/x.tif">x</a>
<a href="%2e%2e%2fetc">evil</a><a href="http://[">broken</a></body></html>"""


def test_names_and_folders() -> None:
    with FileServer({"/data/": PAGE.encode()}, types={"/data/": "text/html"}) as server:
        found = list_index(requests.Session(), f"{server.url}/data")
    assert found == {"b ü.tif": False, "a.tif": False, "sub": True}


def test_a_server_that_does_not_list() -> None:
    with FileServer({"/data/": b"{}"}) as server:
        with pytest.raises(StacbuildError, match=r"not list this folder.*name files in a list"):
            list_index(requests.Session(), f"{server.url}/data")
        with pytest.raises(NotFoundError):
            list_index(requests.Session(), f"{server.url}/none")
