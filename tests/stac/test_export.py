"""``stacbuild export``: a catalog as files with absolute hrefs."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pystac
import pytest
import rustac

from stacbuild.stac.export import export
from tests.support.cli import configuration, errors, geotiff, stacbuild

Json = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a configuration of one source (in "in put", with a space) and a cube."""
    directory = tmp_path_factory.mktemp("small")
    geotiff(directory / "in put" / "codes.tif")
    stores = [{"identifier": "files", "store_id": "file", "store_params": {"root": "in put"}}]
    datasets = [{"identifier": "cube", "store": "files", "data_id": "codes.tif"}]
    stacbuild("cube", configuration(directory, datasets, stores))
    return directory


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "copy"))


def run(directory: Path, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Export the catalog of a folder into ``export`` in it."""
    places = ("--catalog", directory / "catalogs", "-o", directory / "export")
    return stacbuild("export", *places, *words, code=code)


def exported(directory: Path) -> dict[str, Json]:
    """Return the exported items by id."""
    content = json.loads((directory / "export" / "items.json").read_text())
    assert content["type"] == "FeatureCollection"
    return {item["id"]: item for item in content["features"]}


def originals(directory: Path) -> dict[str, tuple[Path, Json]]:
    """Return path and content of the catalog's items by id."""
    files = {path.stem: path for path in (directory / "catalogs").glob("*/*/*.json")}
    return {name: (path, json.loads(path.read_text())) for name, path in files.items()}


def from_parquet(path: Path) -> list[Json]:
    async def read() -> Json:
        return dict(await rustac.read(str(path)))

    return list(asyncio.run(read())["features"])


def test_it_prints_what_it_writes_and_the_catalog_stays(folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "catalogs").rglob("*.json")}
    written = [Path(line) for line in run(folder).stdout.splitlines()]
    assert [path.name for path in written[:2]] == ["items.json", "items.parquet"]
    assert {path.parent.name for path in written[2:]} == {"collections"}
    assert len(written) == 4
    found = {path for path in (folder / "export").rglob("*") if path.is_file()}
    assert found == set(written)
    assert {path: path.read_bytes() for path in (folder / "catalogs").rglob("*.json")} == before


def test_without_a_url_local_hrefs_are_paths_of_this_machine(folder: Path) -> None:
    run(folder)
    for name, (path, original) in originals(folder).items():
        item = exported(folder)[name]
        assert item["properties"] == original["properties"]
        href = item["assets"]["data"]["href"]
        assert Path(href).is_absolute()
        assert Path(href).exists()
        links = {link["rel"]: link["href"] for link in item["links"]}
        assert links["canonical"] == str(path)
        assert not {"root", "parent", "self"} & links.keys()
        if name == "cube":
            assert links["derived_from"] == str(originals(folder)["codes"][0])
    assert exported(folder)["cube"]["collection"] == "c"


@pytest.mark.parametrize("end", ["", "/", "/catalog.json"])
def test_with_a_url_hrefs_are_what_relative_ones_lead_to_from_there(folder: Path, end: str) -> None:
    base = "https://example.org/some/stac"
    run(folder, "--base-url", base + end)
    count = 0
    for name, (path, original) in originals(folder).items():
        url = f"{base}/{path.relative_to(folder / 'catalogs').as_posix()}"
        item = exported(folder)[name]
        for key, asset in original["assets"].items():
            relative = asset["href"].replace(" ", "%20")
            assert item["assets"][key]["href"] == urljoin(url, relative)
            count += " " in asset["href"]
        sources = [link["href"] for link in original["links"] if link["rel"] == "derived_from"]
        found = [link["href"] for link in item["links"] if link["rel"] == "derived_from"]
        assert found == [urljoin(url, href) for href in sources]
    assert count == 1, "the name with a space"
    assert str(folder) not in (folder / "export" / "items.json").read_text()


def test_collections_are_whole_and_pystac_reads_them(folder: Path) -> None:
    run(folder, "--base-url", "https://example.org/some/stac")
    files = sorted((folder / "export" / "collections").glob("*.json"))
    assert len(files) == 2
    for path in files:
        found = pystac.Collection.from_file(str(path))
        original = json.loads((folder / "catalogs" / found.id / "collection.json").read_text())
        assert found.title == original["title"]
        assert found.extent.to_dict() == original["extent"]
        hrefs = [link.href for link in found.links if link.rel not in {"self", "root"}]
        assert all(href.startswith("https://") for href in hrefs), hrefs


def test_parquet_holds_the_same_items(folder: Path) -> None:
    run(folder, "--base-url", "https://example.org/some/stac")
    items = exported(folder)
    found = {item["id"]: item for item in from_parquet(folder / "export" / "items.parquet")}
    assert found.keys() == items.keys()
    for name, item in items.items():
        assert found[name]["geometry"] == item["geometry"]
        assert list(found[name]["bbox"]) == item["bbox"]
        assert found[name]["collection"] == item["collection"]
        assert found[name]["assets"]["data"]["href"] == item["assets"]["data"]["href"]
        for key in ("title", "datetime", "proj:code", "stacbuild:data_id"):
            assert found[name]["properties"][key] == item["properties"][key]


def test_an_item_without_a_geometry_is_not_in_parquet_and_that_is_said(folder: Path) -> None:
    path, content = originals(folder)["codes"]
    content["geometry"] = None
    del content["bbox"]
    path.write_text(json.dumps(content))
    done = run(folder)
    assert "1 without a geometry" in " ".join(done.stderr.split())
    assert len(exported(folder)) == 2
    assert len(from_parquet(folder / "export" / "items.parquet")) == 1


def test_a_second_export_changes_no_byte_and_leaves_nothing_stale(folder: Path) -> None:
    run(folder)
    target = folder / "export"
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    gone = target / "collections" / "gone.json"
    shutil.copy(target / "collections" / "c.json", gone)
    (target / "collections" / "mine.json").write_text('{"type": "else"}')
    (target / "notes.txt").write_text("mine")
    run(folder)
    assert {path: path.read_bytes() for path in before} == before
    assert not gone.exists()
    assert (target / "collections" / "mine.json").exists()
    assert (target / "notes.txt").exists()
    run(folder, "--no-parquet")
    assert not (target / "items.parquet").exists()


# As where the extra is not installed.
WITHOUT = "import sys; sys.modules['rustac'] = None; from stacbuild.cli import main; main()"


@pytest.mark.parametrize(
    ("words", "code"), [((), 0), (("--no-parquet",), 0), (("--parquet",), 5)], ids=str
)
def test_without_rustac_there_is_no_parquet(
    folder: Path, words: tuple[str, ...], code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "export", *words],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert (folder / "export" / "items.json").exists() == (code == 0)
    assert not (folder / "export" / "items.parquet").exists()
    assert ("pip install 'stacbuild[export]'" in done.stderr) == (words != ("--no-parquet",))
    assert len(errors(done)) == (1 if code else 0)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org", "leaves no room"),
        ("ftp://example.org/stac", "plain https or http"),
        ("https://user:hidden@example.org/some/stac", "plain https or http"),
        ("https://example.org/stac?token=hidden", "plain https or http"),
        ("catalogs", "plain https or http"),
    ],
)
def test_a_url_that_cannot_be_is_refused_in_a_line(folder: Path, url: str, said: str) -> None:
    done = run(folder, "--base-url", url, code=2)
    assert len(errors(done)) == 1
    assert said in errors(done)[0]
    assert "hidden" not in done.stderr
    assert not (folder / "export").exists()


def test_no_catalog_and_a_place_within_it_are_refused(folder: Path) -> None:
    done = stacbuild("export", "--catalog", folder / "none", code=5)
    assert f"{folder / 'none' / 'catalog.json'}: there is no catalog" in done.stderr
    within = folder / "catalogs" / "export"
    done = stacbuild("export", "--catalog", folder / "catalogs", "-o", within, code=2)
    assert "lies in the catalog" in done.stderr
    assert not within.exists()


def test_no_id_of_a_collection_leads_out_of_the_folder(folder: Path) -> None:
    path = folder / "catalogs" / "c" / "collection.json"
    path.write_text(path.read_text().replace('"id": "c"', '"id": "../../outside"'))
    before = {each for each in folder.rglob("*") if not each.is_relative_to(folder / "export")}
    written = [Path(line) for line in run(folder).stdout.splitlines()]
    assert folder / "export" / "collections" / "c.json" in written
    after = {each for each in folder.rglob("*") if not each.is_relative_to(folder / "export")}
    assert after == before


@pytest.mark.parametrize("damage", ["{}", '{"links": 1}', '{"links": [{"href": "a"}]}', "not JSON"])
def test_a_damaged_collection_is_named_in_a_line(folder: Path, damage: str) -> None:
    path = folder / "catalogs" / "c" / "collection.json"
    path.write_text(damage)
    done = run(folder, code=4)
    assert len(errors(done)) == 1
    assert str(path) in errors(done)[0]


def test_it_can_be_called_where_a_loop_is_running(folder: Path) -> None:
    async def notebook() -> list[Path]:
        return export(folder / "catalogs", folder / "export", parquet=True)

    assert asyncio.run(notebook())[1].name == "items.parquet"
