"""What stacbuild did not make stays as it is: refused before anything is fetched, or left alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

from stacbuild.building import CubeResult, build
from stacbuild.cli.console import plan_lines
from stacbuild.config import load_config
from stacbuild.errors import ConflictError
from stacbuild.planning import CubePlan, plan
from stacbuild.sources import harvest
from stacbuild.storage.journal import Journal
from tests.standins.s3 import S3Server
from tests.support.buckets import asset_of, bucket, keys
from tests.support.cli import Json, catalogued, configuration, errors, geotiff, stacbuild
from tests.support.foreign import (
    KINDS,
    LOCAL,
    foreign_store,
    snapshot,
)

GOOD: Json = {"identifier": "good", "store": "local", "data_id": "good.tif"}


def made(folder: Path, *, dataset: Json | None = None, **sections: Any) -> Path:
    """Configure a cube ``good`` of a small GeoTIFF."""
    if not (folder / "src" / "good.tif").exists():
        geotiff(folder / "src" / "good.tif")
    return configuration(folder, [GOOD | (dataset or {})], [LOCAL], **sections)


def run(config: Path, **options: Any) -> CubeResult:
    """Build the one cube of a configuration."""
    (result,) = build(load_config(config), config.parent / "catalogs", **options)
    return result


def completed(config: Path, **options: Any) -> CubeResult:
    result = run(config, **options)
    assert result.status == "COMPLETED", result.message
    return result


def planned(config: Path, catalog: Path | None = None) -> CubePlan:
    (found,) = plan(load_config(config), catalog or config.parent / "catalogs")
    return found


def refused(config: Path, *said: str, catalog: Path | None = None) -> None:
    """Check that plan and build refuse alike, and that neither changed or fetched anything."""
    before = snapshot(config.parent)
    found = planned(config, catalog)
    assert found.action == "conflict", found
    assert found.error is not None
    assert found.error.exit_code == 5
    for text in said:
        assert text in found.reason, found.reason
    for force in (False, True):
        (result,) = build(load_config(config), catalog or config.parent / "catalogs", force=force)
        assert isinstance(result.error, ConflictError), result
        assert result.message == found.reason
    assert snapshot(config.parent) == before


# --- where the cube goes -------------------------------------------------------------------------


@pytest.mark.parametrize(("put", "said"), KINDS)
@pytest.mark.parametrize(("format_id", "name"), [("zarr", "good.zarr"), ("netcdf", "good.nc")])
def test_what_lies_in_the_place_of_a_cube(
    tmp_path: Path, put: Callable[[Path], None], said: str, format_id: str, name: str
) -> None:
    config = made(tmp_path, dataset={"format_id": format_id})
    put(tmp_path / "data" / name)
    refused(config, f"data/{name}: {said}", "another identifier", "move it away")
    assert not (tmp_path / "catalogs").exists()


@pytest.mark.parametrize(
    ("put", "said", "format_id"),
    [
        pytest.param(
            *kind, form, marks=[] if kind is KINDS[0] or form == "zarr" else [pytest.mark.slow]
        )
        for form in ("zarr", "netcdf", "levels")
        for kind in KINDS
    ],
)
def test_what_took_the_place_of_a_cube(
    tmp_path: Path, put: Callable[[Path], None], said: str, format_id: str
) -> None:
    config = made(tmp_path, dataset={"format_id": format_id})
    cube = tmp_path / "data" / ("good.nc" if format_id == "netcdf" else "good.zarr")
    completed(config)
    shutil.rmtree(cube) if cube.is_dir() else cube.unlink()
    put(cube)
    refused(config, said)
    # Once it is out of the way, all goes on.
    cube.rename(tmp_path / "moved")
    completed(config)


def test_the_command_line_says_it_in_a_line_and_ends_with_5(tmp_path: Path) -> None:
    config = made(tmp_path)
    foreign_store(tmp_path / "data" / "good.zarr")
    before = snapshot(tmp_path)
    (line,) = errors(stacbuild("cube", config, "--force", code=5))
    assert "good: " in line
    assert "data/good.zarr: is a Zarr store that stacbuild did not write" in line
    done = stacbuild("plan", config, "--json", code=5)
    (cube,) = json.loads(done.stdout)["cubes"]
    assert cube["action"] == "conflict"
    assert "did not write" in cube["reason"]
    assert snapshot(tmp_path) == before


def test_a_conflict_in_the_table_of_a_plan(tmp_path: Path) -> None:
    config = made(tmp_path)
    foreign_store(tmp_path / "data" / "good.zarr")
    lines = list(plan_lines([planned(config)]))
    assert lines[0].startswith("good: conflict:")
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)
    assert "did not write" in " ".join(lines)


def test_a_link_instead_of_the_cube_itself(tmp_path: Path) -> None:
    """The cube was moved to another disk, and a link to it put in its place."""
    config = made(tmp_path)
    completed(config)
    cube = tmp_path / "data" / "good.zarr"
    cube.rename(tmp_path / "large.zarr")
    cube.symlink_to(tmp_path / "large.zarr")
    refused(config, "data/good.zarr: is a symbolic link")


def test_something_put_there_while_the_cube_is_computed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n\n"
        "def put(ds):\n"
        f"    path = Path({str(tmp_path / 'data' / 'good.zarr')!r})\n"
        "    path.mkdir(parents=True, exist_ok=True)\n"
        "    (path / 'notes.txt').write_text('mine')\n"
        "    return ds\n"
    ).replace("\\\n", "\n")
    (tmp_path / "modify.py").write_text(code)
    custom = {"module_path": "modify", "function_name": "put"}
    config = made(tmp_path, dataset={"custom_processing": custom})
    result = run(config)
    assert isinstance(result.error, ConflictError), result
    assert (tmp_path / "data" / "good.zarr" / "notes.txt").read_text() == "mine"
    assert catalogued(tmp_path / "catalogs") == []
    # What was computed is used as soon as the way is free.
    shutil.rmtree(tmp_path / "data" / "good.zarr")
    (tmp_path / "modify.py").write_text("def put(ds):\n    return ds\n")
    completed(config)


@pytest.mark.parametrize("format_id", ["zarr", "levels"])
@pytest.mark.parametrize("inside", ["notes.txt", "mine/zarr.json", "good/notes.txt"])
def test_something_of_the_users_in_the_cube(tmp_path: Path, inside: str, format_id: str) -> None:
    config = made(tmp_path, dataset={"format_id": format_id})
    completed(config)
    level = "0/" if format_id == "levels" and "/" in inside else ""
    stray = tmp_path / "data" / "good.zarr" / level / inside
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("mine")
    assert planned(config).action == "up to date"
    geotiff(tmp_path / "src" / "good.tif", nodata=7)
    refused(config, "is in the cube, but stacbuild did not write it")
    stray.unlink()
    if stray.parent.name == "mine":
        stray.parent.rmdir()
    completed(config)


def test_something_deep_among_the_chunks(tmp_path: Path) -> None:
    config = made(tmp_path)
    completed(config)
    stray = tmp_path / "data" / "good.zarr" / "good" / "c" / "0" / "notes.txt"
    stray.write_text("mine")
    result = run(config, force=True)
    assert isinstance(result.error, ConflictError), result
    assert stray.read_text() == "mine"


def test_a_hard_linked_copy_of_a_cube_stays_as_it_was(tmp_path: Path) -> None:
    config = made(tmp_path)
    completed(config)
    shutil.copytree(tmp_path / "data" / "good.zarr", tmp_path / "copy", copy_function=os.link)
    before = snapshot(tmp_path / "copy")
    geotiff(tmp_path / "src" / "good.tif", nodata=7)
    completed(config)
    assert snapshot(tmp_path / "copy") == before


# --- whose cube it is ----------------------------------------------------------------------------


def test_a_cube_that_was_changed_in_place_is_still_the_cube(tmp_path: Path) -> None:
    config = made(tmp_path)
    completed(config)
    path = tmp_path / "data" / "good.zarr" / "good" / "c" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-1])
    completed(config, force=True)


def test_a_catalog_that_was_deleted(tmp_path: Path) -> None:
    config = made(tmp_path)
    completed(config)
    shutil.rmtree(tmp_path / "catalogs")
    refused(config, "is a cube that stacbuild made of collection 'c'", "catalog.json names it")


def test_two_configurations_and_one_catalog(tmp_path: Path) -> None:
    first = made(tmp_path)
    completed(first)
    second = first.rename(tmp_path / "d_config.yml")
    made(tmp_path)
    refused(second, "is the cube of collection 'c' (configuration ../c_config.yml")
    assert completed(first, force=True).status == "COMPLETED"


def test_two_configurations_with_catalogs_of_their_own(tmp_path: Path) -> None:
    storage = {"store_id": "file", "store_params": {"root": "../data"}}
    first = made(tmp_path / "one", storage=storage)
    second = made(tmp_path / "two", storage=storage)
    completed(first)
    # The folder of the catalog is the one thing that a run may make.
    refused(second, "is a cube that stacbuild made of collection 'c', but")


def test_two_configurations_of_one_name_in_one_catalog(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    first, second = made(tmp_path / "one"), made(tmp_path / "two")
    (result,) = build(load_config(first), catalog)
    assert result.status == "COMPLETED", result.message
    item = (catalog / "c" / "good" / "good.json").read_bytes()
    refused(second, "of the configuration ../one/c_config.yml", catalog=catalog)
    assert (catalog / "c" / "good" / "good.json").read_bytes() == item
    # A configuration that was moved finds its cubes again.
    (tmp_path / "sub").mkdir()
    again = first.rename(tmp_path / "sub" / "c_config.yml")
    content = yaml.safe_load(again.read_text())
    content["data_stores"][0]["store_params"]["root"] = "../one/data"
    content["data_stores"][1]["store_params"]["root"] = "../one/src"
    again.write_text(yaml.safe_dump(content))
    (result,) = build(load_config(again), catalog, force=True)
    assert result.status == "COMPLETED", result.message


def test_a_configuration_with_the_name_of_a_source(tmp_path: Path) -> None:
    config = made(tmp_path)
    completed(config)
    [source] = (tmp_path / "catalogs").glob("file-*")
    before = snapshot(tmp_path / "catalogs")
    named = tmp_path / f"{source.name}_config.yml"
    named.write_text(config.read_text())
    refused(named, f"{source}: is the collection of a source, and this configuration has the same")
    assert snapshot(tmp_path / "catalogs") == before
    assert run(config).status == "UP TO DATE"
    # The other way round, the source gets another collection.
    shutil.rmtree(tmp_path / "catalogs")
    shutil.rmtree(tmp_path / "data")
    geotiff(tmp_path / "other" / "good.tif")
    content = yaml.safe_load(named.read_text())
    content["data_stores"][1]["store_params"]["root"] = "other"
    named.write_text(yaml.safe_dump(content))
    completed(named)
    harvest(load_config(config), tmp_path / "catalogs")
    assert run(named).status == "UP TO DATE"


# --- what goes with a cube -----------------------------------------------------------------------

BESIDE = [
    "data/.good.zarr.lock",
    "data/.good.zarr.journal",
    "catalogs/catalog.json",
    "catalogs/.catalog.lock",
    "catalogs/c/collection.json",
    "catalogs/c/thumbnail.png",
    "catalogs/c/good/good.json",
    "catalogs/c/good/thumbnail.png",
]
LEFT = [
    "data/.good.zarr.old",
    "data/.good.zarr.mine.staging/notes.txt",
    "data/.good.zarr.0123abcd.staging/notes.txt",
    "data/.good.zarr.journal.tmp",
    "data/.good.zarr.journal.0123abcd.tmp",
    "data/.good.zarr.holder",
    "data/.good.zarr.zarr.0123abcd.staging/notes.txt",
    "catalogs/.catalog.json.mine.tmp",
    "catalogs/c/notes.txt",
    "catalogs/c/good/notes.txt",
    "catalogs/c/good/.good.json.mine.tmp",
]


A_CATALOG = '{"type": "Catalog", "id": "mine", "links": []}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(name, content, marks=[] if quick else pytest.mark.slow)
        for name in BESIDE
        for content, quick in (("mine", True), (A_CATALOG, name == "catalogs/catalog.json"))
    ],
)
def test_what_lies_where_a_build_writes(tmp_path: Path, name: str, content: str) -> None:
    config = made(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    before = snapshot(tmp_path)
    result = run(config)
    assert result.error is not None
    assert result.error.exit_code == 5
    assert name in result.message
    if name != "catalogs/.catalog.lock":
        assert planned(config).action == "conflict"
        assert snapshot(tmp_path) == before
    assert path.read_text() == content
    path.unlink()
    completed(config)


@pytest.mark.parametrize(
    "names", [LEFT, *(pytest.param([name], marks=pytest.mark.slow) for name in LEFT)], ids=str
)
def test_what_lies_beside_is_left_alone(tmp_path: Path, names: list[str]) -> None:
    config = made(tmp_path)
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    completed(config)
    completed(config, force=True)
    assert {(tmp_path / name).read_text() for name in names} == {"mine"}


def test_another_ones_catalog_is_not_harvested_into(tmp_path: Path) -> None:
    config = made(tmp_path)
    foreign = tmp_path / "catalogs" / "catalog.json"
    foreign.parent.mkdir()
    content = {"type": "Catalog", "id": "mine", "stac_version": "1.1.0", "description": "mine"}
    foreign.write_text(json.dumps(content | {"links": []}))
    before = snapshot(tmp_path / "catalogs")
    (result,) = harvest(load_config(config), tmp_path / "catalogs")
    assert isinstance(result.error, ConflictError), result
    assert "catalog.json" in result.message
    left = snapshot(tmp_path / "catalogs")
    assert {name: left[name] for name in before} == before


def test_the_build_of_another_that_was_interrupted_is_not_taken_up(tmp_path: Path) -> None:
    storage = {"store_id": "file", "store_params": {"root": "../data"}}
    second = made(tmp_path / "two", storage=storage)
    owner = {"catalog": "../one/catalogs", "collection": "c", "dataset": "good"}
    (tmp_path / "data").mkdir()
    journal = Journal.start(tmp_path / "data" / ".good.zarr.journal", "abc", owner)
    staging = tmp_path / "data" / f".good.zarr.{journal.token}.staging"
    staging.mkdir()
    (staging / "chunk").write_text("half")
    before = snapshot(tmp_path / "data")
    refused(second, ".good.zarr.journal", "the collection 'c' began a cube there")
    assert snapshot(tmp_path / "data") == before


# --- a bucket, memory ----------------------------------------------------------------------------


def test_what_lies_in_the_bucket_of_a_cube(tmp_path: Path, s3_server: S3Server) -> None:
    storage = bucket(s3_server, "foreign-1")
    for key in ("cubes/good.zarr/zarr.json", "cubes/good-2.zarr/zarr.json", "cubes/good-2/x"):
        s3_server.put(key, b"mine", "foreign-1")
    config = made(tmp_path, storage=storage)
    stacbuild("cube", config)
    # Below the cube, which is about to be replaced.
    first = asset_of(tmp_path).href.rpartition("/")[2]
    theirs = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
    for name, content in (("notes.txt", b"mine"), ("own/zarr.json", theirs)):
        key = f"cubes/{first}/{name}"
        s3_server.put(key, content, "foreign-1")
        before = keys(s3_server, "foreign-1")
        (line,) = errors(stacbuild("cube", config, "--force", code=5))
        assert f"s3://foreign-1/{key}: is in the cube" in line
        assert keys(s3_server, "foreign-1") == before
        s3_server.delete(key, "foreign-1")
    stacbuild("cube", config, "--force")
    others = {f"cubes/{name}" for name in ("good.zarr", "good-2.zarr", "good-2")}
    second = asset_of(tmp_path).href.rpartition("/")[2]
    left = keys(s3_server, "foreign-1")
    assert left == {"of-others/kept.txt", *others, f"cubes/{second}"}

    # Another store in the place of the cube: nothing is written to that key any more.
    s3_server.put(f"cubes/{second}/zarr.json", theirs, "foreign-1")
    done = stacbuild("cube", config, "--force")
    assert f"cubes/{second}: is left alone" in done.stderr
    assert f"cubes/{second}" in keys(s3_server, "foreign-1")

    # Lock and journal are in the catalog's folder.
    (lock,) = (tmp_path / "catalogs").glob(".*foreign-1*.lock")
    for path in (lock, lock.with_suffix(".journal")):
        path.write_text("mine")
        (line,) = errors(stacbuild("cube", config, "--force", code=5))
        assert path.name in line
        assert path.read_text() == "mine"
        path.write_text("") if path == lock else path.unlink()


def test_what_lies_in_memory(tmp_path: Path) -> None:
    storage = {"store_id": "memory", "store_params": {"root": "foreign"}}
    config = made(tmp_path, storage=storage)
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/foreign/good.zarr/zarr.json", b"mine")
    try:
        refused(config, "memory://foreign/good.zarr: is not a cube of collection 'c'")
        assert fs.cat_file("/foreign/good.zarr/zarr.json") == b"mine"
        fs.rm("/foreign", recursive=True)
        completed(config)
        completed(config)
    finally:
        fs.rm("/foreign", recursive=True)
