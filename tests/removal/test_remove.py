"""``stacbuild remove``: cubes are given up, and nothing else goes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import s3fs
import zarr

import stacbuild as package
from stacbuild.building import build
from stacbuild.cli.program import run
from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from stacbuild.planning import plan
from stacbuild.removal.remove import plan_removal, remove
from stacbuild.storage.journal import Journal
from stacbuild.storage.site import remove_tree
from tests.standins.s3 import S3Server
from tests.support.buckets import asset_of, bucket, keys
from tests.support.cli import catalogued, configuration, errors, geotiff, stacbuild
from tests.support.foreign import KINDS, LOCAL, foreign_store, snapshot
from tests.support.forked import Runs

ONE = {"identifier": "one", "store": "local", "data_id": "a.tif"}
TWO = {"identifier": "two", "store": "local", "data_id": "b.tif"}


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remove") / "made"
    for name in ("a.tif", "b.tif"):
        geotiff(folder / "src" / name)
    config = configuration(folder, [ONE, TWO], [LOCAL])
    assert all(each.error is None for each in build(load_config(config), folder / "catalogs"))
    return folder


@pytest.fixture
def made(_made: Path, tmp_path: Path) -> Path:
    """Return the configuration of two cubes that were built, in a folder of this test's own."""
    shutil.copytree(_made, tmp_path / "made")
    return tmp_path / "made" / "c_config.yml"


def seen(folder: Path) -> list[str]:
    """Return the names in the folder for cubes, but for locks."""
    return sorted(path.name for path in (folder / "data").iterdir() if path.suffix != ".lock")


def test_a_cube_and_its_item(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made.parent
    (folder / "data" / "mine.txt").write_text("mine")
    sources = snapshot(folder / "src")
    assert run(["remove", str(made), "one", "--yes"]) == 0
    printed = capsys.readouterr()
    cube, item = folder / "data" / "one.zarr", folder / "catalogs" / "c" / "one" / "one.json"
    picture = item.with_name("thumbnail.png")
    assert printed.out.splitlines() == [str(cube), str(item), str(picture)]
    assert "one: 3 to remove" in printed.err
    assert seen(folder) == ["mine.txt", "two.zarr"]
    assert catalogued(folder / "catalogs") == ["two"]
    assert snapshot(folder / "src") == sources
    # Nothing is left to remove, and the cube can be built again.
    assert run(["remove", str(made), "one", "--yes"]) == 0
    assert "one: nothing to remove" in capsys.readouterr().err
    assert [each.action for each in plan(load_config(made), folder / "catalogs")] == [
        "create",
        "up to date",
    ]


def test_the_last_cube_takes_its_collection_along(made: Path) -> None:
    done = package.remove(made, datasets=["one", "two"], sources=True)
    assert [each.error for each in done] == [None, None]
    folder = made.parent
    assert seen(folder) == []
    assert catalogued(folder / "catalogs") == []
    left = {path.name for path in (folder / "catalogs").iterdir()}
    assert left == {"catalog.json", ".catalog.lock"}
    # The user's own files are no cache.
    assert len(snapshot(folder / "src")) == 2


def test_nobody_to_ask_and_a_dry_run(made: Path) -> None:
    before = snapshot(made.parent)
    done = stacbuild("remove", made, "one", code=2)
    assert "--yes" in done.stderr
    assert "data/one.zarr" in done.stderr
    assert run(["remove", str(made), "one", "--dry-run"]) == 0
    assert snapshot(made.parent) == before


def test_a_name_that_is_none(made: Path) -> None:
    before = snapshot(made.parent)
    with pytest.raises(ConfigError, match="there is no dataset 'three'"):
        remove(load_config(made), made.parent / "catalogs", ["one", "three"])
    assert snapshot(made.parent) == before


def test_a_cube_that_the_configuration_has_no_more(made: Path) -> None:
    configuration(made.parent, [TWO], [LOCAL])
    (done,) = remove(load_config(made), made.parent / "catalogs", ["one"], sources=True)
    assert done.error is None
    assert [Path(path).name for path in done.sources] == ["a.json"]
    assert seen(made.parent) == ["two.zarr"]
    assert catalogued(made.parent / "catalogs") == ["two"]


def test_what_took_the_place_of_the_cube_is_left_alone(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cube = made.parent / "data" / "one.zarr"
    shutil.rmtree(cube)
    foreign_store(cube)
    before = snapshot(cube)
    assert run(["remove", str(made), "one", "--yes"]) == 0
    assert "left alone: " in capsys.readouterr().err
    assert snapshot(cube) == before
    assert catalogued(made.parent / "catalogs") == ["two"]


def test_the_cube_of_another_configuration(made: Path) -> None:
    """Of the same name, in another folder, with the same catalog."""
    other = made.parent.parent / "other"
    for name in ("a.tif", "b.tif"):
        geotiff(other / "src" / name)
    config = configuration(other, [ONE, TWO], [LOCAL])
    before = snapshot(made.parent)
    (done,) = remove(load_config(config), made.parent / "catalogs", ["one"])
    assert done.error is not None
    assert done.error.exit_code == 5
    assert snapshot(made.parent) == before


def test_files_of_the_users_in_the_catalog_stay(made: Path) -> None:
    note = made.parent / "catalogs" / "c" / "one" / "notes.txt"
    note.write_text("mine")
    (done,) = remove(load_config(made), made.parent / "catalogs", ["one"])
    assert done.error is None
    assert note.read_text() == "mine"
    assert not note.with_name("one.json").exists()


def test_sources_that_another_cube_uses_stay(made: Path) -> None:
    three = ONE | {"identifier": "three"}
    configuration(made.parent, [ONE, TWO, three], [LOCAL])
    (planned,) = plan_removal(load_config(made), made.parent / "catalogs", ["one"], sources=True)
    assert planned.sources == ()
    (planned,) = plan_removal(load_config(made), made.parent / "catalogs", ["two"], sources=True)
    assert [Path(path).name for path in planned.sources] == ["b.json"]
    # So do those of cubes of other configurations in the catalog.
    other = made.with_name("d_config.yml")
    other.write_text(made.read_text().replace("root: data", "root: data2"))
    build(load_config(other), made.parent / "catalogs", datasets=["two"])
    (planned,) = plan_removal(load_config(made), made.parent / "catalogs", ["two"], sources=True)
    assert planned.sources == ()


def test_cached_files_go_with_the_items_that_lead_to_them(made: Path) -> None:
    """Only what the mark of a cache vouches for, and nothing that another item leads to."""
    folder = made.parent
    cache = folder / "zenodo_cache" / "123"
    store = {"identifier": "record", "store_id": "zenodo", "store_params": {"root": "123"}}
    configuration(folder, [ONE, TWO], [LOCAL, store])
    for name in ("a", "b"):
        target = cache / name / f"{name}.tif"
        target.parent.mkdir(parents=True)
        shutil.copy(folder / "src" / f"{name}.tif", target)
        (item,) = (folder / "catalogs").glob(f"*/{name}/{name}.json")
        content = json.loads(item.read_text())
        content["assets"]["data"]["href"] = os.path.relpath(target, item.parent)
        item.write_text(json.dumps(content))
        entry = {"path": f"{name}/{name}.tif", "size": target.stat().st_size, "md5": "0"}
        mark = {"url": "u", "md5": "0", "size": 1, "files": {f"{name}.tif": entry}}
        (cache / f"{name}.zip.stacbuild.json").write_text(json.dumps(mark))
    (cache / "a" / "mine.txt").write_text("mine")
    done = remove(load_config(made), folder / "catalogs", ["one"], sources=True)
    assert done[0].error is None
    left = {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
    assert left == {"a/mine.txt", "b/b.tif", "b.zip.stacbuild.json"}


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("then", ["remove", "cube"])
def test_killed_in_between(made: Path, runs: Runs, at: int, then: str) -> None:
    folder = made.parent
    killed = runs("remove", made, "one", "--yes", kill_at=at, late=True)
    assert killed.code in (0, -9)
    # The catalog can be read at every moment, and what it names is there.
    catalog = json.loads((folder / "catalogs" / "catalog.json").read_text())
    for link in catalog["links"]:
        assert (folder / "catalogs" / link["href"]).exists()
    words = ["--yes"] if then == "remove" else []
    done = runs(then, made, "one", *words)
    assert done.code == 0, done.stderr
    assert seen(folder) == (["two.zarr"] if then == "remove" else ["one.zarr", "two.zarr"])
    expected = ["two"] if then == "remove" else ["one", "two"]
    assert catalogued(folder / "catalogs") == expected


def test_what_an_interrupted_build_left_goes_too(made: Path, runs: Runs) -> None:
    folder = made.parent
    geotiff(folder / "src" / "a.tif", nodata=7)
    assert runs("cube", made, "one", kill_at=9, late=True).code == -9
    assert (folder / "data" / ".one.zarr.journal").exists()
    (done,) = remove(load_config(made), folder / "catalogs", ["one"])
    assert any(path.endswith(".journal") for path in done.staged)
    assert seen(folder) == ["two.zarr"]


def test_a_journal_of_somebody_else(made: Path) -> None:
    journal = made.parent / "data" / ".one.zarr.journal"
    Journal.start(journal, "abc", {"catalog": "../x", "collection": "c", "dataset": "one"})
    before = snapshot(made.parent)
    (done,) = remove(load_config(made), made.parent / "catalogs", ["one"])
    assert done.error is not None
    assert done.error.exit_code == 5
    assert snapshot(made.parent) == before


def test_a_cube_in_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    storage = bucket(s3_server, "removed-1")
    config = configuration(tmp_path, [ONE], [LOCAL], storage=storage)
    stacbuild("cube", config)
    s3_server.fail(r"^/removed-1/?$", status=403, times=-1)
    (line,) = errors(stacbuild("remove", config, "one", "--yes", code=3))
    assert "run the same command again" in line
    s3_server.reset()
    s3_server.put("cubes/one-2.zarr/zarr.json", b"mine", "removed-1")
    stacbuild("remove", config, "one", "--yes")
    assert keys(s3_server, "removed-1") == {"of-others/kept.txt", "cubes/one-2.zarr"}
    assert catalogued(tmp_path / "catalogs") == []


# --- the user's own files in a cube --------------------------------------------------------------


def refused(config: Path, capsys: pytest.CaptureFixture[str], *said: str) -> None:
    """Check that `one` is not removed, whether asked for in earnest or not."""
    before = snapshot(config.parent)
    for how in ("--dry-run", "--yes"):
        capsys.readouterr()
        assert run(["remove", str(config), "one", "--sources", how]) == 5
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = (line for line in printed.err.splitlines() if line.startswith("error: "))
        for text in said:
            assert text in line, line
        assert snapshot(config.parent) == before


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("notes.txt", "notes.txt"),
        ("myresults/notes.txt", "myresults"),
        ("one/notes.txt", "one/notes.txt"),
        ("one/c/0/notes.txt", "one/c/0/notes.txt"),
    ],
)
def test_a_file_of_the_users_in_a_cube(
    made: Path, inside: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cube = made.parent / "data" / "one.zarr"
    note = cube / inside
    note.parent.mkdir(exist_ok=True)
    note.write_text("mine")
    refused(
        made, capsys, f"one: {cube / named}: is in the cube, but stacbuild did not", "move it away"
    )
    shutil.move(cube / named, made.parent / "moved")
    assert run(["remove", str(made), "one", "--yes"]) == 0
    assert seen(made.parent) == ["two.zarr"]


def test_several_things_of_the_users_in_a_cube(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that was found is named, up to a few, and a group that Zarr knows is theirs too."""
    cube = made.parent / "data" / "one.zarr"
    foreign_store(cube / "analysis")
    (cube / "b.txt").symlink_to(made)
    refused(made, capsys, f"{cube / 'analysis'}, {cube / 'b.txt'}: are in the cube", "move them")
    for name in ("c.txt", "d.txt"):
        (cube / name).write_text("mine")
    refused(made, capsys, f"{cube / 'c.txt'} and 1 more: are in the cube")


def test_a_variable_of_the_users_in_a_cube(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cube = made.parent / "data" / "one.zarr"
    zarr.open_group(cube).create_array("mine", shape=(5,), dtype="f4")
    refused(made, capsys, "one.zarr/mine")


@pytest.mark.parametrize(
    ("inside", "named"), [("0/notes.txt", "0/notes.txt"), ("1/analysis/zarr.json", "1/analysis")]
)
def test_a_file_of_the_users_in_a_pyramid(
    tmp_path: Path, inside: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    config = configuration(tmp_path, [ONE | {"format_id": "levels"}], [LOCAL])
    (built,) = build(load_config(config), tmp_path / "catalogs")
    assert built.error is None
    cube = tmp_path / "data" / "one.zarr"
    (cube / inside).parent.mkdir(parents=True, exist_ok=True)
    (cube / inside).write_text("{}")
    refused(config, capsys, str(cube / named), "move it away")
    remove_tree(cube / named)
    assert run(["remove", str(config), "one", "--yes"]) == 0
    assert seen(tmp_path) == []


def test_a_variable_of_the_users_in_a_netcdf_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    config = configuration(tmp_path, [ONE | {"format_id": "netcdf"}], [LOCAL])
    (built,) = build(load_config(config), tmp_path / "catalogs")
    assert built.error is None
    cube = tmp_path / "data" / "one.nc"
    with h5py.File(cube, "a") as file:
        file["analysis/mine"] = np.arange(5)
    refused(config, capsys, f"{cube}/analysis: is in the cube", "move it away")
    with h5py.File(cube, "a") as file:
        del file["analysis"]
    assert run(["remove", str(config), "one", "--yes"]) == 0
    assert seen(tmp_path) == []


def test_objects_of_the_users_below_a_cube_in_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    storage = bucket(s3_server, "removed-2")
    config = configuration(tmp_path, [ONE], [LOCAL], storage=storage)
    stacbuild("cube", config)
    cube = f"removed-2/cubes/{asset_of(tmp_path, 'one').href.rpartition('/')[2]}"
    theirs = [f"{cube}/analysis/zarr.json", f"{cube}/one/notes.txt"]
    for key in theirs:
        s3_server.put(key.removeprefix("removed-2/"), b"{}", "removed-2")
    before = objects(s3_server, "removed-2")
    assert set(theirs) < before
    for how in ("--dry-run", "--yes"):
        (line,) = errors(stacbuild("remove", config, "one", how, code=5))
        assert f"s3://{theirs[0]}, s3://{theirs[1]}: are in the cube" in line
        assert "move them away" in line
        assert objects(s3_server, "removed-2") == before
        assert catalogued(tmp_path / "catalogs") == ["one"]
    for key in theirs:
        s3_server.delete(key.removeprefix("removed-2/"), "removed-2")
    stacbuild("remove", config, "one", "--yes")
    assert keys(s3_server, "removed-2") == {"of-others/kept.txt"}


def objects(server: S3Server, name: str) -> set[str]:
    """Return all keys in a bucket."""
    fs = s3fs.S3FileSystem(
        key="testing", secret="testing", endpoint_url=server.url, use_listings_cache=False
    )
    return set(fs.find(name))


def test_a_cube_that_is_refused_keeps_its_sources(made: Path) -> None:
    configuration(made.parent, [ONE, ONE | {"identifier": "three"}], [LOCAL])
    config = load_config(made)
    build(config, made.parent / "catalogs")
    (made.parent / "data" / "one.zarr" / "notes.txt").write_text("mine")
    for ask in (plan_removal, remove):
        first, second = ask(config, made.parent / "catalogs", ["one", "three"], sources=True)
        assert first.error is not None
        assert second.error is None
        assert second.sources == ()
    assert seen(made.parent) == ["one.zarr", "two.zarr"]
    assert "one" in catalogued(made.parent / "catalogs")


# --- what is somebody else's in the place of a cube ----------------------------------------------


def test_the_cube_of_another_configuration_in_one_folder(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made.with_name("d_config.yml")
    other.write_text(made.read_text())
    refused(
        other,
        capsys,
        "one.zarr: is the cube of collection 'c' (configuration ../c_config.yml",
        "stacbuild removes only what it made for",
    )


@pytest.mark.parametrize(("put", "said"), KINDS)
def test_what_lies_where_there_never_was_a_cube(
    tmp_path: Path,
    put: Callable[[Path], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    config = configuration(tmp_path, [ONE], [LOCAL])
    put(tmp_path / "data" / "one.zarr")
    refused(config, capsys, f"one.zarr: {said}")


@pytest.mark.parametrize(("put", "said"), KINDS)
def test_what_took_the_place_of_a_cube_is_named(
    made: Path,
    put: Callable[[Path], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cube = made.parent / "data" / "one.zarr"
    shutil.rmtree(cube)
    put(cube)
    before = snapshot(made.parent / "data")
    assert run(["remove", str(made), "one", "--yes"]) == 0
    assert f"left alone: {cube}: {said}" in capsys.readouterr().err
    assert snapshot(made.parent / "data") == before
    assert catalogued(made.parent / "catalogs") == ["two"]
    # Now that nothing is of this dataset any more:
    refused(made, capsys, said)


def test_a_cube_in_a_folder_of_the_storage(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    config = configuration(tmp_path, [ONE | {"identifier": "site/one"}], [LOCAL])
    (built,) = build(load_config(config), tmp_path / "catalogs")
    assert built.error is None
    (done,) = remove(load_config(config), tmp_path / "catalogs", ["site/one"])
    assert done.error is None
    assert {path.suffix for path in (tmp_path / "data" / "site").iterdir()} == {".lock"}
    assert catalogued(tmp_path / "catalogs") == []
