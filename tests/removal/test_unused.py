"""What ``stacbuild remove`` shows is all that goes, and nothing that stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.removal.remove import plan_removal, remove
from stacbuild.stac.catalog import Catalog
from tests.support.cli import configuration, geotiff
from tests.support.foreign import LOCAL
from tests.support.many_items import ADDRESS, an_item, counted_reads, let_time_pass, put

DATASETS = [
    {"identifier": name, "store": "local", "data_id": f"{source}.tif"}
    for name, source in (("one", "a"), ("two", "b"), ("three", "b"))
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists") / "made"
    for name in ("a.tif", "b.tif"):
        geotiff(folder / "src" / name)
    config = load_config(configuration(folder, DATASETS, [LOCAL]))
    assert all(each.error is None for each in build(config, folder / "catalogs"))
    return folder


def files(folder: Path) -> set[Path]:
    """Return all files but locks and those in cubes, and the cubes."""
    found = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}
    cubes = set((folder / "data").glob("*.zarr"))
    return cubes | {path for path in found if not cubes & set(path.parents)}


@pytest.mark.parametrize("sources", [False, True])
@pytest.mark.parametrize("names", [["one"], ["two"], ["two", "three"], ["one", "two", "three"]])
def test_all_that_goes_is_listed(
    whole: Path, tmp_path: Path, names: list[str], sources: bool
) -> None:
    made = Path(shutil.copytree(whole, tmp_path / "made"))
    config, catalog = load_config(made / "c_config.yml"), made / "catalogs"
    (catalog / "c" / "one" / "notes.txt").write_text("mine")
    before = files(made)
    planned = plan_removal(config, catalog, names, sources=sources)
    assert files(made) == before
    done = remove(config, catalog, names, sources=sources)
    gone = before - files(made)
    assert [each.error for each in done] == [None] * len(names)
    for listed in (planned, done):
        paths = [Path(path) for each in listed for path in each.paths]
        assert len(paths) == len(set(paths))
        assert set(paths) == gone
    pictures = {path.parent.name for path in gone if path.name == "thumbnail.png"}
    assert pictures >= set(names)


def test_removing_reads_no_item_of_other_sources(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path(shutil.copytree(whole, tmp_path / "made"))
    root = made / "catalogs"
    many = [{"identifier": f"n{n}", "store": "local", "data_id": f"d_{n}"} for n in range(5)]
    config = load_config(configuration(made, [*DATASETS, *many], [LOCAL]))
    assert config.store("local").key == ADDRESS
    put(Catalog(root), *(an_item(number, root) for number in range(60)))
    Catalog(root).find(ADDRESS, "d_0")
    let_time_pass(root)
    with counted_reads(monkeypatch) as reads:
        (planned,) = plan_removal(config, root, ["one"], sources=True)
        assert reads("i_") == 0
    assert any("a.tif" in path or "a/a.json" in path for path in planned.paths)
