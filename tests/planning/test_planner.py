"""What is up to date, what is built again and why: the plan says it, and the build does it."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import s3fs
import xarray as xr
import yaml

from stacbuild.building import build
from stacbuild.cli import run
from stacbuild.config import load_config
from stacbuild.planning import plan
from stacbuild.planning.fingerprint import fingerprint
from stacbuild.stac.extensions import FINGERPRINT, INPUTS
from tests.standins.demo import Servers, demo_config
from tests.standins.s3 import S3Server
from tests.support.buckets import bucket, keys
from tests.support.built import variable_of
from tests.support.cli import Json, configuration, geotiff, stacbuild
from tests.support.own_files import raster

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
BOX = "-0.70,44.10,-0.68,44.12"
CODE = "def same(ds):\n    return ds\n"

A: dict[str, Any] = {"identifier": "a", "store": "files", "data_id": "one.tif"}
B: dict[str, Any] = {
    "identifier": "b",
    "store": "files",
    "data_id": "two.tif",
    "custom_processing": {"module_path": "modify", "function_name": "same"},
}
# Of both sources.
C: dict[str, Any] = {
    "identifier": "c",
    "variables": [
        {"identifier": "first", "store": "files", "data_id": "one.tif"},
        {"identifier": "second", "store": "files", "data_id": "two.tif"},
    ],
}
PROFILE = "source: 'file:src'\ndata:\n- match: {}\n  title: {}\n"


def make(directory: Path, **sections: Any) -> Path:
    """Write a configuration of three cubes, with its sources, code and a profile."""
    for name in ("one", "two"):
        geotiff(directory / "src" / f"{name}.tif")
    (directory / "modify.py").write_text(CODE)
    (directory / "profiles").mkdir()
    (directory / "profiles" / "p.yml").write_text(PROFILE.format("one.tif", "Codes"))
    return configuration(directory, [A, B, C], [SOURCE], **sections)


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = make(tmp_path_factory.mktemp("built"))
    stacbuild("cube", config)
    return config.parent


@pytest.fixture
def built(_built: Path, tmp_path: Path) -> Path:
    """The configuration of three cubes that are up to date, in a folder of the test's own."""
    shutil.copytree(_built, tmp_path / "moved")
    return tmp_path / "moved" / "c_config.yml"


def call(*words: object, code: int = 0) -> str:
    """Run the command line in this process, which is sooner done; give what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        assert run([str(word) for word in words]) == code
    return printed.getvalue()


def edit(config: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = yaml.safe_load(config.read_text())
    change(content)
    config.write_text(yaml.safe_dump(content, sort_keys=False))


def planned(config: Path, *words: object, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return what the plan says, by the name of the cube."""
    printed = call("plan", config, "--json", *words, code=code)
    return {each["name"]: each for each in json.loads(printed)["cubes"]}


def reasons(config: Path, *words: object, code: int = 0) -> dict[str, list[str]]:
    """Return the reasons of each cube that is not up to date."""
    found = planned(config, *words, code=code)
    assert all(bool(each["reasons"]) == (each["action"] != "up to date") for each in found.values())
    return {name: each["reasons"] for name, each in found.items() if each["reasons"]}


def made(config: Path) -> dict[str, int]:
    """Return which cube it is that stands there, by its name."""
    cubes = (config.parent / "data").glob("*.zarr")
    return {path.stem: (path / "zarr.json").stat().st_mtime_ns for path in cubes}


def built_by(config: Path, *words: object) -> set[str]:
    """Return the names of the cubes that a build builds."""
    before = made(config)
    call("cube", config, *words)
    after = made(config)
    return {name for name in after if after[name] != before.get(name)}


def check(config: Path, expected: dict[str, list[str]], *words: object) -> None:
    """Check what the plan says, that the build does it, and that then there is nothing to do."""
    assert reasons(config, *words) == expected
    assert built_by(config, *words) == set(expected)
    assert reasons(config, *words) == {}


# --- nothing to do -------------------------------------------------------------------------------


def test_nothing_changed_and_nothing_is_done(built: Path) -> None:
    assert reasons(built) == {}
    before = {path: path.stat().st_mtime_ns for path in built.parent.rglob("*") if path.is_file()}
    done = stacbuild("cube", built)
    assert done.stderr.count("UP TO DATE") == 3
    # What it prints can be relied upon whether or not there was something to do.
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        [
            str(built.parent / "data" / f"{name}.zarr"),
            str(built.parent / "catalogs" / "c" / name / f"{name}.json"),
        ]
        for name in "abc"
    ]
    after = {path: path.stat().st_mtime_ns for path in built.parent.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("command", ["cube", "plan"])
def test_nothing_heavy_is_imported_to_see_that_nothing_is_to_be_done(
    built: Path, command: str
) -> None:
    code = (
        "import sys\n"
        "from stacbuild.cli import run\n"
        "assert run(sys.argv[1:]) == 0\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, built],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules = set(done.stdout.splitlines()[-1].split())
    heavy = {"aiohttp", "botocore", "dask", "distributed", "fsspec", "h5py", "matplotlib"}
    heavy |= {"numcodecs", "pandas", "rasterio", "requests", "s3fs", "shapely", "stackstac"}
    heavy |= {"xarray", "zarr"}
    assert not heavy & modules
    # Of 715 when this was written; models are described only for the schema.
    assert len(modules) < 800
    assert "stacbuild.config.descriptions" not in modules


def test_the_item_says_what_the_cube_was_made_of(built: Path) -> None:
    text = (built.parent / "catalogs" / "c" / "b" / "b.json").read_text()
    properties = json.loads(text)["properties"]
    inputs = properties[INPUTS]
    assert set(inputs) == {"configuration", "sources", "descriptions", "code", "algorithm"}
    assert set(inputs["sources"]) == {"file-src/two"}
    assert set(inputs["code"]) == {"modify.py:same"}
    assert inputs["algorithm"] == {"stacbuild": "1", "default name": "b"}
    assert {"stacbuild", "rasterio", "PROJ", "zarr"} <= set(properties["processing:software"])
    assert len(properties[FINGERPRINT]) == 64
    assert str(built.parent) not in text
    with xr.open_zarr(built.parent / "data" / "b.zarr") as cube:
        assert cube.attrs["stacbuild_fingerprint"] == properties[FINGERPRINT]


def test_what_does_not_bear_on_the_output_does_not_count(built: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["general"] = {"visualize": False, "dask_scheduler": "synchronous"}
        content["datasets"][0]["store"] = "renamed"
        # The same store under another name.
        content["data_stores"].append({**SOURCE, "identifier": "renamed"})

    edit(built, change)
    assert reasons(built) == {}


def test_force_builds_anyway(built: Path) -> None:
    assert built_by(built, "b", "--force") == {"b"}
    assert call("cube", built, "--dry-run", "--force").count("rebuild: --force") == 3


# --- only what depends on it ---------------------------------------------------------------------


def test_one_key_of_one_dataset(built: Path) -> None:
    edit(built, lambda content: content["datasets"][1].update(chunksize={"lat": 20}))
    check(built, {"b": ["configuration: datasets.b.chunksize.lat"]})


def test_the_grid_of_all(built: Path) -> None:
    edit(built, lambda content: content["grid_mappings"][0].update(spatial_res=0.002))
    said = ["configuration: grid_mappings.grid.spatial_res"]
    check(built, {"a": said, "b": said, "c": said})


def test_a_box(built: Path) -> None:
    words = ("a", "--bbox", "10.02,45.02,10.05,45.05")
    check(built, {"a": ["configuration: bbox"]}, *words)
    # A box of the very same pixels is the same box.
    assert reasons(built, "a", "--bbox", "10.0201,45.0201,10.0501,45.0501") == {}
    check(built, {"a": ["configuration: bbox"]})


def test_a_source_that_is_written_to(built: Path) -> None:
    geotiff(built.parent / "src" / "one.tif", compress="lzw")
    said = ["source one.tif: written to since it was harvested"]
    check(built, {"a": said, "c": said})


def test_a_source_that_a_harvest_found_changed(built: Path) -> None:
    geotiff(built.parent / "src" / "two.tif", compress="lzw")
    call("harvest", built)
    said = ["source file-src/two: content changed"]
    check(built, {"b": said, "c": said})


def test_a_profile(built: Path) -> None:
    (built.parent / "profiles" / "p.yml").write_text(PROFILE.format("one.tif", "Other codes"))
    said = ["source one.tif: its profile changed"]
    check(built, {"a": said, "c": said})
    with xr.open_zarr(built.parent / "data" / "a.zarr") as cube:
        assert variable_of(cube).attrs["long_name"] == "Other codes"


def test_a_profile_that_is_only_written_in_another_way(built: Path) -> None:
    text = "# Codes\n" + PROFILE.format("'one.tif'", "'Codes'")
    (built.parent / "profiles" / "p.yml").write_text(text)
    assert reasons(built) == {}


def test_custom_code(built: Path) -> None:
    (built.parent / "modify.py").write_text(f"# As it is.\n{CODE}")
    check(built, {"b": ["custom code changed: modify.py:same"]})


def test_another_algorithm(built: Path) -> None:
    _rewritten(built, lambda inputs: inputs["algorithm"].update(stacbuild="0"))
    check(built, {"a": ["stacbuild computes cubes in another way: version 1, not 0"]})


def test_another_library_rebuilds_nothing_and_is_shown(built: Path) -> None:
    path = built.parent / "catalogs" / "c" / "a" / "a.json"
    content = json.loads(path.read_text())
    now = content["properties"]["processing:software"]["rasterio"]
    content["properties"]["processing:software"]["rasterio"] = "1.0.0"
    path.write_text(json.dumps(content))
    assert reasons(built) == {}
    assert built_by(built) == set()
    lines = call("plan", built).splitlines()
    assert lines[lines.index("a: up to date") + 2] == f"  made with rasterio 1.0.0, now {now}"
    assert planned(built)["a"]["made_with"] == [f"rasterio 1.0.0, now {now}"]


def test_a_cube_of_before_there_were_algorithms_only_gets_its_name(built: Path) -> None:
    def as_it_was(inputs: Json) -> None:
        del inputs["algorithm"]
        inputs["software"] = {"stacbuild": "0.1.0", "rasterio": "1.0.0", "PROJ": "9.0.0"}

    _rewritten(built, as_it_was)
    assert reasons(built) == {"a": ["its variable is named a, not band_data"]}


def test_an_item_that_was_edited(built: Path) -> None:
    _rewritten(built, lambda inputs: None, fingerprint_of=lambda inputs: "0" * 64)
    check(built, {"a": ["its fingerprint does not match the recorded inputs"]})


def _rewritten(
    built: Path,
    change: Callable[[Json], object],
    fingerprint_of: Callable[[Json], str] = fingerprint,
) -> None:
    """Let the cube ``a`` have been made of something else, by its item and its own attributes."""
    path = built.parent / "catalogs" / "c" / "a" / "a.json"
    content = json.loads(path.read_text())
    change(content["properties"][INPUTS])
    was = content["properties"][FINGERPRINT]
    now = content["properties"][FINGERPRINT] = fingerprint_of(content["properties"][INPUTS])
    path.write_text(json.dumps(content))
    metadata = built.parent / "data" / "a.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text().replace(was, now))


# --- cubes that are gone -------------------------------------------------------------------------


def test_a_cube_that_is_deleted(built: Path) -> None:
    shutil.rmtree(built.parent / "data" / "a.zarr")
    check(built, {"a": ["the cube is gone"]})


def test_a_cube_whose_item_is_deleted(built: Path) -> None:
    shutil.rmtree(built.parent / "catalogs" / "c" / "a")
    found = planned(built, code=5)["a"]
    assert found["action"] == "conflict"
    assert "data/a.zarr: is a cube that stacbuild made of collection 'c', but" in found["reason"]
    assert "catalog.json names it; " in found["reason"]


def test_a_cube_that_is_another_ones(built: Path) -> None:
    shutil.rmtree(built.parent / "data" / "a.zarr")
    shutil.copytree(built.parent / "data" / "b.zarr", built.parent / "data" / "a.zarr")
    found = planned(built, code=5)["a"]
    assert found["action"] == "conflict"
    assert "but not the one that its item names" in found["reason"]


def test_another_place_for_cubes(built: Path) -> None:
    edit(built, lambda content: content["data_stores"][0]["store_params"].update(root="elsewhere"))
    assert reasons(built, "a") == {"a": ["its location changed"]}


def test_sources_that_are_gone_are_no_reason(built: Path) -> None:
    shutil.rmtree(built.parent / "src")
    assert reasons(built) == {}
    assert built_by(built) == set()


# --- what it says --------------------------------------------------------------------------------


def test_what_is_not_harvested_is_said_and_not_fetched(tmp_path: Path) -> None:
    config = make(tmp_path)
    found = planned(config)
    assert {each["action"] for each in found.values()} == {"create"}
    assert found["c"]["harvest"] == [
        "files: one.tif: not harvested yet",
        "files: two.tif: not harvested yet",
    ]
    assert found["b"]["custom_code"] == ["modify.py:same"]
    assert found["c"]["bytes_to_write"] is None
    assert not (tmp_path / "catalogs").exists()
    assert not (tmp_path / "data").exists()
    assert "2 sources to harvest first" in call("plan", config)


def test_files_that_the_cube_would_refuse_are_refused(tmp_path: Path) -> None:
    for month, dtype in enumerate(("float32", "float32", "float64"), 1):
        raster(tmp_path / f"files/evi_2020_0{month}.tif", dtype=dtype)
    path = tmp_path / "c.yml"
    stores = [
        {"identifier": name, "store_id": "file", "store_params": {"root": name}}
        for name in ("storage", "files")
    ]
    entry = {"identifier": "evi", "store": "files", "data_id": "evi_*.tif"}
    path.write_text(yaml.safe_dump({"datasets": [entry], "data_stores": stores}))
    call("harvest", path)
    (only,) = plan(load_config(path), tmp_path / "catalogs")
    assert "evi_2020_03.tif has float64" in str(only.error)


def test_sizes_of_files_that_changed_are_said_to_be_those_of_before(built: Path) -> None:
    said = "sizes are those of the last harvest, and may change"
    edit(built, lambda content: content["datasets"][1].update(chunksize={"lat": 20}))
    assert said not in call("plan", built, "b")
    geotiff(built.parent / "src" / "one.tif", compress="lzw")
    assert said in call("plan", built, "a")


def test_the_figures_are_those_of_the_cube(built: Path) -> None:
    found = planned(built)["a"]
    assert found["bytes_to_write"] == 0
    forced = json.loads(call("cube", built, "--dry-run", "--force", "--json"))["cubes"]
    with xr.open_zarr(built.parent / "data" / "c.zarr", mask_and_scale=False) as cube:
        for variable in forced[2]["variables"]:
            array = cube[variable["name"]]
            assert variable["dtype"] == array.dtype.name
            assert variable["dims"] == list(array.dims)
            assert variable["shape"] == list(array.shape)
            assert variable["chunks"] == list(array.encoding["chunks"])
    item = json.loads((built.parent / "catalogs" / "c" / "c" / "c.json").read_text())
    stored = item["assets"]["data"]["stacbuild:chunks"].values()
    # From the cube of before.
    assert forced[2]["bytes_to_write"] == sum(entry["bytes"] for entry in stored)
    assert forced[2]["bytes_to_fetch"] == 0
    assert 10**8 < forced[2]["peak_memory"] < 10**9
    assert forced[2]["free_disk"] == pytest.approx(shutil.disk_usage(built.parent).free, rel=0.1)


def test_the_plan_fits_on_80_columns(built: Path) -> None:
    edit(built, lambda content: content["datasets"][1].update(chunksize={"lat": 20}))
    lines = call("plan", built).splitlines()
    assert "b: rebuild: configuration: datasets.b.chunksize.lat" in lines
    # A path is not broken.
    assert all(len(line) <= 80 for line in lines if "/" not in line)


# --- what cannot be built ------------------------------------------------------------------------


def test_a_grid_far_too_large_is_refused_with_its_figures(tmp_path: Path) -> None:
    grid = {"identifier": "huge", "bbox": [0, 40, 20, 50], "spatial_res": 1e-6, "crs": "EPSG:4326"}
    config = make(tmp_path, grids=[grid])
    edit(config, lambda content: content["datasets"][0].update(grid_mapping="huge"))
    done = stacbuild("plan", config, code=2)
    assert "grid_mappings.huge: 10000000 x 20000000 pixels are too many" in done.stderr
    # The build refuses as well, and the others go on.
    assert built_by_failing(config, 2) == {"b", "c"}


def built_by_failing(config: Path, code: int) -> set[str]:
    before = made(config)
    call("cube", config, code=code)
    return {name for name, when in made(config).items() if when != before.get(name)}


def test_more_than_the_disk_has_is_refused_with_its_figures(tmp_path: Path) -> None:
    # 7 TB of pixels, by a source that is not compressed.
    grid = {"identifier": "big", "bbox": [0, 40, 20, 50], "spatial_res": 1.5e-5, "crs": "EPSG:4326",
            "tile_size": 10000}  # fmt: skip
    config = make(tmp_path, grids=[grid])
    geotiff(tmp_path / "src" / "one.tif", compress=None, dtype="float64")
    call("harvest", config)
    edit(config, lambda content: content["datasets"][0].update(grid_mapping="big"))
    if shutil.disk_usage(tmp_path).free > 5e12:
        pytest.skip("this disk has room for it")
    found = planned(config, "a", code=5)["a"]
    assert found["action"] == "fails"
    assert re.search(r"needs about \S+ [GT]B, but only \S+ [GT]B are free in ", found["reason"])


def test_tiles_that_are_far_too_small_are_refused(tmp_path: Path) -> None:
    grid = {"identifier": "tiny", "bbox": [10, 45, 10.1, 45.1], "spatial_res": 2e-5,
            "crs": "EPSG:4326", "tile_size": 1}  # fmt: skip
    config = make(tmp_path, grids=[grid])
    call("harvest", config)
    edit(config, lambda content: content["datasets"][0].update(grid_mapping="tiny"))
    said = planned(config, "a", code=2)["a"]["reason"]
    assert "25000000 chunks, each a file" in said
    assert "tile_size" in said


def test_a_box_outside_the_data_is_refused_with_both_boxes(tmp_path: Path) -> None:
    grid = {"identifier": "far", "bbox": [20, 40, 20.1, 40.1], "spatial_res": 0.001,
            "crs": "EPSG:4326"}  # fmt: skip
    config = make(tmp_path, grids=[grid])
    call("harvest", config)
    edit(config, lambda content: content["datasets"][0].update(grid_mapping="far"))
    said = planned(config, "a", code=1)["a"]["reason"]
    assert "[20.0, 40.0, 20.1, 40.1] (EPSG:4326) lies outside the data" in said
    assert "[9.99, 44.99, 10.11, 45.11]" in said


# --- over the network ----------------------------------------------------------------------------


def asked(servers: Servers) -> tuple[int, int, int]:
    return len(servers.zenodo.log), len(servers.clms.log), len(servers.s3.log)


@pytest.fixture(scope="module")
def demo(_running: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's configuration, planned and then harvested."""
    _running.reset()
    config = demo_config(tmp_path_factory.mktemp("demo"), _running.endpoints, tile_size=512)
    call("plan", config)
    assert asked(_running) == (0, 0, 0)
    stacbuild("harvest", config)
    return config


def test_a_second_harvest_asks_for_descriptions_only(demo: Path, standins: Servers) -> None:
    done = stacbuild("harvest", demo)
    assert done.stderr.count("unchanged") == 6
    # Records, headers of the files that are read in place, and searches; no archive, no product.
    assert not [each for each in standins.zenodo.log if ".zip" in each.path]
    assert not [each for each in standins.clms.log if "@datarequest" in each.path]
    assert len(standins.zenodo.log) < 20
    assert standins.zenodo.bytes_sent + standins.clms.bytes_sent < 1_000_000


def test_over_the_network_nothing_is_asked_for_nothing(demo: Path, standins: Servers) -> None:
    config = demo
    assert planned(config, "--bbox", BOX)["liu"]["bytes_to_fetch"] > 0
    assert planned(config, "--bbox", BOX)["senf"]["bytes_to_fetch"] == 0
    assert asked(standins) == (0, 0, 0)
    stacbuild("cube", config, "--bbox", BOX)
    standins.reset()
    assert reasons(config, "--bbox", BOX) == {}
    assert stacbuild("cube", config, "--bbox", BOX).stderr.count("UP TO DATE") == 4
    assert asked(standins) == (0, 0, 0)

    # One cube changes: nothing is asked for the others.
    edit(config, lambda content: content["datasets"][2].update(chunksize={"lat": 40}))
    assert set(reasons(config, "--bbox", BOX)) == {"liu"}
    assert built_by(config, "--bbox", BOX) == {"liu"}
    assert {record(path) for path in (each.path for each in standins.zenodo.log)} == {"8154445"}
    assert asked(standins)[1:] == (0, 0)


def record(path: str) -> str:
    return path.partition("/records/")[2].partition("/")[0]


def test_a_cube_in_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    config = make(tmp_path, storage=bucket(s3_server, "cubes-plan"))
    # In processes of their own: those close what s3fs leaves open.
    stacbuild("cube", config, "a")
    (name,) = keys(s3_server, "cubes-plan") - {"of-others/kept.txt"}
    assert "UP TO DATE" in stacbuild("cube", config, "a").stderr
    assert keys(s3_server, "cubes-plan") - {"of-others/kept.txt"} == {name}
    fs = s3fs.S3FileSystem(key="testing", secret="testing", endpoint_url=s3_server.url)
    fs.rm(f"cubes-plan/{name}", recursive=True)
    assert "a: rebuild: the cube is gone" in stacbuild("plan", config, "a").stdout


# --- as a library --------------------------------------------------------------------------------


def test_build_and_plan_agree_without_the_command_line(built: Path) -> None:
    config = load_config(built)
    catalog = built.parent / "catalogs"
    assert {each.action for each in plan(config, catalog)} == {"up to date"}
    assert {each.status for each in build(config, catalog)} == {"UP TO DATE"}
    (forced,) = plan(config, catalog, ["a"], force=True)
    assert (forced.action, forced.reason) == ("rebuild", "--force")
    (result,) = build(config, catalog, datasets=["a"], force=True)
    assert result.status == "COMPLETED"
