"""``stacbuild browse`` with a build that is given, and what it says without one."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.support.cli import errors, stacbuild
from tests.support.web import ask, running


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog with a title that would end a script."""
    folder = tmp_path / "catalogs"
    folder.mkdir()
    content = {"type": "Catalog", "id": "c", "title": "</script>", "links": []}
    (folder / "catalog.json").write_text(json.dumps(content))
    return folder


def test_a_build_is_served_with_its_settings(catalog: Path, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "index.html").write_text("<html><head><title>t</title></head></html>")
    (dist / "app.js").write_text("1;")
    (tmp_path / "secret.js").write_text("2;")
    words = ("--catalog", catalog, "--port", 0, "--no-open", "--browser-dir", dist)
    with running("browse", *words) as (_, url):
        page = ask(url).body.decode()
        assert '<script src="/config.js"></script>' in page
        assert ask(urljoin(url, "app.js")).body == b"1;"
        assert ask(url, "/../secret.js").status == 404
        assert ask(url, "/%2e%2e/secret.js").status == 404
        script = ask(urljoin(url, "config.js")).body.decode()
        assert "</script>" not in script
        settings = json.loads(script.partition("=")[2].strip().rstrip(";"))
        assert settings["catalogTitle"] == "</script>"
        assert ask(settings["catalogUrl"]).status == 200


def test_without_node_and_build_it_says_what_to_do(catalog: Path, tmp_path: Path) -> None:
    environment = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = stacbuild("browse", "--catalog", catalog, "--no-open", code=5, env=environment)
    [line] = errors(done)
    assert "Node.js" in line
    assert "--browser-dir" in line
    assert "https://radiantearth.github.io/stac-browser/" in line


def test_a_folder_without_a_build_is_refused(catalog: Path, tmp_path: Path) -> None:
    done = stacbuild("browse", "--catalog", catalog, "--browser-dir", tmp_path, code=5)
    assert "index.html" in errors(done)[0]
