"""What is public, how errors are returned, and how names are taken."""

from __future__ import annotations

import ast
import json
import logging
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pystac
import pytest
import rasterio

import stacbuild
from stacbuild import errors
from tests.support.built import SOURCES
from tests.support.cli import configuration, geotiff
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "howto" / "python.md"


def project(directory: Path, *names: str) -> Path:
    """Write a configuration of one cube a name, each of the file of its name if that is there."""
    geotiff(directory / "src" / "a.tif")
    geotiff(directory / "src" / "b.tif")
    datasets = [
        {"identifier": name, "store": "files", "data_id": f"{name}.tif"} for name in names or "ab"
    ]
    return configuration(directory, datasets, [SOURCES])


def test_everything_public_is_there_and_documented() -> None:
    functions = {
        "build",
        "describe",
        "export",
        "generate",
        "harvest",
        "list_data",
        "load",
        "load_config",
        "open_catalog",
        "open_cube",
        "plan",
        "remove",
        "validate",
    }
    tree = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.StacbuildError)
    }
    assert functions | tree <= set(stacbuild.__all__) <= set(dir(stacbuild))
    for name in stacbuild.__all__:
        each = getattr(stacbuild, name)
        assert name == "__version__" or each.__doc__
        assert name not in functions or each.__annotations__["return"]
    assert stacbuild.Failures is errors.Failures


def test_what_is_declared_for_type_checkers_is_what_is_public() -> None:
    [block] = [
        node
        for node in ast.parse(Path(stacbuild.__file__).read_text()).body
        if isinstance(node, ast.If)
    ]
    declared = {
        alias.name: each.module
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    assert declared == {
        name: f"stacbuild.{module}" for name, module in stacbuild._MODULE_OF.items()
    }
    assert {*declared, "__version__"} == set(stacbuild.__all__)


RUNS: dict[str, Callable[..., list[Any]]] = {
    "harvest": stacbuild.harvest,
    "plan": stacbuild.plan,
    "build": stacbuild.build,
    "validate": stacbuild.validate,
    "remove": lambda path, **options: stacbuild.remove(path, datasets="ab", **options),
}


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of which one part fails whatever is done: ``c`` has no file.

    ``b`` is built, and lies where the cube ``a`` goes, too.
    """
    directory = tmp_path_factory.mktemp("failing")
    path = project(directory, "b", "c", "ab")
    stacbuild.harvest(path, errors="collect")
    stacbuild.build(path, errors="collect", datasets=["b"])
    shutil.copytree(directory / "data" / "b.zarr", directory / "data" / "ab.zarr")
    return path


@pytest.mark.parametrize("name", RUNS)
def test_errors_are_raised_or_collected(failing: Path, name: str) -> None:
    results = RUNS[name](failing, errors="collect")
    with pytest.raises(stacbuild.Failures) as raised:
        RUNS[name](failing)
    listed = [error for _, error in raised.value.failures]
    assert listed
    assert raised.value.__cause__ is listed[0]
    if name == "validate":
        collected = [error for each in results for error in each.found.problems]
    else:
        collected = [each.error for each in results if each.error is not None]
    assert list(map(str, collected)) == list(map(str, listed))


@pytest.mark.parametrize("name", RUNS)
def test_another_word_for_errors_is_refused_before_anything_is_done(
    tmp_path: Path, name: str
) -> None:
    path = project(tmp_path)
    with pytest.raises(ValueError, match='errors=\'ignore\': has to be "raise" or "collect"'):
        RUNS[name](path, errors="ignore")
    assert not (tmp_path / "catalogs").exists()


def test_a_single_name_is_one_name(tmp_path: Path) -> None:
    """Datasets ``a`` and ``b`` are not what is meant by ``ab``."""
    geotiff(tmp_path / "src" / "ab.tif")
    path = project(tmp_path, "a", "b", "ab")
    assert [each.name for each in stacbuild.plan(path, datasets="ab")] == ["ab"]
    [harvested] = stacbuild.harvest(path, stores="files")
    assert harvested.items == 3
    assert [each.name for each in stacbuild.build(path, datasets="ab")] == ["ab"]
    assert [each.name for each in stacbuild.generate(path, datasets="ab")] == ["ab"]
    checks = stacbuild.validate(path, datasets="ab")
    assert [each.name for each in checks if each.kind == "cube"] == ["ab"]
    assert [each.name for each in stacbuild.plan(path, datasets=iter("ab"))] == ["a", "b"]
    assert [each.name for each in stacbuild.remove(path, datasets="ab")] == ["ab"]
    with pytest.raises(stacbuild.ConfigError, match="files2"):
        stacbuild.harvest(path, stores="files2")


def test_no_names_are_all_but_for_what_removes(tmp_path: Path) -> None:
    path = project(tmp_path)
    for names in (None, (), []):
        assert [each.name for each in stacbuild.plan(path, datasets=names)] == ["a", "b"]
    assert stacbuild.remove(path, datasets=[]) == []


def test_the_catalog_is_that_of_pystac(tmp_path: Path) -> None:
    path = project(tmp_path)
    with pytest.raises(stacbuild.MissingError, match="harvest or build first"):
        stacbuild.open_catalog(path)
    stacbuild.build(path, datasets="a")
    for catalog in (
        stacbuild.open_catalog(path),
        stacbuild.open_catalog(catalog_dir=tmp_path / "catalogs"),
    ):
        assert isinstance(catalog, pystac.Catalog)
        hrefs = {
            each.collection_id: each.assets["data"].get_absolute_href()
            for each in catalog.get_items("a", recursive=True)
        }
        assert hrefs == {
            "c": str(tmp_path / "data" / "a.zarr"),
            "file-src": str(tmp_path / "src" / "a.tif"),
        }
    with pytest.raises(stacbuild.ConfigError, match="give a configuration, or catalog_dir"):
        stacbuild.open_catalog()


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "Collection"}', '{"type": "Catalog"}'])
def test_a_damaged_catalog(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog.json").write_text(text)
    with pytest.raises(stacbuild.IntegrityError, match=r"catalog\.json: is not .*; remove it"):
        stacbuild.open_catalog(catalog_dir=tmp_path)


def test_a_store_of_a_configuration_is_listed_and_described(tmp_path: Path) -> None:
    store = stacbuild.load_config(project(tmp_path)).store("files")
    listed = stacbuild.list_data(store)
    assert listed == stacbuild.list_data("file", str(tmp_path / "src"))
    assert [each.data_id for each in listed] == ["a.tif", "b.tif"]
    assert [each.data_id for each in stacbuild.list_data(store, match="a*")] == ["a.tif"]
    metadata = stacbuild.describe(store, "", "a.tif")
    assert metadata == stacbuild.describe("file", str(tmp_path / "src"), "a.tif")
    assert (metadata["crs"], metadata["shape"]) == ("EPSG:4326", [120, 120])
    with pytest.raises(stacbuild.ConfigError, match="'files' of the configuration has its own"):
        stacbuild.list_data(store, "other")
    with pytest.raises(stacbuild.ConfigError, match="'fiel' is not a kind of store"):
        stacbuild.list_data("fiel", "src")


def test_export_writes_where_it_is_told(tmp_path: Path) -> None:
    path = project(tmp_path)
    stacbuild.harvest(path)
    first, *_ = stacbuild.export(path, output=tmp_path / "out", parquet=False)
    assert first == tmp_path / "out" / "items.json"
    assert {each["id"] for each in json.loads(first.read_text())["features"]} == {"a", "b"}


def test_messages_go_to_the_log_without_a_reporter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = project(tmp_path)
    with rasterio.open(tmp_path / "src" / "a.tif", "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2021:05:05 10:00:00", time_coverage_start="2020-01-01")
    with caplog.at_level(logging.INFO, logger="stacbuild"):
        stacbuild.build(path, datasets="a")
    told = {(each.name, each.levelname, each.getMessage()) for each in caplog.records}
    assert ("stacbuild", "INFO", "a: harvesting a.tif from files") in told
    assert any(
        "states the time 2020-01-01" in text for _, level, text in told if level == "WARNING"
    )


def test_the_page_of_examples_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    geotiff(tmp_path / "src" / "trees.tif")
    dataset = {"identifier": "trees", "store": "files", "data_id": "trees.tif"}
    configuration(tmp_path, [dataset], [SOURCES]).rename(tmp_path / "forest_config.yml")
    monkeypatch.chdir(tmp_path)
    blocks = PAGE.read_text().split("```python\n")[1:]
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(textwrap.dedent(block.partition("```")[0]), str(PAGE), "exec"), names)
    assert names["metadata"]["shape"] == [120, 120]
    assert names["item"].id == "trees"
    assert [each.status for each in names["results"]] == ["COMPLETED"]
    assert (tmp_path / "export" / "items.json").exists()
