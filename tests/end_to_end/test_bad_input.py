"""Whatever is wrong: one line that names it, the right exit code, and all else is built."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from tests.standins.clms import ClmsServer
from tests.standins.s3 import S3Server
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import (
    Json,
    catalogued,
    check_left,
    command,
    configuration,
    errors,
    geotiff,
    stacbuild,
)
from tests.support.clms import FILE, SLUG, product, two_tiles

REMOTE, DAMAGED, LOCAL, AUTH = 3, 4, 5, 7
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
GOOD = {"identifier": "good", "store": "local", "data_id": "good.tif"}
PAGE = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}

Run = Callable[..., str]


@pytest.fixture
def fails(tmp_path: Path) -> Run:
    """Build a good cube and one that cannot be; give the one line that says why not."""

    def run(
        code: int,
        bad: Json,
        *stores: Json,
        also: Sequence[Json] = (),
        env: Mapping[str, str] | None = None,
        **sections: Any,
    ) -> str:
        geotiff(tmp_path / "src" / "good.tif")
        datasets = [{"identifier": "bad", "store": "source"} | bad, *also, GOOD]
        config = configuration(tmp_path, datasets, [SOURCE, *stores], **sections)
        done = stacbuild("cube", config, code=code, env=env)
        built = ["good", *(each["identifier"] for each in also)]
        assert len(done.stdout.splitlines()) == len(built)
        check_left(tmp_path, built)
        (line,) = errors(done)
        assert line.startswith("error: bad: ")
        # The whole of it stands in the table, too, and nothing of a stack.
        assert 'File "' not in done.stderr
        return line.removeprefix("error: bad: ")

    return run


# --- Zenodo --------------------------------------------------------------------------------------


def archive(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def zenodo(zenodo_server: ZenodoServer, tmp_path: Path) -> ZenodoServer:
    whole = geotiff(tmp_path / "remote" / "whole.tif")
    packed = archive(
        tmp_path / "remote" / "land.zip", {"land/cover.tif": whole.read_bytes(), "read.me": b"x"}
    )
    files = {"whole.tif": whole, "land.zip": packed}
    zenodo_server.records["1234567"] = Record("1234567", "Cover", files)
    return zenodo_server


def record(server: ZenodoServer, number: str = "1234567", name: str = "source") -> Json:
    params = {"root": number, "endpoint_url": server.api}
    return {"identifier": name, "store_id": "zenodo", "store_params": params}


def test_unknown_record(fails: Run, zenodo: ZenodoServer) -> None:
    line = fails(REMOTE, {"data_id": "whole.tif"}, record(zenodo, "7654321"))
    assert f"{zenodo.api}/records/7654321" in line
    assert "not found" in line


def test_unknown_file_of_a_record(fails: Run, zenodo: ZenodoServer) -> None:
    other = {"identifier": "other", "store": "source", "data_id": "whole.tif"}
    line = fails(REMOTE, {"data_id": "hole.tif"}, record(zenodo), also=[other])
    assert "zenodo 1234567" in line
    assert "'hole.tif'" in line
    assert "did you mean 'whole.tif'" in line


def test_unknown_member_of_an_archive(fails: Run, zenodo: ZenodoServer) -> None:
    other = {"identifier": "other", "store": "source", "data_id": "land/cover.tif"}
    line = fails(REMOTE, {"data_id": "land/over.tif"}, record(zenodo), also=[other])
    assert "land.zip has no 'land/over.tif'" in line
    assert "did you mean 'land/cover.tif'" in line


def test_one_bad_name_keeps_no_other_out_of_the_catalog(
    tmp_path: Path, zenodo: ZenodoServer
) -> None:
    datasets = [
        {"identifier": name, "store": "source", "data_id": data_id}
        for name, data_id in (("bad", "hole.tif"), ("one", "whole.tif"), ("two", "land/cover.tif"))
    ]
    config = configuration(tmp_path, datasets, [record(zenodo)])
    done = stacbuild("harvest", config, code=REMOTE)
    assert "'hole.tif'" in errors(done)[0]
    items = (tmp_path / "catalogs" / "zenodo-1234567").rglob("*/*.json")
    assert {path.stem for path in items} == {"whole", "land-cover"}


def test_a_web_page_where_json_was_due_from_zenodo(fails: Run, zenodo: ZenodoServer) -> None:
    zenodo.fail("/records/1234567$", times=-1, body=PAGE, headers=HTML)
    line = fails(REMOTE, {"data_id": "whole.tif"}, record(zenodo))
    assert f"{zenodo.api}/records/1234567" in line
    assert "HTML" in line


def test_a_download_that_is_not_what_its_md5_says(
    fails: Run, zenodo: ZenodoServer, tmp_path: Path
) -> None:
    known = zenodo.records["1234567"]
    zenodo.records["1234567"] = Record(
        "1234567", "Cover", known.files, checksums={"land.zip": "0" * 32}
    )
    line = fails(DAMAGED, {"data_id": "land/cover.tif"}, record(zenodo))
    assert "land.zip" in line
    assert "md5" in line
    assert "0" * 32 in line
    assert hashlib.md5(known.files["land.zip"].read_bytes()).hexdigest() in line
    cache = tmp_path / "zenodo_cache"
    assert not [path for path in cache.rglob("*") if path.suffix in (".zip", ".tif")]


def test_a_tiff_that_is_cut_off_in_its_archive(
    fails: Run, zenodo: ZenodoServer, tmp_path: Path
) -> None:
    whole = geotiff(tmp_path / "whole.tif").read_bytes()
    packed = archive(tmp_path / "cut.zip", {"cut/a.tif": whole[: len(whole) // 2]})
    zenodo.records["1"] = Record("1", "Cut", {"cut.zip": packed})
    line = fails(DAMAGED, {"data_id": "cut/a.tif"}, record(zenodo, "1"))
    assert "a.tif" in line
    assert "cut" in line


def hostile_zip(path: Path, name: str) -> Path:
    info = zipfile.ZipInfo(name)
    if name == "link":
        info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, b"../../escaped")
    return path


def hostile_tar(path: Path, name: str) -> Path:
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo(name)
        if name == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "../../escaped"
            file.addfile(info)
        else:
            info.size = 4
            file.addfile(info, io.BytesIO(b"evil"))
    return path


@pytest.mark.parametrize("name", ["../../../escaped.tif", "/tmp/stacbuild-escaped.tif", "link"])
@pytest.mark.parametrize(("kind", "make"), [("zip", hostile_zip), ("tar.gz", hostile_tar)])
def test_an_archive_that_leaves_its_folder(
    fails: Run, zenodo: ZenodoServer, tmp_path: Path, name: str, kind: str, make: Any
) -> None:
    packed = make(tmp_path / f"evil.{kind}", name)
    zenodo.records["1"] = Record("1", "Evil", {f"evil.{kind}": packed})
    preload = [{"store": "source", "data_ids": [f"evil.{kind}"]}]
    line = fails(DAMAGED, {"data_id": "evil/a.tif"}, record(zenodo, "1"), preload_datasets=preload)
    assert f"evil.{kind}" in line
    assert not list(tmp_path.rglob("*escaped*"))
    assert not Path("/tmp/stacbuild-escaped.tif").exists()
    assert not list((tmp_path / "zenodo_cache").rglob("link"))


# --- CLMS ----------------------------------------------------------------------------------------


@pytest.fixture
def clms(tmp_path: Path) -> Iterator[ClmsServer]:
    (tmp_path / "remote").mkdir(exist_ok=True)
    with ClmsServer(product(two_tiles(tmp_path / "remote" / "delivery.zip"))) as server:
        yield server


def portal(server: ClmsServer, **params: Any) -> Json:
    params = {"endpoint_url": server.api, "credentials": "me.json"} | params
    return {"identifier": "source", "store_id": "clms", "store_params": params}


def test_unknown_slug(fails: Run, clms: ClmsServer, tmp_path: Path) -> None:
    clms.write_credentials(tmp_path / "me.json")
    line = fails(REMOTE, {"data_id": f"forest-typ-2015|{FILE}"}, portal(clms))
    assert "no product 'forest-typ-2015'" in line
    assert f"did you mean '{SLUG}'" in line


def test_unknown_file_of_a_product(fails: Run, clms: ClmsServer, tmp_path: Path) -> None:
    clms.write_credentials(tmp_path / "me.json")
    line = fails(REMOTE, {"data_id": f"{SLUG}|{FILE[:-1]}5"}, portal(clms))
    assert f"product '{SLUG}' has no file '{FILE[:-1]}5'" in line
    assert f"did you mean '{FILE}'" in line


def test_a_web_page_where_json_was_due_from_clms(
    fails: Run, clms: ClmsServer, tmp_path: Path
) -> None:
    clms.write_credentials(tmp_path / "me.json")
    clms.fail("@search", times=-1, body=PAGE, headers=HTML)
    line = fails(REMOTE, {"data_id": f"{SLUG}|{FILE}"}, portal(clms))
    assert f"{clms.api}/@search" in line
    assert "HTML" in line


def test_no_credentials_file(fails: Run, clms: ClmsServer, tmp_path: Path) -> None:
    line = fails(AUTH, {"data_id": f"{SLUG}|{FILE}"}, portal(clms))
    assert f"{tmp_path / 'me.json'}: cannot be read" in line


def test_credentials_that_are_not_named(fails: Run, clms: ClmsServer) -> None:
    line = fails(AUTH, {"data_id": f"{SLUG}|{FILE}"}, portal(clms, credentials=None))
    assert "store_params.credentials" in line


@pytest.mark.parametrize("field", ["client_id", "user_id", "token_uri", "private_key"])
def test_credentials_without_a_field(
    fails: Run, clms: ClmsServer, tmp_path: Path, field: str
) -> None:
    content = clms.credentials()
    del content[field]
    (tmp_path / "me.json").write_text(json.dumps(content))
    line = fails(AUTH, {"data_id": f"{SLUG}|{FILE}"}, portal(clms))
    assert f"{tmp_path / 'me.json'}: {field}: missing" in line


def test_credentials_that_are_refused(fails: Run, clms: ClmsServer, tmp_path: Path) -> None:
    with ClmsServer() as other:
        wrong = clms.credentials() | {"private_key": other.credentials()["private_key"]}
    (tmp_path / "me.json").write_text(json.dumps(wrong))
    line = fails(AUTH, {"data_id": f"{SLUG}|{FILE}"}, portal(clms))
    assert str(tmp_path / "me.json") in line
    assert f"{clms.token_uri} refused" in line
    for canary in wrong["private_key"].split("\n")[1:-2]:
        assert canary not in line


@pytest.mark.parametrize("status", ["Rejected", "Finished_nok", "Cancelled"])
def test_a_request_that_fails(fails: Run, clms: ClmsServer, tmp_path: Path, status: str) -> None:
    clms.write_credentials(tmp_path / "me.json")
    clms.script = ("Queued", status)
    line = fails(REMOTE, {"data_id": f"{SLUG}|{FILE}"}, portal(clms))
    assert f"{SLUG}|{FILE}" in line
    assert f"the status at the CLMS is {status}" in line
    assert not list((tmp_path / "clms_cache").rglob("task.json")), "the next run is to ask anew"


# --- S3, the web, folders ------------------------------------------------------------------------


def bucket(url: str, root: str, **options: Any) -> Json:
    params = {"root": root, "storage_options": {"anon": True, "endpoint_url": url} | options}
    return {"identifier": "source", "store_id": "s3", "store_params": params}


@pytest.mark.parametrize("data_id", ["some/cube.zarr", "some/raster.tif"])
@pytest.mark.parametrize("root", ["no-such-bucket", "bad-input"])
def test_unknown_bucket_or_key(fails: Run, s3_server: S3Server, root: str, data_id: str) -> None:
    s3_server.put("other", b"x", "bad-input")
    line = fails(REMOTE, {"data_id": data_id}, bucket(s3_server.url, root))
    assert f"s3://{root}/{data_id}" in line
    assert s3_server.url in line


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address of this machine where nobody listens; S3 is asked there once and not again."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("data_id", ["some/cube.zarr", "some/raster.tif"])
def test_an_endpoint_where_nobody_listens(fails: Run, nobody: str, data_id: str) -> None:
    line = fails(REMOTE, {"data_id": data_id}, bucket(nobody, "cubes"))
    assert f"s3://cubes/{data_id}" in line
    assert nobody in line


@pytest.mark.parametrize("data_id", ["absent.tif", "absent.zarr"])
def test_a_path_that_is_not_there(fails: Run, tmp_path: Path, data_id: str) -> None:
    line = fails(LOCAL, {"store": "local", "data_id": data_id})
    assert str(tmp_path / "src" / data_id) in line


def test_a_path_that_leads_out_of_its_store(tmp_path: Path) -> None:
    config = configuration(tmp_path, [GOOD | {"data_id": "../src/good.tif"}], [SOURCE])
    (line,) = errors(stacbuild("cube", config, code=2))
    assert f"{config}:5:12: datasets.0.data_id: '../src/good.tif' has to be relative" in line


def test_a_tiff_that_is_cut_off(fails: Run, tmp_path: Path) -> None:
    path = geotiff(tmp_path / "src" / "cut.tif")
    path.write_bytes(path.read_bytes()[:-100])
    line = fails(DAMAGED, {"store": "local", "data_id": "cut.tif"})
    assert str(path) in line


def test_a_tiff_without_a_coordinate_system(fails: Run, tmp_path: Path) -> None:
    path = geotiff(tmp_path / "src" / "nowhere.tif", crs=None)
    line = fails(DAMAGED, {"store": "local", "data_id": "nowhere.tif"})
    assert f"{path}: has no coordinate reference system" in line


def test_a_file_that_only_says_it_is_a_tiff(fails: Run, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    vrt = f"<VRTDataset><SourceFilename>{tmp_path}/x.tif</SourceFilename></VRTDataset>"
    (tmp_path / "src" / "vrt.tif").write_text(vrt)
    line = fails(DAMAGED, {"store": "local", "data_id": "vrt.tif"})
    assert "vrt.tif: is not a TIFF" in line


# --- grids ---------------------------------------------------------------------------------------


def test_a_box_outside_the_data(fails: Run, tmp_path: Path) -> None:
    far = {"identifier": "far", "bbox": [100, 10, 100.1, 10.1], "spatial_res": 0.01}
    line = fails(
        1,
        {"store": "local", "data_id": "good.tif", "grid_mapping": "far"},
        grids=[far | {"crs": "EPSG:4326"}],
    )
    assert "good.tif: bbox [100.0, 10.0, 100.1, 10.1] (EPSG:4326) lies outside the data" in line
    assert "which covers [9.99, 44.99, 10.11, 45.11]" in line


def test_a_bbox_outside_the_grid(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    config = configuration(tmp_path, [GOOD], [SOURCE])
    done = stacbuild("cube", config, "--bbox", "1,1,2,2", code=2)
    (line,) = errors(done)
    assert (
        "bbox [1.0, 1.0, 2.0, 2.0] contains no pixel centre of the grid, which covers [10.0, 45.0,"
        in line
    )
    check_left(tmp_path, [])


@pytest.mark.parametrize(
    ("key", "value", "row", "expected"),
    [
        ("crs", "EPSG:999999", 23, "not a coordinate reference system that the installed PROJ"),
        ("crs", "nonsense", 23, "is not an EPSG code"),
        ("crs", "EPSG:4978", 23, "has no two horizontal axes"),
        ("spatial_res", 0, 22, "more than 0"),
        ("spatial_res", -1, 22, "more than 0"),
        ("spatial_res", float("nan"), 22, "finite"),
        ("spatial_res", "fine", 22, "number"),
        ("spatial_res", 5, 18, "less than one pixel of 5"),
        ("spatial_res", 1e-12, 18, "too many"),
        ("bbox", [10.1, 45, 10, 45.1], 18, "west (10.1) has to be less than east"),
        ("bbox", [10, 45.1, 10.1, 45], 18, "south (45.1) has to be less than north"),
        ("bbox", [10, 45, 10.1], 18, "four numbers"),
        ("bbox", [10, 45, 10.1, float("inf")], 21, "finite"),
        ("bbox", [4e6, 2e6, 4.1e6, 2.1e6], 18, "in degrees"),
        ("tile_size", 0, 24, "a whole number, 1 or more"),
    ],
)
def test_a_grid_that_makes_no_sense(
    tmp_path: Path, key: str, value: object, row: int, expected: str
) -> None:
    config = configuration(tmp_path, [GOOD], [SOURCE])
    content = yaml.safe_load(config.read_text())
    content["grid_mappings"][0][key] = value
    config.write_text(yaml.safe_dump(content, sort_keys=False))
    (line,) = errors(stacbuild("cube", config, code=2))
    place = re.escape(f"error: {config}:{row}:")
    found = re.match(rf"{place}\d+: grid_mappings\.0\.({key}|bbox)(\.\d)?: (.*)", line)
    assert found
    assert expected in found[3]
    assert not (tmp_path / "catalogs").exists()


def test_metres_in_a_grid_of_metres_elsewhere(tmp_path: Path) -> None:
    far = {"identifier": "far", "bbox": [10, 45, 11, 46], "spatial_res": 0.1, "crs": "EPSG:3035"}
    config = configuration(tmp_path, [GOOD | {"grid_mapping": "far"}], [SOURCE], grids=[far])
    (line,) = errors(stacbuild("cube", config, code=2))
    assert "grid_mappings.1.bbox" in line
    assert "check the units" in line


# --- custom processing ---------------------------------------------------------------------------

CUSTOM = """\
import xarray as xr

def raises(ds):
    values = ds["band_data"]
    return values["no such coordinate"]

def gives_none(ds):
    ds.mean()

def gives_array(ds):
    return ds["band_data"]

def gives_nothing(ds):
    return xr.Dataset()

def averages(ds):
    return ds.mean(("y", "x"))

def cuts(ds):
    return ds.isel(y=slice(3))

def exits(ds):
    raise SystemExit(0)

def raises_later(ds):
    def late(values):
        raise ValueError("late\\nand wrong")
    return xr.apply_ufunc(late, ds, dask="parallelized", output_dtypes=["uint8"])
"""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("raises", "modify.py:raises raised KeyError at modify.py:5"),
        ("gives_none", "modify.py:gives_none returned a NoneType"),
        ("gives_array", "modify.py:gives_array returned a DataArray"),
        ("gives_nothing", "keep the two spatial dimensions"),
        ("averages", "keep the two spatial dimensions"),
        ("cuts", "y has 3 pixels, the grid 100"),
        ("exits", "modify.py:exits raised SystemExit at modify.py:23"),
        ("raises_later", "late and wrong"),
    ],
)
def test_a_custom_function(fails: Run, tmp_path: Path, function: str, expected: str) -> None:
    (tmp_path / "modify.py").write_text(CUSTOM)
    custom = {"module_path": "modify", "function_name": function}
    bad = {"store": "local", "data_id": "good.tif", "custom_processing": custom}
    line = fails(1, bad)
    assert expected in line


def test_a_module_that_does_not_load(fails: Run, tmp_path: Path) -> None:
    (tmp_path / "modify.py").write_text("def same(ds):\n    return ds\n\nimport no_such_package\n")
    custom = {"module_path": "modify", "function_name": "same"}
    line = fails(1, {"store": "local", "data_id": "good.tif", "custom_processing": custom})
    assert "modify.py: cannot be imported: ModuleNotFoundError at modify.py:4" in line


@pytest.mark.parametrize(
    ("module", "key"), [("absent", "module_path"), ("modify", "function_name")]
)
def test_a_module_or_function_that_is_not_there(tmp_path: Path, module: str, key: str) -> None:
    (tmp_path / "modify.py").write_text(CUSTOM)
    custom = {"module_path": module, "function_name": "missing"}
    config = configuration(tmp_path, [GOOD | {"custom_processing": custom}], [SOURCE])
    (line,) = errors(stacbuild("cube", config, code=2))
    assert f"datasets.0.custom_processing.{key}: " in line
    assert f"{module}.py" in line
    check_left(tmp_path, [])


# --- the command ---------------------------------------------------------------------------------


def test_a_folder_for_cubes_that_cannot_be_written(tmp_path: Path) -> None:
    # Not a question of permissions, so that it also fails for root.
    (tmp_path / "data").write_text("in the way")
    geotiff(tmp_path / "src" / "good.tif")
    done = stacbuild("cube", configuration(tmp_path, [GOOD], [SOURCE]), code=LOCAL)
    (line,) = errors(done)
    assert f"{tmp_path / 'data'}" in line
    assert (tmp_path / "data").read_text() == "in the way"
    assert catalogued(tmp_path / "catalogs") == []


def test_a_folder_for_the_catalog_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "catalogs").write_text("in the way")
    geotiff(tmp_path / "src" / "good.tif")
    done = stacbuild("cube", configuration(tmp_path, [GOOD], [SOURCE]), code=LOCAL)
    (line,) = errors(done)
    assert f"{tmp_path / 'catalogs'}" in line
    check_left_data = list((tmp_path / "data").glob("*")) if (tmp_path / "data").exists() else []
    assert check_left_data == []


def test_unknown_names_on_the_command_line(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    config = configuration(tmp_path, [GOOD], [SOURCE])
    (line,) = errors(stacbuild("cube", config, "god", code=2))
    assert "there is no dataset 'god'" in line
    assert "good" in line
    (line,) = errors(stacbuild("harvest", config, "--store", "locl", code=2))
    assert "store 'locl'" in line
    assert "local" in line
    assert not (tmp_path / "catalogs").exists()


def test_an_unknown_variable(fails: Run, tmp_path: Path) -> None:
    lat, lon = 45.15 - 0.001 * np.arange(200), 9.95 + 0.001 * np.arange(200)
    (tmp_path / "src").mkdir()
    xr.Dataset(
        {"age": (("lat", "lon"), np.ones((200, 200), np.float32))}, {"lat": lat, "lon": lon}
    ).to_zarr(tmp_path / "src" / "ages.zarr", zarr_format=2)
    params = {"interp_methods": {"aeg": "nearest"}}
    bad = {"store": "local", "data_id": "ages.zarr", "spatial_resample_params": params}
    line = fails(1, bad)
    assert "'aeg'" in line
    assert "age" in line


# --- secrets -------------------------------------------------------------------------------------

CANARY = "CANARY-6f1d"


def test_no_secret_is_ever_shown(
    tmp_path: Path, s3_server: S3Server, zenodo: ZenodoServer, clms: ClmsServer, nobody: str
) -> None:
    credentials = clms.credentials() | {
        name: f"{CANARY}-{name}" for name in ("client_id", "user_id", "key_id", "private_key")
    }
    secret = {"anon": False, "key": f"{CANARY}-key", "secret": f"{CANARY}-secret"}
    stores = [
        SOURCE,
        {**bucket(s3_server.url, "no-such-bucket", **secret), "identifier": "refused"},
        {**bucket(nobody, "cubes", **secret), "identifier": "silent"},
        record(zenodo, name="zenodo"),
        {**portal(clms, credentials=credentials), "identifier": "clms"},
    ]
    stores[3]["store_params"]["access_token"] = f"{CANARY}-token"
    wanted = {
        "a": ("refused", "a.zarr"),
        "b": ("silent", "b.tif"),
        "c": ("zenodo", "c.tif"),
        "d": ("clms", f"{SLUG}|{FILE}"),
        "e": ("zenodo", "whole.tif"),
    }
    datasets = [
        {"identifier": name, "store": store, "data_id": data_id}
        for name, (store, data_id) in wanted.items()
    ]
    config = configuration(tmp_path, datasets, stores)
    # Without a preload nobody has to know the user of the CLMS to harvest.
    for code, failed, words in (
        (1, "abcd", ("cube", config)),
        (REMOTE, "abc", ("harvest", config)),
        (1, "abcd", ("--debug", "cube", config)),
    ):
        if words[0] == "--debug":
            # Shows where errors come from, which `stacbuild` allows no run to.
            done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
            assert done.returncode == code
        else:
            done = stacbuild(*words, code=code)
        assert len(errors(done)) == len(failed)
        assert CANARY not in done.stdout + done.stderr
    for path in (*(tmp_path / "catalogs").rglob("*"), *(tmp_path / "data").rglob("*")):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
