"""The stand-ins speak the real protocols, and what they serve is what ``truth`` says."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import pytest
import rasterio
import requests
import s3fs
import xarray as xr
import yaml
from pyproj import Transformer
from rasterio.windows import Window

from tests.standins import (
    BUCKET,
    DEMO_BOX,
    GAMI_KEY,
    ClmsServer,
    Data,
    Endpoints,
    Record,
    Servers,
    ZenodoServer,
    demo_config,
    expected,
    truth,
    window,
)
from tests.standins.clms import GRANT
from tests.standins.demo import ROOT
from tests.standins.zenodo import RDM

RASTERS = [each for each in truth.LAYERS if each.source in ("senf", "liu")]
COVER = "planet_canopy_cover_30m_v0.1.tif"


@pytest.fixture(scope="module")
def rasters(standin_data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of the GeoTIFFs of senf (unpacked) and liu by variable."""
    into = tmp_path_factory.mktemp("france")
    with zipfile.ZipFile(standin_data.zenodo["13333034"]["france.zip"]) as archive:
        archive.extractall(into)
    return {
        each.variable: into / each.data_id
        if each.source == "senf"
        else standin_data.zenodo["8154445"][each.file_name]
        for each in RASTERS
    }


# --- data ---


@pytest.mark.parametrize("layer", RASTERS, ids=lambda each: each.variable)
def test_rasters_hold_the_truth(rasters: dict[str, Path], layer: truth.Layer) -> None:
    rows, cols = window(layer, DEMO_BOX)
    # Over the corner of the window, so that the fill outside it is seen too.
    part = Window(cols.stop - 150, rows.stop - 140, 200, 190)
    row = np.arange(rows.stop - 140, rows.stop + 50)[:, None]
    col = np.arange(cols.stop - 150, cols.stop + 50)[None, :]
    with rasterio.open(rasters[layer.variable], driver="GTiff") as file:
        assert file.crs.to_epsg() == 3035
        assert file.bounds == layer.grid.bounds
        assert (file.count, file.dtypes[0], file.nodata) == (
            layer.bands,
            layer.dtype,
            layer.nodata,
        )
        assert not file.overviews(1)
        for band in {1, layer.bands // 2 + 1, layer.bands}:
            read = file.read(band, window=part)
            np.testing.assert_array_equal(read, expected(layer, DEMO_BOX, row, col, band))
            assert read.dtype == layer.dtype
            assert len(np.unique(read)) > 1


def test_values_look_like_the_real_ones() -> None:
    row, col = np.arange(600)[:, None], np.arange(600)[None, :]
    codes = {
        "annual_disturbances": {0, 1, 255},
        "disturbance_agent": {0, 1, 2, 3, 255},
        "disturbance_agent_aggregated": {0, 1, 2, 3, 4, 255},
        "forest_mask": {0, 1},
        "number_disturbances": {0, 1, 2},
        "dominant_leaf_type": {0, 1, 2, 254, 255},
        "forest_type": {0, 1, 2, 254, 255},
        "tree_cover_density": {*range(101), 254, 255},
        "disturbance_probability": {*range(101), 255},
        "canopy_cover": {*range(101)},
        "latest_disturbance": {0, *range(1985, 2024)},
        "forest_age": {-9999, *range(1, 301)},
    }
    for variable, allowed in codes.items():
        found = set(np.unique(truth.layer(variable).value(row, col, 7)).tolist())
        assert found <= allowed, variable
        assert len(found) >= min(len(allowed), 20), variable


def test_annual_files_are_stored_in_both_ways(rasters: dict[str, Path]) -> None:
    seen = []
    for variable in sorted(rasters):
        with rasterio.open(rasters[variable]) as file:
            if file.count == truth.YEARS:
                assert (file.scales[38], file.offsets[38], file.nodata) == (1.0, 0.0, 255.0)
                seen.append((file.profile["tiled"], file.block_shapes[0], file.interleaving.name))
    striped, tiled = (False, (1, 36000), "band"), (True, (256, 256), "pixel")
    assert sorted(seen) == [striped, striped, tiled, tiled]


def test_full_sizes_take_little_room(standin_data: Data) -> None:
    paths = [path for path in standin_data.directory.rglob("*") if path.is_file()]
    assert standin_data.zenodo["8154445"][COVER].stat().st_size > 25e9
    assert sum(path.stat().st_blocks * 512 for path in paths) < 300e6
    with rasterio.open(standin_data.zenodo["8154445"][COVER]) as file:
        assert file.shape == (149363, 170397)
        # 2.555e6 … 7.667e6, 1.339e6 … 5.82e6, as published
        assert [round(edge, -3) for edge in file.bounds] == [2.555e6, 1.339e6, 7.667e6, 5.82e6]


def test_the_window_reaches_beyond_the_box() -> None:
    for layer in truth.LAYERS:
        rows, cols = window(layer, DEMO_BOX, 500 if layer.source == "gami" else 256)
        transformer = Transformer.from_crs(4326, layer.grid.epsg, always_xy=True)
        lon, lat = np.meshgrid(np.linspace(-0.7, -0.58, 50), np.linspace(44.1, 44.2, 50))
        row, col = layer.grid.rows_cols(*transformer.transform(lon, lat))
        assert row.min() - 8 >= rows.start
        assert row.max() + 8 < rows.stop
        assert col.min() - 8 >= cols.start
        assert col.max() + 8 < cols.stop
    with pytest.raises(ValueError, match="outside"):
        window(truth.layer("agb"), (100.0, 10.0, 101.0, 11.0))


def test_gami_holds_the_truth_and_reads_no_chunk_to_open(standins: Servers) -> None:
    layer = truth.layer("forest_age")
    store = f"s3://{BUCKET}/{GAMI_KEY}"
    options = {"anon": True, "endpoint_url": standins.s3.url}
    with xr.open_zarr(store, storage_options=options, mask_and_scale=False) as dataset:
        assert dict(dataset.sizes) == {
            "members": 20,
            "latitude": 202500,
            "longitude": 405000,
            "time": 2,
        }
        age = dataset["forest_age"]
        assert (age.dtype, age.encoding["chunks"]) == ("int16", (5, 500, 500, 2))
        assert dataset.attrs["crs"] == "EPSG:4326"
        assert dataset.attrs["_FillValue"] == -9999
        assert dataset["time"].dt.strftime("%Y-%m-%d").values.tolist() == [
            "2010-01-01",
            "2020-01-01",
        ]
        assert float(dataset["latitude"][0]) == pytest.approx(90 - layer.grid.res / 2)
        assert float(dataset["longitude"][-1]) == pytest.approx(180 - layer.grid.res / 2)
        assert standins.s3.chunks_read == []
        assert not any(read.signed for read in standins.s3.log)
        row, col = (int(index) for index in layer.grid.rows_cols(-0.65, 44.15))
        # 400 columns reach over the border of a chunk that exists, into one that does not.
        box = age[[0, 7, 19], row : row + 10, col : col + 400].values
        want = expected(
            layer,
            DEMO_BOX,
            np.arange(row, row + 10)[None, :, None, None],
            np.arange(col, col + 400)[None, None, :, None],
            np.array([0, 7, 19])[:, None, None, None],
            np.arange(2)[None, None, None, :],
        )
        np.testing.assert_array_equal(box, want)
        assert len(standins.s3.chunks_read) > 0


# --- Zenodo ---


def test_record_in_its_default_shape(standins: Servers) -> None:
    api = standins.zenodo.api
    record = requests.get(f"{api}/records/13333034", timeout=10).json()
    assert record["id"] == 13333034
    assert record["metadata"]["license"] == {"id": "cc-by-4.0"}
    assert record["metadata"]["relations"]["version"][0]["is_last"] is True
    [_, france] = record["files"]
    assert france["key"] == "france.zip"
    assert france["links"]["self"] == f"{api}/records/13333034/files/france.zip/content"
    content = requests.get(france["links"]["self"], timeout=60).content
    assert len(content) == france["size"]
    assert f"md5:{_md5(content)}" == france["checksum"]
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert {layer.data_id for layer in truth.layers("senf")} == set(names)


def test_shapes_are_those_of_real_records(standins: Servers, realdata: Path) -> None:
    real = json.loads((realdata / "zenodo/record_3490058_notebookprint.json").read_text())
    ours = requests.get(f"{standins.zenodo.api}/records/8154445", timeout=10).json()
    assert set(ours) == set(real)
    assert set(ours["files"][0]) == set(real["files"][0])
    assert set(ours["links"]) <= set(real["links"])
    assert {"title", "creators", "license", "relations"} <= set(ours["metadata"])
    file = "zenodo/record_4924875_files_endpoint_inveniordm.json"
    real = json.loads((realdata / file).read_text())
    ours = requests.get(f"{standins.zenodo.api}/records/8154445/files", timeout=10).json()
    assert set(ours) == set(real)
    assert set(ours["entries"][0]) == set(real["entries"][0])
    assert set(ours["entries"][0]["links"]) == set(real["entries"][0]["links"])


def test_record_in_the_shape_of_inveniordm(standins: Servers) -> None:
    answer = requests.get(
        f"{standins.zenodo.api}/records/8154445", headers={"Accept": RDM}, timeout=10
    )
    record = answer.json()
    assert record["id"] == "8154445"
    assert record["versions"]["is_latest"] is True
    assert record["metadata"]["creators"][0]["person_or_org"]["name"] == "Liu, Siyu"
    assert record["files"]["entries"][COVER]["links"]["content"].endswith(f"{COVER}/content")


def test_newer_version_is_told_and_found(zenodo_server: ZenodoServer) -> None:
    zenodo_server.records |= {"7": Record("7", "Old", newer="9"), "9": Record("9", "New")}
    record = requests.get(f"{zenodo_server.api}/records/7", timeout=10).json()
    assert record["metadata"]["relations"]["version"][0]["is_last"] is False
    assert requests.get(record["links"]["latest"], timeout=10).json()["id"] == 9


def test_unknown_record_is_json_and_unknown_file_is_html(standins: Servers) -> None:
    answer = requests.get(f"{standins.zenodo.api}/records/1", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    url = f"{standins.zenodo.api}/records/8154445/files/no.tif/content"
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_keys_are_percent_quoted_with_slashes_kept(
    zenodo_server: ZenodoServer, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    zenodo_server.records["7"] = Record("7", "T", {"a b/é#1?.txt": tmp_path / "x"})
    [entry] = requests.get(f"{zenodo_server.api}/records/7", timeout=10).json()["files"]
    assert entry["links"]["self"].endswith("/files/a%20b/%C3%A9%231%3F.txt/content")
    assert requests.get(entry["links"]["self"], timeout=10).content == b"content"


@pytest.fixture
def digits(zenodo_server: ZenodoServer, tmp_path: Path) -> str:
    """URL of a file of the ten digits."""
    (tmp_path / "digits").write_bytes(b"0123456789")
    zenodo_server.records["7"] = Record("7", "T", {"digits": tmp_path / "digits"})
    return f"{zenodo_server.api}/records/7/files/digits/content"


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(digits: str, asked: str, status: int, content: bytes, told: str | None) -> None:
    answer = requests.get(digits, headers={"Range": asked}, timeout=10)
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers.get("Content-Range") == told


def test_head_and_if_range(digits: str) -> None:
    head = requests.head(digits, timeout=10)
    assert (head.headers["Content-Length"], head.content) == ("10", b"")
    headers = {"Range": "bytes=5-", "If-Range": head.headers["ETag"]}
    assert requests.get(digits, headers=headers, timeout=10).status_code == 206
    answer = requests.get(digits, headers=headers | {"If-Range": '"other"'}, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_redirect_leads_to_another_host(zenodo_server: ZenodoServer, digits: str) -> None:
    zenodo_server.redirect = True
    headers = {"Range": "bytes=1-2", "Authorization": "Bearer x"}
    answer = requests.get(digits, headers=headers, timeout=10)
    assert answer.content == b"12"
    assert answer.url.startswith(zenodo_server.second_url)
    first, second = zenodo_server.log
    assert (first.status, first.authorized, second.status) == (302, True, 206)


def test_rate_limit(zenodo_server: ZenodoServer, digits: str) -> None:
    zenodo_server.limit, zenodo_server.retry_after = 2, 3
    answers = [requests.get(digits, timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "3"
    zenodo_server.retry_after = None
    assert "Retry-After" not in requests.get(digits, timeout=10).headers


def test_faults(zenodo_server: ZenodoServer, digits: str) -> None:
    zenodo_server.fail("digits", status=503, times=2)
    zenodo_server.fail("digits", cut_after=4)
    zenodo_server.fail("digits", cut_after=4, reset=True)
    zenodo_server.fail("digits", flip_at=3)
    zenodo_server.fail("digits", ignore_range=True)
    zenodo_server.fail("digits", body=b"<html>busy</html>")
    zenodo_server.fail("digits", bytes_per_second=50)
    assert [requests.get(digits, timeout=10).status_code for _ in range(2)] == [503, 503]
    for _ in range(2):
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(digits, timeout=10)
    flipped = requests.get(digits, headers={"Range": "bytes=2-"}, timeout=10)
    assert flipped.content == b"2\xcc456789"
    whole = requests.get(digits, headers={"Range": "bytes=2-"}, timeout=10)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    page = requests.get(digits, timeout=10)
    assert (page.status_code, page.content) == (200, b"<html>busy</html>")
    began = time.monotonic()
    assert requests.get(digits, timeout=10).content == b"0123456789"
    assert time.monotonic() - began >= 0.1  # a lower bound: a busy machine cannot break it
    assert requests.get(digits, timeout=10).status_code == 200
    assert zenodo_server.requests == 9


def test_describing_25_gb_takes_few_requests(standins: Servers) -> None:
    url = f"{standins.zenodo.api}/records/8154445/files/{COVER}/content"
    with (
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
        rasterio.open(f"/vsicurl/{url}", driver="GTiff") as file,
    ):
        assert file.shape == (149363, 170397)
    assert 0 < standins.zenodo.requests < 20
    assert 0 < standins.zenodo.bytes_sent < 5_000_000


# --- CLMS ---


def _claims(server: ClmsServer, **changed: Any) -> dict[str, Any]:
    credentials, now = server.credentials(), int(time.time())
    return {
        "iss": credentials["client_id"],
        "sub": credentials["user_id"],
        "aud": credentials["token_uri"],
        "iat": now,
        "exp": now + 3600,
        **changed,
    }


def _ask_token(server: ClmsServer, claims: dict[str, Any], key: str) -> requests.Response:
    form = {"grant_type": GRANT, "assertion": jwt.encode(claims, key, "RS256")}
    return requests.post(server.token_uri, data=form, timeout=10)


def _headers(server: ClmsServer) -> dict[str, str]:
    answer = _ask_token(server, _claims(server), server.credentials()["private_key"])
    token = answer.json()["access_token"]
    return {"Accept": "application/json", "Authorization": f"Bearer {token}"}


def test_token_needs_the_right_key_and_claims(standins: Servers) -> None:
    server = standins.clms
    key = server.credentials()["private_key"]
    good = _ask_token(server, _claims(server), key).json()
    assert (good["token_type"], good["expires_in"]) == ("Bearer", 3600)
    now = int(time.time())
    wrong: list[dict[str, Any]] = [
        {"iss": "x"},
        {"sub": "x"},
        {"aud": "x"},
        {"exp": now + 3700},
        {"iat": now - 7200, "exp": now - 3600},
        {"iat": now + 600, "exp": now + 900},
    ]
    for claims in wrong:
        answer = _ask_token(server, _claims(server, **claims), key)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), claims
    with ClmsServer() as other:
        foreign = other.credentials()["private_key"]
    assert _ask_token(server, _claims(server), foreign).status_code == 400


def test_requests_need_a_valid_token(standins: Servers) -> None:
    server = standins.clms
    url = f"{server.api}/@datarequest_search"
    headers = _headers(server)
    assert requests.get(url, headers=headers, timeout=10).json() == {}
    bad = headers | {"Authorization": "Bearer x"}
    assert requests.get(url, headers=bad, timeout=10).status_code == 401
    server.expire_tokens()
    assert requests.get(url, headers=headers, timeout=10).status_code == 401
    assert requests.get(f"{server.api}/@nothing", timeout=10).text.startswith("<!DOCTYPE html>")


def _search(server: ClmsServer) -> list[dict[str, Any]]:
    url: str | None = f"{server.api}/@search"
    query = {
        "portal_type": "DataSet",
        "metadata_fields": ["UID", "downloadable_files", "geographicBoundingBox"],
    }
    parameters: Any = query
    found = []
    while url:
        page = requests.get(url, params=parameters, timeout=10).json()
        assert len(page["items"]) <= 25
        found += page["items"]
        url, parameters = page["batching"].get("next"), None
    assert len(found) == page["items_total"]
    return found


def test_search_is_paged_and_gives_the_fields_asked_for(standins: Servers) -> None:
    found = _search(standins.clms)
    slugs = [item["id"] for item in found]
    assert len(slugs) == len(set(slugs)) > 50
    pages = {slugs.index(slug) // 25 for slug in slugs if slug.endswith("-2015") and "-20" in slug}
    assert len(pages) > 1
    [forest] = [item for item in found if item["id"] == "forest-type-2015"]
    files = {entry["file"] for entry in forest["downloadable_files"]["items"]}
    assert "FTY_2015_020m_eu_03035_d04_E30N20" in files
    assert "temporalExtentStart" not in forest


def _order(server: ClmsServer, *files: str) -> requests.Response:
    wanted = [
        {"DatasetID": item["UID"], "FileID": entry["@id"]}
        for file in files
        for item in _search(server)
        for entry in item["downloadable_files"]["items"]
        if entry["file"] == file
    ]
    assert len(wanted) == len(files)
    return requests.post(
        f"{server.api}/@datarequest_post",
        json={"Datasets": wanted},
        headers=_headers(server),
        timeout=10,
    )


def test_a_request_goes_through_its_statuses_to_a_delivery(standins: Servers) -> None:
    server, layer = standins.clms, truth.layer("tree_cover_density")
    answer = _order(server, layer.file_name)
    assert (answer.status_code, answer.json()["ErrorTaskIds"]) == (201, [])
    [number] = [task["TaskID"] for task in answer.json()["TaskIds"]]
    assert _order(server, layer.file_name).status_code == 400  # refused while it is queued
    url = f"{server.api}/@datarequest_status_get?TaskID={number}"
    headers = _headers(server)
    tasks = [requests.get(url, headers=headers, timeout=10).json() for _ in range(3)]
    assert [task["Status"] for task in tasks] == ["Queued", "In_progress", "Finished_ok"]
    assert "DownloadURL" not in tasks[1]
    every = requests.get(f"{server.api}/@datarequest_search", headers=headers, timeout=10).json()
    assert every[number]["DownloadURL"] == tasks[2]["DownloadURL"]
    content = requests.get(tasks[2]["DownloadURL"], timeout=60).content
    assert len(content) == tasks[2]["FileSize"]
    part = requests.get(tasks[2]["DownloadURL"], headers={"Range": "bytes=0-3"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"PK\x03\x04")
    server.expire_links()
    gone = requests.get(tasks[2]["DownloadURL"], timeout=10)
    assert (gone.status_code, gone.text[:9]) == (404, "<!DOCTYPE")


def test_other_ends_of_a_request(standins: Servers) -> None:
    server = standins.clms
    files = [layer.file_name for layer in truth.layers("clms")]
    ends = ("Rejected", "Finished_nok", "Cancelled")
    server.scripts = {file: (end,) for file, end in zip(files, ends, strict=True)}
    assert _order(server, *files).status_code == 201
    url = f"{server.api}/@datarequest_search"
    tasks = requests.get(url, headers=_headers(server), timeout=10).json()
    assert tuple(task["Status"] for task in tasks.values()) == ends
    assert _order(server, *files * 2).status_code == 400
    assert server.posts == 1


@pytest.mark.parametrize("layer", truth.layers("clms"), ids=lambda each: each.variable)
def test_deliveries_hold_the_truth(standin_data: Data, layer: truth.Layer) -> None:
    rows, cols = window(layer, DEMO_BOX)
    with zipfile.ZipFile(standin_data.clms[layer.file_name]) as outer:
        assert outer.namelist() == [f"Results/{layer.file_name}.zip"]
        inner = zipfile.ZipFile(io.BytesIO(outer.read(outer.namelist()[0])))
    names = inner.namelist()
    tiles = [name for name in names if name.endswith(".tif")]
    assert {name.rpartition("_2015_020m_")[2][:6] for name in tiles} == {
        "E34N23",
        "E34N24",
        "E33N24",
        "E34N25",
    }
    full = 0
    for tile in tiles:
        stem = tile.removesuffix(".tif")
        companions = (".tfw", ".clr", ".xml", ".tif.vat.dbf")
        assert all(f"{stem}{ending}" in names for ending in companions)
        with rasterio.MemoryFile(inner.read(tile)) as memory, memory.open() as file:
            assert (file.shape, file.crs.to_epsg(), file.nodata) == (
                (5000, 5000),
                3035,
                layer.nodata,
            )
            assert file.compression.name == "lzw"
            assert file.colormap(1)[0] == (240, 240, 240, 255)
            code = f"E{file.bounds.left / 1e5:.0f}N{file.bounds.bottom / 1e5:.0f}"
            assert code in tile
            values = file.read(1)
            row, col = layer.grid.rows_cols(file.bounds.left + 10, file.bounds.top - 10)
        inside = tuple(
            np.arange(max(at, whole.start), min(at + 5000, whole.stop))
            for at, whole in ((int(row), rows), (int(col), cols))
        )
        part = np.ix_(inside[0] - int(row), inside[1] - int(col))
        np.testing.assert_array_equal(
            values[part], layer.value(inside[0][:, None], inside[1][None, :])
        )
        # All else is filled.
        assert np.count_nonzero(values != 255) == np.count_nonzero(values[part] != 255)
        full += bool(values[part].size)
    assert full == 2
    inner.close()


# --- S3 ---


def test_s3_answers_ranges_to_anonymous_and_plain_clients(standins: Servers) -> None:
    key = f"{BUCKET}/{GAMI_KEY}/.zmetadata"
    files = s3fs.S3FileSystem(
        anon=True, endpoint_url=standins.s3.url, skip_instance_cache=True, asynchronous=False
    )
    names = {name.rpartition("/")[2] for name in files.ls(f"{BUCKET}/{GAMI_KEY}")}
    assert {".zgroup", ".zmetadata", ".zattrs", "forest_age"} <= names
    assert b"zarr_consolidated_format" in files.cat(key)
    answer = requests.get(f"{standins.s3.url}/{key}", headers={"Range": "bytes=0-0"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, b"{")
    missing = f"{standins.s3.url}/{BUCKET}/{GAMI_KEY}/forest_age/0.0.0.0"
    assert requests.get(missing, timeout=10).status_code == 404
    standins.s3.fail("zmetadata", status=503)
    statuses = [requests.get(f"{standins.s3.url}/{key}", timeout=10).status_code for _ in "ab"]
    assert statuses == [503, 200]


# --- configuration and command ---


def test_configuration_is_moved_and_nothing_else(tmp_path: Path, endpoints: Endpoints) -> None:
    path = demo_config(tmp_path / "a", endpoints)
    text = path.read_text()
    assert "gfz-potsdam" not in text
    for address in (endpoints.zenodo, endpoints.clms, endpoints.s3, endpoints.credentials):
        assert address in text
    moved, source = yaml.safe_load(text), yaml.safe_load((ROOT / "scs2_config.yml").read_text())
    assert (path.parent / "modify_dataset.py").is_file()
    for part in ("datasets", "preload_datasets", "grid_mappings"):
        assert moved[part] == source[part]
    used = {
        variable["data_id"]
        for dataset in moved["datasets"]
        for variable in dataset.get("variables", [dataset])
    }
    assert used == {layer.data_id for layer in truth.LAYERS}
    path = demo_config(tmp_path / "b", endpoints, datasets=("gami",), bbox=DEMO_BOX)
    small = yaml.safe_load(path.read_text())
    assert [each["identifier"] for each in small["datasets"]] == ["gami"]
    assert small["grid_mappings"][0]["bbox"] == list(DEMO_BOX)
    assert "preload_datasets" not in small


def test_command_serves_until_told_to_stop(tmp_path: Path, standin_data: Data) -> None:
    (tmp_path / "sources").symlink_to(standin_data.directory)
    command = [sys.executable, "-m", "tests.standins", str(tmp_path)]
    addresses = []
    for stop in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            ready = process.stdout.readline()
            found = json.loads((tmp_path / "endpoints.json").read_text())
            addresses.append((found["zenodo"], found["clms"], found["s3"]))
            record = requests.get(f"{found['zenodo']}/records/8154445", timeout=10)
            process.send_signal(stop)
            assert process.wait(20) == 0
            assert process.stderr.read() == ""
        assert ready == f"ready {tmp_path / 'endpoints.json'}\n"
        assert record.json()["id"] == 8154445
        assert Path(found["credentials"]).stat().st_mode & 0o077 == 0
    assert (tmp_path / "scs2_config.yml").is_file()
    # A second start keeps its addresses, so that catalogs stay valid.
    assert addresses[0] == addresses[1]


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
