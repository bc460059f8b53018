"""Opening Zarr: both formats, every kind of address, and each failure by its name."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import AuthError, IntegrityError, MissingError, NotFoundError, RemoteError
from stacbuild.formats.zarr_store import is_consolidated, open_dataset, open_group
from tests.standins.s3 import S3Server
from tests.standins.server import LoopbackServer, Request, Response
from tests.support.folder_server import Folder

STORES = [(2, True), (2, False), (3, True), (3, False)]
VALUES = np.arange(24, dtype="int16").reshape(4, 6)


def write(path: Path | str, zarr_format: int = 2, *, consolidated: bool = True) -> None:
    ds = xr.Dataset(
        {"age": (("lat", "lon"), VALUES, {"units": "days"})},
        {"lat": [4.0, 3.0, 2.0, 1.0], "lon": np.arange(6.0)},
    )
    ds["age"].encoding = {"chunks": (2, 3)}
    with warnings.catch_warnings():
        # Consolidated metadata are not in the specification of format 3 yet.
        warnings.simplefilter("ignore")
        ds.to_zarr(path, zarr_format=zarr_format, consolidated=consolidated, mode="w")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Folder]:
    with Folder(tmp_path) as server:
        yield server


def check(href: str, options: dict[str, object] | None = None) -> None:
    ds = open_dataset(href, options)
    np.testing.assert_array_equal(ds["age"].values, VALUES)
    assert ds["age"].dtype == np.int16
    assert ds["age"].encoding["chunks"] == (2, 3)


@pytest.mark.parametrize(("zarr_format", "consolidated"), STORES)
def test_opens_a_local_store_as_it_is(tmp_path: Path, zarr_format: int, consolidated: bool) -> None:
    write(tmp_path / "a.zarr", zarr_format, consolidated=consolidated)
    group = open_group(str(tmp_path / "a.zarr"))
    assert group.metadata.zarr_format == zarr_format
    assert is_consolidated(group) == consolidated
    assert group.store.read_only
    check(str(tmp_path / "a.zarr"))


@pytest.mark.parametrize(("zarr_format", "consolidated"), STORES)
def test_opens_a_store_on_s3(
    tmp_path: Path, s3_server: S3Server, zarr_format: int, consolidated: bool
) -> None:
    write(tmp_path / "a.zarr", zarr_format, consolidated=consolidated)
    key = f"opens-{zarr_format}-{consolidated}.zarr"
    s3_server.upload(tmp_path / "a.zarr", key, "bucket")
    check(f"s3://bucket/{key}", {"anon": True, "endpoint_url": s3_server.url})


def test_each_object_on_s3_is_asked_for_once(tmp_path: Path, s3_server: S3Server) -> None:
    write(tmp_path / "a.zarr")
    s3_server.upload(tmp_path / "a.zarr", "once.zarr", "bucket")
    ds = open_dataset("s3://bucket/once.zarr", {"anon": True, "endpoint_url": s3_server.url})
    s3_server.reset()
    ds["age"].load()
    assert sorted(read.key for read in s3_server.log) == [
        f"once.zarr/age/{chunk}" for chunk in ("0.0", "0.1", "1.0", "1.1")
    ]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_opens_a_consolidated_store_over_http(
    tmp_path: Path, web: Folder, zarr_format: int
) -> None:
    write(tmp_path / "a.zarr", zarr_format)
    check(f"{web.url}/a.zarr")


def test_options_of_s3_are_not_sent_to_a_web_server(tmp_path: Path, web: Folder) -> None:
    write(tmp_path / "a.zarr")
    check(f"{web.url}/a.zarr", {"key": "CANARYKEY", "secret": "CANARYSECRET"})
    assert not any(request.authorized or "CANARY" in request.path for request in web.log)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_without_consolidated_metadata_http_needs_a_listing(
    tmp_path: Path, zarr_format: int
) -> None:
    write(tmp_path / "a.zarr", zarr_format, consolidated=False)
    with Folder(tmp_path) as web, pytest.raises(NotFoundError, match="lists no folders") as caught:
        open_group(f"{web.url}/a.zarr")
    assert f"{web.url}/a.zarr" in str(caught.value)
    with Folder(tmp_path, lists=True) as web:
        check(f"{web.url}/a.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_server_that_answers_403_for_what_is_missing(tmp_path: Path, zarr_format: int) -> None:
    write(tmp_path / "a.zarr", zarr_format)
    (tmp_path / "a.zarr" / "age" / ("0.0" if zarr_format == 2 else "c/0/0")).unlink()
    with Folder(tmp_path, missing=403) as web:
        ds = open_dataset(f"{web.url}/a.zarr")
        np.testing.assert_array_equal(ds["age"][2:, 3:].values, VALUES[2:, 3:])
        # Refused is not missing: no fill value is made up.
        with pytest.raises(AuthError, match=r"a\.zarr/age/.*: access was refused"):
            ds["age"][:2, :3].load()
        with pytest.raises(AuthError, match=r"b\.zarr"):
            open_group(f"{web.url}/b.zarr")


def test_opens_a_store_in_memory() -> None:
    write("memory://stacbuild-test/a.zarr", 3, consolidated=False)
    try:
        check("memory://stacbuild-test/a.zarr")
    finally:
        fsspec.filesystem("memory").rm("/stacbuild-test", recursive=True)


def test_chunks_gives_dask_arrays_and_options_reach_xarray(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr")
    ds = open_dataset(str(tmp_path / "a.zarr"), chunks={}, drop_variables=["lat"])
    assert ds["age"].chunks == ((2, 2), (3, 3))
    assert "lat" not in ds.variables


def test_a_dataset_over_http_can_be_sent_to_another_process(tmp_path: Path, web: Folder) -> None:
    write(tmp_path / "a.zarr")
    there = pickle.loads(pickle.dumps(open_dataset(f"{web.url}/a.zarr")))
    np.testing.assert_array_equal(there["age"].values, VALUES)


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}, {"cut_after": 1}],
    ids=["503", "429", "cut"],
)
@pytest.mark.usefixtures("unwaited")
def test_passing_faults_of_a_web_server_are_retried(
    tmp_path: Path, web: Folder, fault: dict[str, object]
) -> None:
    write(tmp_path / "a.zarr")
    web.fail(r"\.zmetadata|age/0\.0", times=2, **fault)
    check(f"{web.url}/a.zarr")


def test_missing_is_not_found(tmp_path: Path, web: Folder, s3_server: S3Server) -> None:
    with pytest.raises(MissingError, match=r"no\.zarr: no Zarr group"):
        open_group(str(tmp_path / "no.zarr"))
    with pytest.raises(NotFoundError, match=r"no\.zarr"):
        open_group(f"{web.url}/no.zarr")
    s3_server.put("some", b"", "bucket")
    options = {"anon": True, "endpoint_url": s3_server.url}
    for href in ("s3://bucket/no.zarr", "s3://no-such-bucket/a.zarr"):
        with pytest.raises(NotFoundError) as caught:
            open_group(href, options)
        assert href in str(caught.value)
        assert s3_server.url in str(caught.value)
        assert "\n" not in str(caught.value)


class Refusing(LoopbackServer):
    def respond(self, request: Request) -> Response:
        text = "<Error><Code>InvalidAccessKeyId</Code><Message>Who is CANARYKEY?</Message></Error>"
        return Response(403, text.encode(), {"Content-Type": "application/xml"})


def test_refused_credentials_show_no_key() -> None:
    with Refusing() as server:
        options = {"key": "CANARYKEY", "secret": "CANARYSECRET", "endpoint_url": server.url}
        with pytest.raises(AuthError, match=r"s3://bucket/refused\.zarr") as caught:
            open_group("s3://bucket/refused.zarr", options)
        assert all(request.authorized for request in server.log)
    assert "CANARY" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("unwaited")
def test_nobody_there_is_a_remote_error(unused_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for href, options in (
        (f"{unused_url}/a.zarr", None),
        ("s3://bucket/a.zarr", {"anon": True, "endpoint_url": unused_url}),
    ):
        with pytest.raises(RemoteError, match=r"no connection|cannot be read") as caught:
            open_group(href, options)
        assert not isinstance(caught.value, NotFoundError | AuthError)
        assert unused_url in str(caught.value)
        assert "\n" not in str(caught.value)


def test_metadata_that_are_not_zarr_are_named(tmp_path: Path, web: Folder) -> None:
    write(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / ".zmetadata").write_text("<html>sign in</html>")
    with pytest.raises(IntegrityError, match=r"a\.zarr/\.zmetadata: is not JSON"):
        open_dataset(str(tmp_path / "a.zarr"))
    with pytest.raises(RemoteError, match=r"a\.zarr/\.zmetadata: returned an HTML page"):
        open_dataset(f"{web.url}/a.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_of_no_length_are_refused(tmp_path: Path, zarr_format: int) -> None:
    # zarr opens such an array, and everything later divides by it.
    write(tmp_path / "a.zarr", zarr_format=zarr_format, consolidated=False)
    file = tmp_path / "a.zarr" / "age" / (".zarray" if zarr_format == 2 else "zarr.json")
    document = json.loads(file.read_text())
    where = document if zarr_format == 2 else document["chunk_grid"]["configuration"]
    where["chunks" if zarr_format == 2 else "chunk_shape"][0] = 0
    file.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match=r"age/.*: its metadata state chunks of no length"):
        open_dataset(str(tmp_path / "a.zarr"))


@pytest.mark.parametrize("href", ["a.zarr", "/vsicurl/../a", "ftp://host/a.zarr", "zip::a.zarr"])
def test_other_addresses_are_refused(href: str) -> None:
    with pytest.raises(IntegrityError, match=r"the href .*refused"):
        open_group(href)


@pytest.fixture
def unused_url(tmp_path: Path) -> str:
    with Folder(tmp_path) as server:
        return server.url
