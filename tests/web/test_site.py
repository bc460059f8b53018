"""Catalogs of others: what of them is served, and what one bad document does to the rest."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from stacbuild.web import Server, Site
from tests.support.web import ask

GROUP = '{"zarr_format": 3, "node_type": "group"}'
SECRET = "a private document"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A catalog with an item, a Zarr store beside it, and private files around."""
    bundle = tmp_path / "bundle"
    store(bundle / "data" / "a.zarr")
    store(tmp_path / "outside.zarr")
    for path in (
        bundle / "private.txt",
        bundle / "private.json",
        bundle / "data" / "a.zarr" / "notes.txt",
        bundle / "data" / "a.zarr" / "v" / "c" / "notes.json",
    ):
        path.write_text(SECRET)
    put_item(bundle, "good", "../data/a.zarr")
    put_catalog(bundle, item_link("good"))
    return bundle


def store(path: Path) -> None:
    (path / "v" / "c" / "0").mkdir(parents=True)
    (path / "zarr.json").write_text(GROUP)
    (path / "v" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"}')
    (path / "v" / "c" / "0" / "1").write_bytes(b"chunk")


def item_link(name: str) -> Any:
    return {"rel": "item", "href": f"./{name}.json"}


def put_item(bundle: Path, name: str, *hrefs: Any) -> None:
    assets = {str(number): {"href": href} for number, href in enumerate(hrefs)}
    content = {"type": "Feature", "id": name, "properties": {}, "links": [], "assets": assets}
    (bundle / "catalogs").mkdir(exist_ok=True)
    (bundle / "catalogs" / f"{name}.json").write_text(json.dumps(content))


def put_catalog(bundle: Path, *links: Any) -> None:
    content = {"type": "Catalog", "id": "c", "description": "c", "links": links}
    (bundle / "catalogs" / "catalog.json").write_text(json.dumps(content))


def is_served(site: Site, path: str) -> bool:
    return site.find(f"/files/{path}") is not None


def test_of_a_store_only_its_keys_are_served(bundle: Path) -> None:
    site = Site(bundle / "catalogs")
    for key in ("zarr.json", "v/zarr.json", "v/c/0/1"):
        assert is_served(site, f"data/a.zarr/{key}"), key
    for key in (
        "notes.txt",
        "v/c/notes.json",
        "v",
        f"v/{'1' * 300}/0",
        "v/c/0/1/zarr.json",
    ):
        assert not is_served(site, f"data/a.zarr/{key}"), key


def test_the_folder_of_the_catalog_is_no_store(bundle: Path) -> None:
    for above in (bundle, bundle / "catalogs"):
        (above / "zarr.json").write_text(GROUP)
    put_item(bundle, "up", "..", "../../bundle", ".", "../data/../../bundle/.")
    put_catalog(bundle, item_link("good"), item_link("up"))
    site = Site(bundle / "catalogs")
    assert "is a Zarr store that contains the catalog" in site.refused.values()
    for path in ("private.txt", "private.json", "zarr.json", "catalogs/zarr.json"):
        assert not is_served(site, path), path
    assert is_served(site, "data/a.zarr/zarr.json")


@pytest.mark.parametrize("name", ["data/a.zarr", "data"])
def test_a_folder_that_becomes_a_link_after_the_start(bundle: Path, name: str) -> None:
    site = Site(bundle / "catalogs")
    assert is_served(site, "data/a.zarr/zarr.json")
    shutil.move(bundle / name, bundle.parent / "moved")
    target = bundle.parent / ("outside.zarr" if name.endswith("zarr") else "moved")
    (bundle / name).symlink_to(target)
    assert not is_served(site, "data/a.zarr/zarr.json")
    assert not is_served(site, "data/a.zarr/v/c/0/1")


BAD_LINKS = {
    "a rel that is a list": {"rel": ["item"], "href": "./good.json"},
    "a rel that is an object": {"rel": {}, "href": "./good.json"},
    "a long href": {"rel": "item", "href": "a/" * 5000},
    "a long name": {"rel": "item", "href": "a" * 3000},
    "a surrogate": {"rel": "item", "href": "\ud800.json"},
    "a NUL": {"rel": "item", "href": "a\0.json"},
    "no href": {"rel": "item"},
    "an href that is an object": {"rel": "child", "href": {}},
    "a pipe": item_link("pipe"),
    "a folder": {"rel": "item", "href": "."},
    "no JSON": item_link("broken"),
    "a loop of links": item_link("loop"),
}
BAD_HREFS = [
    "a" * 5000,
    "a/" * 5000,
    "\ud800.tif",
    "a\0.tif",
    [],
    None,
    5,
    "../pipe",
    "../loop.tif",
]


def spoil(bundle: Path) -> None:
    """Put files there that harm whoever opens them."""
    for folder in (bundle, bundle / "catalogs"):
        os.mkfifo(folder / "pipe.json")
        os.mkfifo(folder / "pipe")
        for name in ("loop.json", "loop.tif"):
            (folder / name).symlink_to(folder / name)
    (bundle / "catalogs" / "broken.json").write_text('{"type": ')


@pytest.mark.parametrize("meanwhile", [False, True])
@pytest.mark.parametrize("name", BAD_LINKS)
def test_a_bad_link_hides_nothing_else(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: bool
) -> None:
    monkeypatch.setattr("stacbuild.web.site._SCAN_INTERVAL", 0)
    spoil(bundle)
    site = Site(bundle / "catalogs") if meanwhile else None
    put_catalog(bundle, BAD_LINKS[name], item_link("good"), "no link", None)
    site = site or Site(bundle / "catalogs")
    for _ in range(2):
        assert not is_served(site, "data/nothing.tif")
        assert is_served(site, "data/a.zarr/zarr.json")


@pytest.mark.parametrize("meanwhile", [False, True])
@pytest.mark.parametrize("href", BAD_HREFS)
def test_a_bad_asset_hides_nothing_else(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, href: Any, meanwhile: bool
) -> None:
    monkeypatch.setattr("stacbuild.web.site._SCAN_INTERVAL", 0)
    spoil(bundle)
    site = Site(bundle / "catalogs") if meanwhile else None
    put_item(bundle, "bad", href)
    put_catalog(bundle, item_link("bad"), item_link("good"))
    site = site or Site(bundle / "catalogs")
    for _ in range(2):
        assert not is_served(site, "data/nothing.tif")
        assert is_served(site, "data/a.zarr/zarr.json")
        assert is_served(site, "catalogs/bad.json")


def test_a_server_goes_on_after_bad_documents(bundle: Path) -> None:
    spoil(bundle)
    put_item(bundle, "bad", *BAD_HREFS)
    put_catalog(bundle, *BAD_LINKS.values(), item_link("bad"), item_link("good"))
    server = Server(Site(bundle / "catalogs"))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        assert ask(f"{server.origin}/files/catalogs/pipe.json").status == 404
        assert ask(f"{server.origin}/files/data/a.zarr/v/c/0/1").body == b"chunk"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
