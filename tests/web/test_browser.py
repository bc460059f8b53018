"""The demo's catalog in STAC Browser, as a user sees it: clicked through in headless Chromium.

What it takes is made by ``scripts/setup-browser``. Screenshots stay in ``build/browser``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stacbuild.web.browser import default_folder, is_built
from tests.standins.demo import Servers, demo_config
from tests.support.cli import stacbuild
from tests.support.paths import ROOT
from tests.support.web import running

PLAYWRIGHT = ROOT / "build" / "playwright"
SHOTS = ROOT / "build" / "browser"
BOX = "-0.70,44.10,-0.58,44.20"

CUBES = ("senf", "gami", "liu", "clms")
ATLAS, ATLAS_ITEM = "zenodo-13333034", "france-forest_mask_france"
CANOPY, CANOPY_ITEM = "zenodo-8154445", "planet_canopy_cover_30m_v0.1"
GAMI_ITEM = "collections-GAMI-GAMI_v2.1"

Json = dict[str, Any]


def _missing() -> str:
    needed = {
        "chromium": shutil.which("chromium"),
        "node": shutil.which("node"),
        "playwright-core": (PLAYWRIGHT / "node_modules" / "playwright-core").exists(),
        "a build of STAC Browser": is_built(default_folder()),
    }
    return ", ".join(name for name, there in needed.items() if not there)


pytestmark = pytest.mark.skipif(
    bool(_missing()), reason=f"needs {_missing()}: run scripts/setup-browser"
)


class Site:
    """What was observed while clicking through the catalog, and the catalog itself."""

    def __init__(self, catalog: Path, found: Json) -> None:
        self.catalog = catalog
        self.found = found
        self.pages = {tuple(page["path"]): page for page in found["pages"]}

    def content(self, *path: str) -> Json:
        return _content(self.catalog, *path)

    def page(self, *path: str) -> Json:
        return self.pages[_walk(self.catalog, path)]  # type: ignore[no-any-return]


def _file(catalog: Path, *path: str) -> Path:
    if len(path) == 2:
        return catalog / path[0] / path[1] / f"{path[1]}.json"
    return catalog / path[0] / "collection.json" if path else catalog / "catalog.json"


def _content(catalog: Path, *path: str) -> Json:
    return json.loads(_file(catalog, *path).read_bytes())  # type: ignore[no-any-return]


def _title(catalog: Path, *path: str) -> str:
    content = _content(catalog, *path)
    return str(content.get("title") or content["properties"]["title"])


def _walk(catalog: Path, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the titles to click on, from the root to a page."""
    return tuple(_title(catalog, *path[:depth]) for depth in range(len(path) + 1))


def _pictures(catalog: Path, path: tuple[str, ...]) -> int:
    """Return how many thumbnails a page shows: its own, and those of the pages that it links to."""
    content = _content(catalog, *path)
    below = [link for link in content["links"] if link["rel"] in ("child", "item")]
    shown = [
        content,
        *(json.loads((_file(catalog, *path).parent / link["href"]).read_bytes()) for link in below),
    ]
    return sum("thumbnail" in each.get("assets", {}) for each in shown)


def _run(script: str, wanted: Json) -> Json:
    """Run a script of ``tests/browser`` and return what it found."""
    tools = {"chromium": shutil.which("chromium"), "playwright": str(PLAYWRIGHT)}
    done = subprocess.run(
        ["node", ROOT / "tests" / "browser" / script],
        input=json.dumps(tools | wanted),
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, _running: Servers) -> Iterator[Site]:
    _running.reset()
    directory = tmp_path_factory.mktemp("scs2")
    stacbuild("cube", demo_config(directory, _running.endpoints), "--bbox", BOX)
    catalog = directory / "catalogs"
    s3 = next(path.name for path in catalog.glob("s3-*"))
    places = [
        (),
        ("scs2",),
        (CANOPY,),
        *(("scs2", cube) for cube in CUBES),
        (CANOPY, CANOPY_ITEM),
        (ATLAS, ATLAS_ITEM),
        (s3,),
        (s3, GAMI_ITEM),
    ]
    walks = [
        {"path": _walk(catalog, place), "pictures": _pictures(catalog, place)} for place in places
    ]
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    with running("browse", "--catalog", catalog, "--port", 0, "--no-open") as (_, url):
        found = _run("walk.mjs", {"start": url, "walks": walks, "screenshots": str(SHOTS)})
        yield Site(catalog, found | {"start": url, "s3": s3})


def test_nothing_fails_and_nothing_comes_from_elsewhere(site: Site) -> None:
    assert site.found["errors"] == []
    assert site.found["failed"] == []
    own = (site.found["start"], "data:", "blob:")
    assert [url for url in site.found["requested"] if not url.startswith(own)] == []


def test_the_root_shows_every_collection_with_its_picture(site: Site) -> None:
    page = site.page()
    children = [link["title"] for link in site.content()["links"] if link["rel"] == "child"]
    assert len(children) == 7
    # Cubes come before sources, also on the page.
    assert site.content()["links"][1]["href"] == "./scs2/collection.json"
    shown = [link["text"] for link in page["links"] if link["text"] in children]
    assert list(dict.fromkeys(shown)) == children
    assert {*children} <= {link["text"] for link in page["links"]}
    pictures = [image for image in page["images"] if image["src"].endswith("thumbnail.png")]
    assert len(pictures) == len(children)
    assert all(image["width"] > 0 for image in pictures)


def test_the_collection_of_cubes(site: Site) -> None:
    page = site.page("scs2")
    for cube in CUBES:
        assert _title(site.catalog, "scs2", cube) in page["text"]
    assert len([each for each in page["images"] if each["width"] > 0]) == len(CUBES) + 1
    assert page["footprint"] >= 100
    for name in ("Senf, Cornelius", "Liu, Siyu", "stacbuild"):
        assert name in page["text"]
    assert "https://creativecommons.org/licenses/by/4.0" in {
        link["href"].rstrip("/").removesuffix("/legalcode") for link in page["links"]
    }


@pytest.mark.parametrize("cube", CUBES)
def test_a_cube(site: Site, cube: str) -> None:
    page, item = site.page("scs2", cube), site.content("scs2", cube)
    properties = item["properties"]
    assert page["title"] == properties["title"]
    assert page["footprint"] >= 100
    # A Zarr store is a folder, which a button to download it would not lead to.
    assert "Copy URL" in page["text"]
    assert "Download" not in page["text"]
    [picture] = [image for image in page["images"] if image["src"].endswith("thumbnail.png")]
    assert 0 < picture["width"] <= 512
    for heading in ("Providers", "License", "Dimensions", "Variables"):
        assert heading in page["text"]
    links = {link["href"]: link["text"] for link in page["links"]}
    # The stand-in of the CLMS names no DOI.
    assert ("sci:publications" in properties) == (cube != "clms")
    for publication in properties.get("sci:publications", []):
        assert f"http://doi.org/{publication['doi']}" in links
    for provider in properties["providers"]:
        assert provider["name"] in page["text"]
    for name in ({*properties["cube:variables"]} - {"spatial_ref"}) | {"lat", "lon"}:
        assert name.replace("_", " ").lower() in page["text"].replace("_", " ").lower()
    # The legends, by value and name.
    for variable in properties["cube:variables"].values():
        for entry in variable.get("classification:classes", []):
            assert entry["name"] in page["text"]
    # Each source is one click away.
    sources = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert sources
    for source in sources:
        place = source["href"].removeprefix("../../")
        assert links[f"{site.found['start']}#/{place}"] == source["title"]


@pytest.mark.parametrize("place", [(CANOPY, CANOPY_ITEM), (ATLAS, ATLAS_ITEM), ("s3", GAMI_ITEM)])
def test_a_source(site: Site, place: tuple[str, str]) -> None:
    where = (site.found["s3"] if place[0] == "s3" else place[0], place[1])
    page, item = site.page(*where), site.content(*where)
    assert page["title"] == item["properties"]["title"]
    assert page["footprint"] >= 100
    for provider in item["properties"]["providers"]:
        assert provider["name"] in page["text"]
    assert "License" in page["text"]
    assert any("://doi.org/10." in link["href"] for link in page["links"])
    assert item["properties"]["proj:code"] in page["text"]
    assert _title(site.catalog, where[0]) in page["text"]


def test_a_collection_of_sources(site: Site) -> None:
    for where in (CANOPY, site.found["s3"]):
        page, collection = site.page(where), site.content(where)
        assert page["title"] == collection["title"]
        assert page["footprint"] >= 100
        [picture] = [image for image in page["images"] if image["src"].endswith("thumbnail.png")]
        assert picture["width"] > 0
        assert "License" in page["text"]
        assert f"://doi.org/{collection['sci:doi']}" in " ".join(
            link["href"] for link in page["links"]
        )


def _hostile(catalog: Path) -> None:
    """Write a catalog by hand whose links, assets and texts are scripts."""

    # A URL with a host is shown in more places of a page.
    def script(name: str, before: str = "//host/%0A") -> str:
        return f"javascript:{before}void(new%20Image().src='http://ran.invalid/{name}')"

    def common(name: str) -> Json:
        return {
            "stac_version": "1.1.0",
            "id": name,
            "license": "other",
            "title": f"The {name}",
            "description": f'[d]({script("text")}) <img src=x onerror="{script("img")}">',
            "providers": [
                {"name": "Mallory", "url": script("provider"), "roles": ["host"]},
                {"name": "Trudy", "url": script("plain", "")},
            ],
        }

    roots = [{"rel": "root", "href": "../catalog.json"}, {"rel": "parent", "href": ".."}]
    rels = ("license", "about", "via", "related", "derived_from", "preview", "edit", "cite-as")
    links = [{"rel": rel, "href": script(rel), "title": rel} for rel in rels]
    assets = {
        name: {"href": script(name), "type": media, "title": name, "roles": [name]}
        for name, media in (("data", "image/tiff"), ("metadata", "text/html"))
    }
    box = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}
    extent = {
        "spatial": {"bbox": [[0, 0, 1, 1]]},
        "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]},
    }
    root = {"type": "Catalog", "links": [{"rel": "child", "href": "./c/collection.json"}]}
    collection = {"type": "Collection", "extent": extent, "assets": assets}
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "i",
        "bbox": [0, 0, 1, 1],
        "geometry": box,
        "properties": common("item") | {"datetime": "2020-01-01T00:00:00Z"},
        "assets": assets,
        "links": links,
    }
    (catalog / "c").mkdir(parents=True)
    (catalog / "catalog.json").write_text(json.dumps(common("root") | root))
    below = [*roots, *links, {"rel": "item", "href": "./item.json"}]
    (catalog / "c" / "collection.json").write_text(
        json.dumps(common("collection") | collection | {"links": below})
    )
    (catalog / "c" / "item.json").write_text(json.dumps(item))


def test_no_script_of_a_catalog_runs(tmp_path: Path) -> None:
    _hostile(tmp_path / "catalogs")
    pages = [
        {"route": "#/c/collection.json", "title": "The collection"},
        {"route": "#/c/item.json", "title": "The item"},
    ]
    with running("browse", "--catalog", tmp_path / "catalogs", "--port", 0, "--no-open") as (
        _,
        url,
    ):
        found = _run("click.mjs", {"start": url, "pages": pages})
    clicked = " ".join(found["links"])
    # Otherwise nothing was tried: these links are on the pages.
    for name in ("provider", "plain", "license"):
        assert f"ran.invalid/{name}" in clicked
    assert found["ran"] == []
    # One for each link, and two for the HTML that is inserted into each page.
    assert found["blocked"] >= len(found["links"]) + 2 * len(pages)
