"""`stacbuild validate`: each kind of damage is put there, found, and named."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

from stacbuild.building import build
from stacbuild.cli import run
from stacbuild.config import load_config
from stacbuild.errors import ConfigError, MissingError
from stacbuild.formats.zarr_chunks import CHUNKS
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.extensions import multihash_md5
from stacbuild.validation.validate import validate
from tests.standins.s3 import S3Server
from tests.support.buckets import bucket
from tests.support.built import variable_of
from tests.support.cli import BOX, Json, ages, configuration, errors, geotiff, stacbuild
from tests.support.many_items import COUNT, an_item, counted_reads, let_time_pass, put

DAMAGED = 4
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
TILES = {"identifier": "tiles", "bbox": list(BOX), "spatial_res": 0.001, "crs": "EPSG:4326"}
CUBES = [
    {"identifier": name, "store": "local", "data_id": data_id, "grid_mapping": "tiles"}
    for name, data_id in (("good", "good.tif"), ("ages", "ages.zarr"))
]


def described(folder: Path, datasets: Sequence[Json] = CUBES, **sections: Any) -> Path:
    """Write sources, and the configuration of two cubes of 9 chunks."""
    geotiff(folder / "src" / "good.tif")
    ages(folder / "src" / "ages.zarr")
    return configuration(folder, datasets, [SOURCE], grids=[TILES | {"tile_size": 40}], **sections)


def made(folder: Path, datasets: Sequence[Json] = CUBES, **sections: Any) -> Path:
    """Build the cubes, too."""
    config = described(folder, datasets, **sections)
    for result in build(load_config(config), folder / "catalogs"):
        assert result.status == "COMPLETED", result
    return config


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validate")
    made(folder)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy, times of files too, that may be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / "copy"))


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


Run = Callable[..., Done]
Wrong = Callable[..., list[str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process, which is faster; the exit code has to be *code*."""

    def execute(*words: object, code: int = 0) -> Done:
        capsys.readouterr()
        ended = run([*map(str, words)])
        out, err = capsys.readouterr()
        assert ended == code, (ended, out, err)
        assert "Traceback" not in err
        return Done(out, err)

    return execute


@pytest.fixture
def wrong(folder: Path, command: Run) -> Wrong:
    """Validate by the command line; give the errors that it ends with, 4 as its exit code."""

    def execute(*words: object) -> list[str]:
        done = command("validate", folder / "c_config.yml", *words, code=DAMAGED)
        assert done.stdout == ""
        return done.errors

    return execute


def flip(path: Path, at: int = -30) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


# --- all is well ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--deep",), ("good",), ("--deep", "--remote")])
def test_one_line_if_all_is_well(folder: Path, words: tuple[str, ...], command: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for first in ([folder / "c_config.yml"], ["--catalog", folder / "catalogs"]):
        (line,) = command("validate", *first, *words).stdout.splitlines()
        cubes, chunks = ("1 cube", "9") if "good" in words else ("2 cubes", "18")
        assert line.startswith(f"all well: {cubes} of {chunks} chunks and ")
        assert ("every chunk read" in line) == ("--deep" in words)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_manifest_counts_what_lies_there(folder: Path) -> None:
    for cube, variable in (("good", "good"), ("ages", "age")):
        item = json.loads((folder / "catalogs" / "c" / cube / f"{cube}.json").read_text())
        chunks = list((folder / "data" / f"{cube}.zarr" / variable / "c").rglob("*/*"))
        files = [path for path in chunks if path.is_file()]
        assert item["assets"]["data"][CHUNKS] == {
            variable: {"count": 9, "bytes": sum(path.stat().st_size for path in files)}
        }


def test_as_json(folder: Path, command: Run) -> None:
    config = folder / "c_config.yml"
    content = json.loads(command("validate", config, "--json").stdout)
    assert sorted((check["kind"], check["name"]) for check in content["checks"]) == [
        ("catalog", "catalog"),
        ("cube", "ages"),
        ("cube", "good"),
        ("source", "file-src/ages"),
        ("source", "file-src/good"),
    ]
    assert not any(check["problems"] for check in content["checks"])
    (folder / "data" / "good.zarr" / "good" / "c" / "0" / "2").unlink()
    done = command("validate", config, "--json", code=DAMAGED)
    (bad,) = [check for check in json.loads(done.stdout)["checks"] if check["problems"]]
    assert bad["name"] == "good"
    assert bad["damaged"] == {"good": ["c/0/2"]}
    assert bad["chunks"] == 8


# --- chunks --------------------------------------------------------------------------------------


def test_a_deleted_chunk(folder: Path, wrong: Wrong) -> None:
    (folder / "data" / "good.zarr" / "good" / "c" / "1" / "2").unlink()
    (line,) = wrong()
    assert line.startswith(f"error: good: {folder}/data/good.zarr: good: 1 of 9 chunks")
    assert "missing: c/1/2 [lat 40:80, lon 80:100]" in line


def test_the_command_that_mends_damage(folder: Path, wrong: Wrong, command: Run) -> None:
    (folder / "data" / "good.zarr" / "good" / "c" / "1" / "2").unlink()
    (line,) = wrong()
    config = folder / "c_config.yml"
    assert line.endswith(f"; build it again: stacbuild cube {config} good --force")
    command(*shlex.split(line.rpartition("stacbuild ")[2]))
    command("validate", config)


@pytest.mark.parametrize("left", [0, 5, -1])
def test_a_truncated_chunk(folder: Path, wrong: Wrong, left: int) -> None:
    chunk = folder / "data" / "ages.zarr" / "age" / "c" / "2" / "0"
    chunk.write_bytes(chunk.read_bytes()[:left])
    (line,) = wrong()
    assert f"error: ages: {folder}/data/ages.zarr: age: 1 of 9 chunks are damaged: c/2/0 [" in line
    assert "lat 80:100, lon 0:40]" in line


def test_an_added_chunk(folder: Path, wrong: Wrong) -> None:
    (folder / "data" / "good.zarr" / "good" / "c" / "0" / "3").write_bytes(b"x")
    (line,) = wrong()
    assert "good.zarr: good: has files that are not its chunks: c/0/3" in line


def test_a_chunk_that_something_else_wrote(folder: Path, wrong: Wrong) -> None:
    chunks = folder / "data" / "good.zarr" / "good" / "c"
    zarr.open_array(chunks.parent, mode="r+")[:40, :40] = 7
    (line,) = wrong()
    assert "its chunks can be read, but have " in line
    assert "fewer than when they were written" in line


@pytest.mark.parametrize("at", [4, 12, -30, -2])
def test_a_flipped_bit(folder: Path, wrong: Wrong, at: int, command: Run) -> None:
    flip(folder / "data" / "ages.zarr" / "age" / "c" / "1" / "1", at)
    command("validate", folder / "c_config.yml")
    (line,) = wrong("--deep")
    assert "age: 1 of 9 chunks are damaged: c/1/1 [lat 40:80, lon 40:80]" in line
    # Another cube is not looked at.
    command("validate", folder / "c_config.yml", "--deep", "good")


def test_every_bit_of_a_chunk(folder: Path) -> None:
    """No flip of any byte is missed: either a chunk is as it was written, or it is named."""
    chunk = folder / "data" / "good.zarr" / "good" / "c" / "2" / "2"
    whole = chunk.read_bytes()
    with xr.open_zarr(folder / "data" / "good.zarr") as cube:
        expected = variable_of(cube).values
    missed = []
    for at in range(len(whole)):
        flip(chunk, at)
        array = variable_of(zarr.open_group(folder / "data" / "good.zarr", mode="r"))
        try:
            silent = not np.array_equal(np.asarray(array[80:, 80:]), expected[80:, 80:])
        except RuntimeError:
            silent = False
        chunk.write_bytes(whole)
        if silent:
            missed.append(at)
    assert missed == []


def test_many_damaged_chunks_are_one_line(folder: Path, wrong: Wrong) -> None:
    for chunk in (folder / "data" / "good.zarr" / "good" / "c").glob("*/*"):
        flip(chunk)
    (line,) = wrong("--deep")
    assert "9 of 9 chunks are damaged" in line
    assert "and 4 more" in line


def test_format_2_says_what_cannot_be_found(tmp_path: Path, command: Run) -> None:
    config = made(tmp_path, general={"zarr_format": 2})
    done = command("validate", config, "--deep")
    assert "chunks of good have no checksum (Zarr format 2 has none)" in done.stderr
    (tmp_path / "data" / "good.zarr" / "good" / "1.2").unlink()
    cut = tmp_path / "data" / "ages.zarr" / "age" / "0.1"
    cut.write_bytes(cut.read_bytes()[:-9])
    one, two = command("validate", config, code=DAMAGED).errors
    assert "damaged: 0.1 [lat 0:40, lon 40:80]" in one
    assert "missing: 1.2 [lat 40:80, lon 80:100]" in two


def test_memory_is_bounded_by_what_is_in_work(tmp_path: Path) -> None:
    """Chunks are asked for as others are done, not all at once."""
    from stacbuild.validation import chunks as check_chunks

    path = tmp_path / "many.zarr"
    array = zarr.create_array(path, shape=(400, 10), chunks=(1, 10), dtype="u1", fill_value=0)
    array[:] = 1
    asked = 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(array, name)

        def __getitem__(self, key: Any) -> Any:
            nonlocal asked
            asked += 1
            return array[key]

    decoded = check_chunks._decoded(Counting())  # type: ignore[arg-type]
    assert next(decoded)[1] is None
    assert asked <= 4 * (os.cpu_count() or 1)
    decoded.close()


# --- metadata ------------------------------------------------------------------------------------


def test_metadata_that_changed(folder: Path, wrong: Wrong) -> None:
    path = folder / "data" / "good.zarr" / "good" / "zarr.json"
    content = json.loads(path.read_text())
    content["fill_value"] = 3
    path.write_text(json.dumps(content))
    (line,) = wrong()
    assert "good.zarr: good: its metadata differ from the consolidated ones" in line


def test_metadata_that_are_gone(folder: Path, wrong: Wrong) -> None:
    (folder / "data" / "good.zarr" / "good" / "zarr.json").unlink()
    (folder / "data" / "ages.zarr" / "zarr.json").unlink()
    ones = wrong()
    assert len(ones) == 2
    assert "good.zarr: good: its own metadata are missing" in ones[0] + ones[1]
    assert "ages.zarr: is in the catalog, but the cube does not exist" in ones[0] + ones[1]


def test_metadata_that_are_not_json(folder: Path, wrong: Wrong) -> None:
    (folder / "data" / "good.zarr" / "zarr.json").write_text('{"zarr_format": 3,')
    (line,) = wrong()
    assert f"{folder}/data/good.zarr/zarr.json: is not JSON (" in line


def test_an_item_of_another_grid(folder: Path, wrong: Wrong) -> None:
    path = folder / "catalogs" / "c" / "good" / "good.json"
    content = json.loads(path.read_text())
    content["properties"]["proj:shape"] = [100, 99]
    path.write_text(json.dumps(content))
    (line,) = wrong()
    assert "good.zarr: proj:shape is [100, 100], its item states [100, 99]" in line


@pytest.mark.parametrize("at", [40, 200, 400])
def test_a_coordinate_that_changed(folder: Path, wrong: Wrong, at: int) -> None:
    """Coordinates are compared with the grid, whether or not their chunks have a checksum."""
    lat = zarr.open_array(folder / "data" / "good.zarr" / "lat", mode="r+")
    lat[at // 8] = np.asarray(lat[at // 8]) + 0.0005
    lines = wrong()
    assert all("good.zarr" in line and "lat" in line for line in lines)


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_a_chunk_of_a_coordinate_that_is_flipped_or_gone(
    folder: Path, wrong: Wrong, name: str
) -> None:
    chunk = folder / "data" / "good.zarr" / name / "c" / "0"
    flip(chunk)
    (line,) = wrong()
    assert "good.zarr" in line
    # A cube is up to date although it is damaged: the command that repairs it is named.
    assert re.search(r"; build it again: stacbuild cube \S+ good --force$", line)
    chunk.unlink()
    (line,) = wrong()
    assert name in line


# --- the catalog ---------------------------------------------------------------------------------


def test_an_item_without_its_cube(folder: Path, wrong: Wrong) -> None:
    shutil.rmtree(folder / "data" / "good.zarr")
    (line,) = wrong()
    assert f"{folder}/data/good.zarr: is in the catalog, but the cube does not exist" in line


def test_a_cube_without_its_item(folder: Path, wrong: Wrong, command: Run) -> None:
    shutil.rmtree(folder / "catalogs" / "c")
    root = folder / "catalogs" / "catalog.json"
    content = json.loads(root.read_text())
    content["links"] = [link for link in content["links"] if "./c/" not in link["href"]]
    root.write_text(json.dumps(content))
    lines = wrong()
    assert len(lines) == 2
    assert all("names this cube; build it again" in line for line in lines)
    # It takes the configuration to know where cubes are.
    command("validate", "--catalog", folder / "catalogs")


def test_a_cube_that_is_not_built_yet_is_no_damage(folder: Path, command: Run) -> None:
    later = "- {identifier: later, store: local, data_id: good.tif, grid_mapping: tiles}"
    config = folder / "c_config.yml"
    config.write_text(config.read_text().replace("datasets:\n", f"datasets:\n{later}\n"))
    done = command("validate", folder / "c_config.yml")
    assert "later: is not built yet" in done.stderr


def test_an_item_whose_file_is_gone(folder: Path, wrong: Wrong) -> None:
    (folder / "src" / "good.tif").unlink()
    shutil.rmtree(folder / "src" / "ages.zarr")
    lines = wrong()
    assert len(lines) == 2
    assert f"{folder}/src/good.tif: is in the catalog, but there is no such file" in "".join(lines)
    assert f"{folder}/src/ages.zarr: no Zarr group is there" in "".join(lines)


def test_json_that_is_cut_off(folder: Path, wrong: Wrong) -> None:
    item = folder / "catalogs" / "c" / "good" / "good.json"
    item.write_text(item.read_text()[:200])
    lines = wrong()
    assert f"error: catalog: {item}: is not JSON" in lines[0]


@pytest.mark.parametrize(
    "name", ["catalog.json", "c/collection.json", "c/good/good.json", "file-src/good/good.json"]
)
def test_a_file_of_the_catalog_that_is_gone(folder: Path, name: str, command: Run) -> None:
    path = folder / "catalogs" / name
    path.unlink()
    code = DAMAGED if name != "catalog.json" else MissingError.exit_code
    lines = command("validate", folder / "c_config.yml", code=code).errors
    assert any(str(path) in line for line in lines)


def test_a_file_that_nothing_links_to(folder: Path, wrong: Wrong) -> None:
    shutil.copytree(folder / "catalogs" / "c" / "good", folder / "catalogs" / "c" / "more")
    (line,) = wrong()
    assert "more/good.json: nothing in the catalog links to it" in line


def test_a_catalog_with_a_cycle(folder: Path, wrong: Wrong) -> None:
    path = folder / "catalogs" / "catalog.json"
    content = json.loads(path.read_text())
    content["links"].append({"rel": "child", "href": "./catalog.json"})
    path.write_text(json.dumps(content))
    (line,) = wrong()
    assert "more than once" in line


def test_unknown_names(folder: Path, command: Run) -> None:
    (line,) = command("validate", folder / "c_config.yml", "god", code=2).errors
    assert "there is no cube 'god'; there are: " in line
    with pytest.raises(ConfigError):
        validate(folder / "catalogs", names=["god"])
    with pytest.raises(MissingError):
        validate(folder / "nowhere")


# --- sources -------------------------------------------------------------------------------------


def test_a_file_that_was_written_to(folder: Path, wrong: Wrong, command: Run) -> None:
    path = folder / "src" / "good.tif"
    flip(path)
    (line,) = wrong()
    assert line.startswith(f"error: file-src/good: {path}: was written at ")
    path.write_bytes(path.read_bytes() + b"x")
    (line,) = wrong()
    assert "bytes" in line
    # Harvested again, all is well; whether the cube is, the plan tells.
    command("harvest", folder / "c_config.yml")
    command("validate", folder / "c_config.yml")


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_file_with_a_checksum(folder: Path, wrong: Wrong, kind: str, command: Run) -> None:
    source = folder / "src" / "good.tif"
    path = folder / "catalogs" / "file-src" / "good" / "good.json"
    content = json.loads(path.read_text())
    digest = hashlib.new(kind, source.read_bytes()).hexdigest()
    stated = multihash_md5(digest) if kind == "md5" else f"1220{digest}"
    content["assets"]["data"]["file:checksum"] = stated
    path.write_text(json.dumps(content))
    os.utime(source)
    command("validate", folder / "c_config.yml", "--deep")
    flip(source)
    command("validate", folder / "c_config.yml")
    (line,) = wrong("--deep")
    assert f"{source}: its {kind} is " in line
    assert digest in line


def test_a_chunk_of_a_source_that_is_gone(folder: Path, wrong: Wrong) -> None:
    (folder / "src" / "ages.zarr" / "age" / "c" / "0" / "1").unlink()
    (line,) = wrong()
    assert f"error: file-src/ages: {folder}/src/ages.zarr: age has 8 chunks of " in line
    assert ", 9 of " in line


def test_remote_sources_are_asked_only_if_told_to(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.put("src/good.tif", geotiff(tmp_path / "good.tif").read_bytes(), "sources-1")
    ages(tmp_path / "ages.zarr", 2)
    for path in (tmp_path / "ages.zarr").rglob("*"):
        if path.is_file():
            key = f"src/{path.relative_to(tmp_path).as_posix()}"
            s3_server.put(key, path.read_bytes(), "sources-1")
    options = {"anon": True, "endpoint_url": s3_server.url}
    params = {"root": "sources-1/src", "storage_options": options}
    store = {"identifier": "local", "store_id": "s3", "store_params": params}
    grids = [TILES | {"tile_size": 40}]
    config = configuration(tmp_path / "here", CUBES, [store], grids=grids)
    stacbuild("cube", config)
    s3_server.reset()
    done = stacbuild("validate", config, "--deep")
    assert "2 remote ones not checked" in done.stdout
    assert s3_server.log == []
    stacbuild("validate", config, "--remote")
    assert s3_server.log != []
    s3_server.fail(r"good\.tif|ages\.zarr", status=404, times=-1)
    lines = errors(stacbuild("validate", config, "--remote", code=3))
    assert len(lines) == 2


# --- where cubes are -----------------------------------------------------------------------------


@pytest.fixture
def on_s3(tmp_path: Path, s3_server: S3Server) -> tuple[Path, str, S3Server]:
    config = described(tmp_path, CUBES[:1], storage=bucket(s3_server, "validate-1"))
    # In a process of its own, as below: connections to S3 end with it.
    stacbuild("cube", config)
    item = json.loads((tmp_path / "catalogs" / "c" / "good" / "good.json").read_text())
    name = item["assets"]["data"]["href"].rpartition("/")[2]
    return config, f"cubes/{name}", s3_server


def test_a_cube_in_a_bucket(on_s3: tuple[Path, str, S3Server]) -> None:
    config, name, server = on_s3
    # With the credentials of the configuration, and without any.
    ways = [[config], ["--catalog", config.parent / "catalogs"]]
    for words in ways:
        done = stacbuild("validate", *words)
        assert done.stdout.startswith("all well: 1 cube of 9 chunks")
    fs = fsspec.filesystem("s3", key="testing", secret="testing", endpoint_url=server.url)
    key = f"validate-1/{name}/good/c"
    chunk = bytearray(fs.cat(f"{key}/1/1"))
    chunk[-30] ^= 1
    fs.pipe(f"{key}/1/1", bytes(chunk))
    fs.rm(f"{key}/0/0")
    for words in ways:
        done = stacbuild("validate", *words, "--deep", code=DAMAGED)
        missing, flipped = errors(done)
        assert "1 of 9 chunks are missing: c/0/0 [" in missing
        assert "1 of 9 chunks are damaged: c/1/1 [" in flipped


def test_a_bucket_that_does_not_answer_is_no_damage(on_s3: tuple[Path, str, S3Server]) -> None:
    config, name, server = on_s3
    server.fail(f"{name}/good/c/1/1", status=403, times=-1)
    (line,) = errors(stacbuild("validate", config, "--deep", code=3))
    assert "chunk c/1/1 of good" in line


def test_cubes_in_memory(tmp_path: Path) -> None:
    storage = {"store_id": "memory", "store_params": {"root": "of-validate"}}
    config = load_config(made(tmp_path, CUBES[:1], storage=storage))
    checks = validate(tmp_path / "catalogs", config, deep=True)
    assert all(check.well for check in checks)
    fs = fsspec.filesystem("memory")
    fs.rm("/of-validate/good.zarr/good/c/0/1")
    checks = validate(tmp_path / "catalogs", config)
    (bad,) = [check for check in checks if not check.well]
    assert bad.found.damaged == {"good": ["c/0/1"]}
    # Another process has another memory.
    done = stacbuild("validate", config.path)
    assert "is not in the memory of this process" in done.stderr
    fs.rm("/of-validate", recursive=True)


def test_a_named_cube_is_checked_without_reading_the_items_of_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(folder / "catalogs")
    put(catalog, *(an_item(number, catalog.root) for number in range(COUNT)))
    let_time_pass(catalog.root)
    with counted_reads(monkeypatch) as reads:
        checks = validate(catalog.root, names=["good"])
        assert reads("i_") == 0
    assert [(check.kind, check.well) for check in checks] == [
        ("catalog", True),
        ("cube", True),
        ("source", True),
    ]
    # Their files do not exist.
    assert sum(not check.well for check in validate(catalog.root)) == COUNT
