"""Which scripts the pages of STAC Browser may run."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from pathlib import Path

import pytest

from stacbuild.web import Server, Site
from stacbuild.web.policy import content_policy
from tests.support.web import ask


def sources(page: str) -> list[str]:
    """Return the sources of scripts that the policy of a page allows."""
    directives = dict(each.split(" ", 1) for each in content_policy(page.encode()).split("; "))
    return directives["script-src"].split()


def digest(script: str) -> str:
    found = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(found).decode()}'"


OWN = ["'self'", "'unsafe-eval'"]


@pytest.mark.parametrize(
    ("page", "more"),
    [
        ("<p>none</p>", []),
        ('<script src="/js/app.js"></script><script src="app.js" defer></script>', []),
        ("<script>run('<a>')\r\n</script>", [digest("run('<a>')\n")]),
        ("<SCRIPT type=module>a\n</SCRIPT><script>b</script>", [digest("a\n"), digest("b")]),
        ('<script src="https://cdn.example:8/x.js?y"></script>', ["https://cdn.example:8"]),
        ('<script src="//cdn.example/x.js"></script>', ["cdn.example"]),
        ("<!-- <script>no</script> --><p title='<script>no</script>' onclick='no'></p>", []),
    ],
)
def test_only_the_scripts_of_the_page_run(page: str, more: list[str]) -> None:
    assert sources(page) == OWN + more


def test_each_page_of_the_browser_has_its_policy(tmp_path: Path) -> None:
    catalog = {"type": "Catalog", "id": "a", "stac_version": "1.1.0", "links": []}
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "catalog.json").write_text(json.dumps(catalog))
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "mitm.html").write_text("<script>keepAlive()</script>")
    (dist / "app.js").write_text("run()")
    with Server(Site(tmp_path / "catalogs"), 0, dist) as server:
        server.pages = {"index.html": b"<script>start()</script>"}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = {
            (path, method): ask(server.origin, path, method)
            for path in ("/", "/index.html", "/mitm.html", "/app.js", server.site.url_path)
            for method in ("GET", "HEAD")
        }
        server.shutdown()
    script = {"/": "start()", "/index.html": "start()", "/mitm.html": "keepAlive()"}
    for (path, method), answer in found.items():
        assert answer.status == 200
        policy = answer.headers.get("content-security-policy")
        if path in script:
            assert policy == content_policy(f"<script>{script[path]}</script>".encode())
            assert digest(script[path]) in policy
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert (method == "GET") == (script[path].encode() in answer.body)
        else:
            assert policy is None
