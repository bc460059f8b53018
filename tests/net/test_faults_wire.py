"""What breaks on the wire, broken for real: a proxy resets, cuts, stalls, trickles and flips.

Expected is always the same: the right bytes after tries that are said, or one error that names the
file; never a short file under its name, never "no data" made of what did not come.
"""

from __future__ import annotations

import gc
import hashlib
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
import requests
import xarray as xr
import zarr

from stacbuild.errors import IntegrityError, NotFoundError, RemoteError, StacbuildError
from stacbuild.formats import zarr_store
from stacbuild.formats.geotiff import RasterFile
from stacbuild.formats.s3_system import S3FileSystem
from stacbuild.net import http
from stacbuild.net.download import download
from stacbuild.net.speed import Patience
from tests.standins.proxy import Close, Cut, Fault, FaultProxy, Flip, Refuse, Reset, Stall, Trickle
from tests.standins.s3 import S3Server
from tests.standins.server import LoopbackServer, Request, Response, html
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.built import variable_of
from tests.support.cli import NORTH, WEST, configuration, errors, stacbuild

QUICK = Patience(tries=4, worth=1 << 16, min_speed=200_000, seconds=0.4, pause=0.01)
DATA = np.random.default_rng(4).bytes(3_000_000)
MD5 = hashlib.md5(DATA).hexdigest()

PASSING = [
    Refuse(times=2),
    Reset(after=400_000, times=3),
    Close(after=400_000, times=3),
    Cut(every=400_000),
    Stall(after=400_000, times=1),
    Trickle(bytes_per_second=20_000, times=1),
]
LASTING = [Refuse(), Reset(after=300), Close(after=300), Stall(after=300), Trickle(5_000)]


class Folder(LoopbackServer):
    """A plain web server of a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def respond(self, request: Request) -> Response:
        path = self.root / request.path.strip("/")
        if not path.is_file():
            return html(404, "nothing here")
        stat = path.stat()
        etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        return Response(200, path, {"ETag": etag, "Content-Type": "application/octet-stream"})


@contextmanager
def behind(server: LoopbackServer, *, second: bool = False) -> Iterator[FaultProxy]:
    url = urlsplit(server.second_url if second else server.url)
    with FaultProxy(url.hostname or "", url.port or 0) as made:
        yield made


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "web").mkdir()
    with Folder(tmp_path / "web") as server:
        yield server


@pytest.fixture
def proxy(web: Folder) -> Iterator[FaultProxy]:
    (web.root / "f.tif").write_bytes(DATA)
    with behind(web) as made:
        yield made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def session(said: list[str]) -> Iterator[requests.Session]:
    with http.session(said.append, backoff=0.01, tries=4) as made:
        yield made


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def name(value: object) -> str:
    return type(value).__name__ if isinstance(value, Fault) else str(value)


# --- downloads ---


@pytest.mark.parametrize("fault", PASSING, ids=name)
def test_a_download_gets_over_it(
    tmp_path: Path, proxy: FaultProxy, session: requests.Session, said: list[str], fault: Fault
) -> None:
    proxy.fault = fault
    target = tmp_path / "here" / "f.tif"
    url = f"{proxy.url}/f.tif"
    download(url, target, size=len(DATA), md5=MD5, session=session, patience=QUICK)
    assert target.read_bytes() == DATA
    assert left(target.parent) == ["f.tif"]
    assert proxy.hits > 0
    # A reset throws away what the client has not read yet: up to all that one connection brought.
    lost = proxy.hits * fault.after if isinstance(fault, Reset) else 0
    assert proxy.bytes_sent <= 1.05 * len(DATA) + lost
    # One line each time that it broke, with what will be done.
    assert len(said) == proxy.hits
    assert all("again in" in line or "resuming in" in line for line in said)


@pytest.mark.parametrize("fault", LASTING, ids=name)
def test_a_download_gives_up_and_is_resumed_later(
    tmp_path: Path, proxy: FaultProxy, session: requests.Session, fault: Fault
) -> None:
    target, url = tmp_path / "here" / "f.tif", f"{proxy.url}/f.tif"
    # Some of it has come when things go wrong for good.
    proxy.fault = Close(after=1_000_000)
    with pytest.raises(RemoteError):
        download(url, target, session=session, patience=Patience(tries=1))
    proxy.fault = fault
    with pytest.raises(RemoteError, match=r"/f\.tif: .*(tries|no connection)") as caught:
        download(url, target, md5=MD5, session=session, patience=QUICK)
    assert "\n" not in str(caught.value)
    assert left(target.parent) == ["f.tif.part", "f.tif.part.json"]
    proxy.reset()
    with http.session() as another:
        download(url, target, md5=MD5, session=another)
    assert target.read_bytes() == DATA
    assert proxy.bytes_sent < 2_100_000


def test_a_flipped_byte_is_fetched_once_more(
    tmp_path: Path, proxy: FaultProxy, session: requests.Session, said: list[str]
) -> None:
    proxy.fault = Flip(at=2_000_000, times=1)
    target = tmp_path / "here" / "f.tif"
    download(f"{proxy.url}/f.tif", target, md5=MD5, session=session)
    assert target.read_bytes() == DATA
    assert [line for line in said if f"instead of {MD5}; fetching it again" in line] == said
    assert len(said) == 1


def test_a_byte_flipped_each_time_leaves_nothing(
    tmp_path: Path, proxy: FaultProxy, session: requests.Session
) -> None:
    proxy.fault = Flip(at=2_000_000)
    wrong = bytearray(DATA)
    wrong[2_000_000] ^= 0xFF
    found = hashlib.md5(wrong).hexdigest()
    # Each try has a connection of its own, else the flip would hit only the first.
    session.headers["Connection"] = "close"
    with pytest.raises(IntegrityError, match=f"/f.tif: has md5 {found} instead of {MD5}, twice"):
        download(f"{proxy.url}/f.tif", tmp_path / "here" / "f.tif", md5=MD5, session=session)
    assert left(tmp_path / "here") == []
    assert proxy.hits == 2


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_refused_is_so_at_once(
    tmp_path: Path, web: Folder, proxy: FaultProxy, session: requests.Session, status: int
) -> None:
    web.fail("f.tif", status=status, times=-1)
    with pytest.raises(RemoteError, match=rf"/f\.tif: .*{status}"):
        download(f"{proxy.url}/f.tif", tmp_path / "here" / "f.tif", session=session)
    assert web.requests == 1
    assert left(tmp_path / "here") == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_5xx_and_429_are_waited_for(
    tmp_path: Path,
    web: Folder,
    proxy: FaultProxy,
    session: requests.Session,
    said: list[str],
    status: int,
) -> None:
    web.fail("f.tif", status=status, times=2)
    download(f"{proxy.url}/f.tif", tmp_path / "f.tif", md5=MD5, session=session)
    assert [f"127.0.0.1 answers {status}" in line for line in said] == [True, True]
    web.fail("f.tif", status=status, times=-1)
    with pytest.raises(RemoteError, match=rf"/f\.tif: the server answers {status}"):
        download(f"{proxy.url}/f.tif", tmp_path / "g.tif", session=session)
    assert web.requests == 3 + 4


def test_retry_after_is_kept(
    tmp_path: Path, web: Folder, proxy: FaultProxy, session: requests.Session, said: list[str]
) -> None:
    web.fail("f.tif", status=429, headers={"Retry-After": "1"})
    begin = time.monotonic()
    download(f"{proxy.url}/f.tif", tmp_path / "f.tif", session=session)
    assert time.monotonic() - begin >= 1
    assert said == ["127.0.0.1 answers 429 Too Many Requests; trying again in 1 s"]


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
def test_a_page_for_a_file_is_named(
    tmp_path: Path, web: Folder, proxy: FaultProxy, session: requests.Session, kind: str
) -> None:
    web.fail("f.tif", body=b"<!DOCTYPE html><p>Sign in", headers={"Content-Type": kind}, times=-1)
    with pytest.raises(RemoteError, match=r"/f\.tif: returned an HTML page instead of a file"):
        download(f"{proxy.url}/f.tif", tmp_path / "here" / "f.tif", session=session)
    assert left(tmp_path / "here") == []
    with pytest.raises(RemoteError, match=r"/f\.tif: returned an HTML page instead of JSON"):
        http.get_json(session, f"{proxy.url}/f.tif")


@pytest.mark.parametrize("how", ["ignored", "changed"])
def test_what_cannot_be_continued_is_started_anew(
    tmp_path: Path, web: Folder, proxy: FaultProxy, session: requests.Session, how: str
) -> None:
    target, url = tmp_path / "here" / "f.tif", f"{proxy.url}/f.tif"
    proxy.fault = Close(after=1_000_000)
    with pytest.raises(RemoteError):
        download(url, target, session=session, patience=Patience(tries=1))
    proxy.fault = None
    expected = DATA
    if how == "changed":
        expected = DATA[::-1]
        (web.root / "f.tif").write_bytes(expected)
    else:
        web.fail("f.tif", ignore_range=True, times=-1)
    # No md5: that the bytes of two files are not mixed must not depend on it.
    download(url, target, session=session)
    assert target.read_bytes() == expected
    assert web.log[-1].range.startswith("bytes=9"), "it did ask to go on"
    assert web.log[-1].status == 200


def test_a_server_that_neither_holds_out_nor_knows_ranges_is_given_up(
    tmp_path: Path, web: Folder, proxy: FaultProxy, session: requests.Session
) -> None:
    # Each try brings much, but never more than the one before.
    web.fail("f.tif", ignore_range=True, times=-1)
    proxy.fault = Cut(every=1_000_000)
    with pytest.raises(RemoteError, match="after 4 tries"):
        download(f"{proxy.url}/f.tif", tmp_path / "f.tif", md5=MD5, session=session, patience=QUICK)


def test_killed_again_and_again_each_process_goes_on(tmp_path: Path, proxy: FaultProxy) -> None:
    target = tmp_path / "here" / "f.tif"
    code = (
        "import sys; from pathlib import Path; from stacbuild.net import http\n"
        "from stacbuild.net.download import download\n"
        "download(sys.argv[1], Path(sys.argv[2]), session=http.session())"
    )
    command = [sys.executable, "-c", code, f"{proxy.url}/f.tif", str(target)]
    part, have = target.with_name("f.tif.part"), 0
    for _ in range(2):
        proxy.fault = Trickle(bytes_per_second=2_000_000)
        with subprocess.Popen(command) as process:
            deadline = time.monotonic() + 60
            while not part.exists() or part.stat().st_size < have + 500_000:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        assert part.stat().st_size > have
        have = part.stat().st_size
    assert not target.exists()
    proxy.hang_up()
    proxy.reset()
    subprocess.run(command, check=True, timeout=60)
    assert target.read_bytes() == DATA
    assert proxy.bytes_sent <= len(DATA) - have + 1000


def sparse(path: Path, size: int) -> str:
    """Write a file of holes with a few bytes in each 16 MiB; give its md5."""
    with path.open("wb") as file:
        file.truncate(size)
        for place in range(0, size - 4096, 16 << 20):
            file.seek(place + place // 977 % 4096)
            file.write(place.to_bytes(8, "big") * 100)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


@pytest.mark.parametrize(
    ("size", "every"),
    [
        pytest.param(48 << 20, 2 << 20, id="48MB"),
        pytest.param((2 << 30) + 12_345, 64 << 20, id="2GB", marks=pytest.mark.slow),
    ],
)
def test_a_large_file_through_a_line_that_cuts(
    tmp_path: Path, web: Folder, said: list[str], size: int, every: int
) -> None:
    md5 = sparse(web.root / "large.zip", size)
    target = tmp_path / "here" / "large.zip"
    with behind(web) as proxy, http.session(said.append) as session:
        proxy.fault = Cut(every=every)
        patience = Patience(pause=0.01)
        download(
            f"{proxy.url}/large.zip", target, size=size, md5=md5, session=session, patience=patience
        )
        print(f"{proxy.connections} connections, {proxy.bytes_sent} bytes for {size}")
        assert proxy.connections >= size // every
        assert proxy.bytes_sent <= 1.05 * size
    assert left(target.parent) == ["large.zip"]
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "md5").hexdigest() == md5
    assert subprocess.run(["cmp", web.root / "large.zip", target], check=False).returncode == 0
    assert len(said) == size // every


# --- GeoTIFFs in place ---


@pytest.fixture
def raster(web: Folder) -> Path:
    """A raster of noise, too large to come with its header."""
    path = web.root / "r.tif"
    values = np.random.default_rng(1).integers(0, 200, (2, 1024, 1024), dtype=np.uint8)
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 2, "nodata": 255}
    profile |= {"width": 1024, "height": 1024, "tiled": True, "compress": "deflate"}
    profile |= {"crs": "EPSG:3035", "transform": rasterio.Affine(30, 0, 4e6, 0, -30, 3e6)}
    with rasterio.open(path, "w", blockxsize=256, blockysize=256, **profile) as file:
        file.write(values)
    return path


IN_PLACE = [
    Refuse(times=2),
    Reset(after=200_000, times=3),
    Close(after=200_000, times=3),
    Cut(every=200_000),
    Stall(after=200_000, times=1),
    Trickle(bytes_per_second=20_000, times=1),
]


def pixels(path: Path) -> Any:
    with rasterio.open(path) as file:
        return file.read()


@pytest.mark.parametrize("fault", IN_PLACE, ids=name)
def test_a_geotiff_read_in_place_is_right_or_not_at_all(
    raster: Path, proxy: FaultProxy, session: requests.Session, said: list[str], fault: Fault
) -> None:
    proxy.fault = fault
    file = RasterFile(f"{proxy.url}/r.tif", session=session, patience=QUICK)
    with file.open() as dataset:
        np.testing.assert_array_equal(file.read(dataset), pixels(raster))
    # A line each time, but for the first request, that learns the size of the file.
    assert 0 <= proxy.hits - len(said) <= 1
    assert proxy.hits > 0


@pytest.mark.parametrize("fault", LASTING, ids=name)
def test_a_geotiff_whose_server_fails_for_good_is_named_and_read_when_it_is_well(
    raster: Path, proxy: FaultProxy, session: requests.Session, fault: Fault
) -> None:
    file = RasterFile(f"{proxy.url}/r.tif", session=session, patience=QUICK)
    with file.open() as dataset:
        proxy.fault = fault
        with pytest.raises(RemoteError, match=r"/r\.tif: ") as caught:
            file.read(dataset)
        assert "\n" not in str(caught.value)
        # GDAL has kept nothing of what did not come.
        proxy.fault = None
        np.testing.assert_array_equal(file.read(dataset), pixels(raster))


def test_a_flipped_byte_in_a_tile_is_an_error_naming_file_and_window(
    raster: Path, proxy: FaultProxy, session: requests.Session
) -> None:
    file = RasterFile(f"{proxy.url}/r.tif", session=session, patience=QUICK)
    with file.open() as dataset:
        proxy.fault = Flip(at=100_000)
        with pytest.raises(
            IntegrityError, match=r"/r\.tif: .*rows 0\+1024, columns 0\+1024 cannot"
        ):
            file.read(dataset)


def test_a_page_for_a_geotiff_is_named(
    raster: Path, web: Folder, proxy: FaultProxy, session: requests.Session
) -> None:
    page = b"<html>Sign in</html>" * 100
    (web.root / "page.tif").write_bytes(page)
    with pytest.raises(
        RemoteError, match=r"/page\.tif: returned an HTML page instead of a GeoTIFF"
    ):
        RasterFile(f"{proxy.url}/page.tif", session=session).open()
    web.fail("r.tif", body=page, times=-1)
    with pytest.raises(RemoteError, match=r"/r\.tif: returned an HTML page"):
        RasterFile(f"{proxy.url}/r.tif", session=session).open()


# --- Zarr in place ---

VALUES = np.random.default_rng(2).integers(0, 200, (400, 600), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_store, "_PATIENCE", QUICK)


def write_zarr(path: Path | str, **encoding: Any) -> None:
    dataset = xr.Dataset({"age": (("lat", "lon"), VALUES)})
    dataset["age"].encoding = {"chunks": (200, 200), **encoding}
    with warnings.catch_warnings():
        # Consolidated metadata are not in the specification of format 3 yet.
        warnings.simplefilter("ignore")
        dataset.to_zarr(path, zarr_format=3 if encoding else 2, consolidated=True)


@pytest.mark.parametrize(
    "fault",
    [
        Refuse(times=2),
        Reset(after=20_000, times=3),
        Close(after=20_000, times=3),
        Stall(after=20_000, times=1),
        Trickle(bytes_per_second=20_000, times=1),
    ],
    ids=name,
)
def test_a_zarr_read_in_place_is_right_or_not_at_all(
    web: Folder, proxy: FaultProxy, fault: Fault
) -> None:
    write_zarr(web.root / "a.zarr")
    dataset = zarr_store.open_dataset(f"{proxy.url}/a.zarr")
    proxy.fault = fault
    np.testing.assert_array_equal(dataset["age"].values, VALUES)
    assert proxy.hits > 0


@pytest.mark.parametrize("fault", LASTING, ids=name)
def test_a_zarr_whose_server_fails_for_good_names_the_chunk_and_is_read_when_it_is_well(
    web: Folder, proxy: FaultProxy, fault: Fault
) -> None:
    write_zarr(web.root / "a.zarr")
    dataset = zarr_store.open_dataset(f"{proxy.url}/a.zarr")
    proxy.fault = fault
    with pytest.raises(RemoteError, match=r"/a\.zarr/age/\d\.\d: .*after 4 tries") as caught:
        dataset["age"].values  # noqa: B018
    assert "\n" not in str(caught.value)
    proxy.fault = None
    np.testing.assert_array_equal(dataset["age"].values, VALUES)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, StacbuildError), (410, NotFoundError), (503, RemoteError)]
)
def test_a_chunk_that_is_refused_is_not_an_empty_one(
    web: Folder, proxy: FaultProxy, status: int, kind: type[Exception]
) -> None:
    write_zarr(web.root / "a.zarr")
    dataset = zarr_store.open_dataset(f"{proxy.url}/a.zarr")
    web.fail(r"age/1\.1", status=status, times=-1)
    with pytest.raises(kind, match=rf"/a\.zarr/age/1\.1: .*{status}"):
        dataset["age"].values  # noqa: B018


def test_a_flipped_byte_is_found_where_the_chunk_has_a_checksum(
    web: Folder, proxy: FaultProxy
) -> None:
    write_zarr(web.root / "a.zarr", compressors=[zarr.codecs.ZstdCodec(level=1, checksum=True)])
    dataset = zarr_store.open_dataset(f"{proxy.url}/a.zarr")
    proxy.fault = Flip(at=10_000)
    with pytest.raises(Exception, match=r"(?i)checksum|decompress"):
        dataset["age"].values  # noqa: B018


# --- S3 ---


@pytest.fixture
def bucket(s3_server: S3Server) -> Iterator[FaultProxy]:
    """Objects behind a proxy: the raster and a Zarr store."""
    url = urlsplit(s3_server.url)
    with FaultProxy(url.hostname or "", url.port or 0) as made:
        yield made
    # A connection that broke is closed by s3fs's thread some time later, or by the collector. Here
    # and now, so that no other test is told of it.
    S3FileSystem.clear_instance_cache()
    gc.collect()


# What is said of such a connection is of that library's making, and of no other test's.
broken_connections = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)


def s3_options(proxy: FaultProxy) -> dict[str, Any]:
    return {
        "anon": True,
        "endpoint_url": proxy.url,
        "config_kwargs": {"read_timeout": 1, "connect_timeout": 5},
    }


@broken_connections
@pytest.mark.parametrize(
    "fault",
    [Reset(after=10_000, times=2), Close(after=10_000, times=2), Stall(after=10_000, times=1)],
    ids=name,
)
def test_s3_read_in_place_is_right_or_not_at_all(
    tmp_path: Path, raster: Path, s3_server: S3Server, bucket: FaultProxy, fault: Fault
) -> None:
    write_zarr(tmp_path / "a.zarr")
    s3_server.upload(tmp_path / "a.zarr", "wire/a.zarr", "bucket")
    s3_server.put("wire/r.tif", raster.read_bytes(), "bucket")
    file = RasterFile("s3://bucket/wire/r.tif", storage_options=s3_options(bucket))
    dataset = zarr_store.open_dataset("s3://bucket/wire/a.zarr", s3_options(bucket))
    with file.open() as opened:
        bucket.fault = fault
        np.testing.assert_array_equal(file.read(opened), pixels(raster))
        assert bucket.hits > 0
    bucket.reset()
    bucket.fault = fault
    np.testing.assert_array_equal(dataset["age"].values, VALUES)
    assert bucket.hits > 0


@broken_connections
def test_s3_that_fails_for_good_is_named_and_read_when_it_is_well(
    raster: Path, s3_server: S3Server, bucket: FaultProxy
) -> None:
    s3_server.put("wire/r.tif", raster.read_bytes(), "bucket")
    file = RasterFile("s3://bucket/wire/r.tif", storage_options=s3_options(bucket))
    with file.open() as opened:
        bucket.fault = Close(after=10_000)
        with pytest.raises(RemoteError, match=r"s3://bucket/wire/r\.tif at http://") as caught:
            file.read(opened)
        assert "\n" not in str(caught.value)
        bucket.fault = None
        np.testing.assert_array_equal(file.read(opened), pixels(raster))


# --- the command line ---

BIG = "big.tif"


@pytest.fixture
def zenodo(tmp_path: Path) -> Iterator[tuple[ZenodoServer, FaultProxy]]:
    """A record with one GeoTIFF of noise, behind a proxy, links of its files included."""
    values = np.random.default_rng(3).integers(0, 200, (1, 1200, 1200), dtype=np.uint8)
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255}
    profile |= {"width": 1200, "height": 1200, "tiled": True, "crs": "EPSG:4326"}
    profile |= {"transform": rasterio.Affine(0.0001, 0, WEST - 0.01, 0, -0.0001, NORTH + 0.01)}
    path = tmp_path / BIG
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
    record = Record("42", "A record", {BIG: path})
    with ZenodoServer(record) as server, behind(server) as made:
        server.api = f"{made.url}/api"
        yield server, made


def harvest_config(tmp_path: Path, api: str, *, preload: bool = True) -> Path:
    zenodo = {"root": "42", "endpoint_url": api}
    sections = {"preload_datasets": [{"store": "z", "data_ids": [BIG]}]} if preload else {}
    return configuration(
        tmp_path / "work",
        [{"identifier": "cover", "store": "z", "data_id": BIG}],
        [{"identifier": "z", "store_id": "zenodo", "store_params": zenodo}],
        **sections,
    )


def harvested(config: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    return stacbuild("harvest", config, code=code)


@pytest.mark.parametrize(
    "fault",
    [
        Refuse(times=2),
        Reset(after=1_000_000, times=2),
        Close(after=1_000_000, times=2),
        Cut(every=1_500_000),
        Flip(at=1_000_000, times=1),
        pytest.param(Stall(after=1_000_000, times=1), marks=pytest.mark.slow),
        pytest.param(Trickle(bytes_per_second=4_000, times=1), marks=pytest.mark.slow),
    ],
    ids=name,
)
def test_a_harvest_gets_over_it(
    tmp_path: Path, zenodo: tuple[ZenodoServer, FaultProxy], fault: Fault
) -> None:
    server, proxy = zenodo
    proxy.fault = fault
    done = harvested(harvest_config(tmp_path, server.api))
    assert errors(done) == []
    kept = tmp_path / "work" / "zenodo_cache" / "42" / BIG
    assert kept.read_bytes() == server.records["42"].files[BIG].read_bytes()
    assert left(kept.parent) == [BIG, f"{BIG}.stacbuild.json"]
    assert proxy.hits > 0
    told = [line for line in done.stderr.splitlines() if " in " in line or "again" in line]
    assert any("again" in line or "resuming in" in line for line in told), done.stderr


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ({"status": 404}, 3, "not found (404 Not Found)"),
        ({"status": 410}, 3, "not found (410 Gone)"),
        ({"status": 403}, 3, "the server answers 403 Forbidden"),
        ({"status": 503, "headers": {"Retry-After": "0"}}, 3, "the server answers 503"),
        ({"body": b"<!DOCTYPE html><p>Sign in"}, 3, "returned an HTML page instead of a file"),
        ({"flip_at": 1_000_000}, 4, "instead of"),
    ],
    ids=["404", "410", "403", "503", "page", "md5"],
)
def test_a_harvest_that_cannot_ends_with_one_line(
    tmp_path: Path,
    zenodo: tuple[ZenodoServer, FaultProxy],
    what: dict[str, Any],
    code: int,
    says: str,
) -> None:
    server, proxy = zenodo
    server.fail(f"{BIG}/content", times=-1, **what)
    (line,) = errors(harvested(harvest_config(tmp_path, server.api), code))
    assert f"{proxy.url}/api/records/42/files/{BIG}/content: " in line
    assert says in line
    assert left(tmp_path / "work" / "zenodo_cache" / "42") == []


@pytest.mark.parametrize("what", [{"body": b"<html>Sign in"}, {"cut_after": 100}])
def test_a_record_that_is_no_json_is_named(
    tmp_path: Path, zenodo: tuple[ZenodoServer, FaultProxy], what: dict[str, Any]
) -> None:
    server, proxy = zenodo
    server.fail("records/42$", times=-1, **what)
    (line,) = errors(harvested(harvest_config(tmp_path, server.api), 3))
    assert f"{proxy.url}/api/records/42: " in line


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Close(after=5_000), marks=pytest.mark.slow),
        pytest.param(Refuse(), marks=pytest.mark.slow),
        pytest.param(Stall(after=5_000), marks=pytest.mark.slow),
        pytest.param(Trickle(bytes_per_second=4_000), marks=pytest.mark.slow),
    ],
    ids=name,
)
def test_a_server_that_stays_away_ends_the_harvest_and_the_next_one_goes_on(
    tmp_path: Path, zenodo: tuple[ZenodoServer, FaultProxy], fault: Fault
) -> None:
    server, proxy = zenodo
    config = harvest_config(tmp_path, server.api)
    proxy.fault = fault
    (line,) = errors(harvested(config, 3))
    assert f"{proxy.url}/api/records/42" in line
    proxy.fault = None
    harvested(config)
    kept = tmp_path / "work" / "zenodo_cache" / "42" / BIG
    assert kept.read_bytes() == server.records["42"].files[BIG].read_bytes()


@pytest.mark.parametrize(
    "fault",
    [Cut(every=700_000), pytest.param(Close(after=20_000), marks=pytest.mark.slow)],
    ids=name,
)
def test_a_cube_read_in_place_is_right_or_not_there(
    tmp_path: Path, zenodo: tuple[ZenodoServer, FaultProxy], fault: Fault
) -> None:
    server, proxy = zenodo
    config = harvest_config(tmp_path, server.api, preload=False)
    stacbuild("cube", config)
    cube = tmp_path / "work" / "data" / "cover.zarr"
    with xr.open_zarr(cube) as dataset:
        expected = variable_of(dataset).values
    # Another run in another place, over a line that breaks.
    again = harvest_config(tmp_path / "again", server.api, preload=False)
    stacbuild("harvest", again)
    proxy.fault = fault
    lasting = isinstance(fault, Close)
    done = stacbuild("cube", again, code=3 if lasting else 0)
    cube = tmp_path / "again" / "work" / "data" / "cover.zarr"
    assert proxy.hits > 0
    if lasting:
        (line,) = errors(done)
        assert f"{proxy.url}/api/records/42/files/{BIG}" in line
        assert not cube.exists()
        return
    with xr.open_zarr(cube) as dataset:
        np.testing.assert_array_equal(variable_of(dataset).values, expected)


@pytest.mark.parametrize(
    "signed",
    [pytest.param(True, id="s3"), pytest.param(False, id="https", marks=pytest.mark.slow)],
)
def test_a_cube_of_a_zarr_on_s3_that_breaks_names_it(
    tmp_path: Path, s3_server: S3Server, bucket: FaultProxy, signed: bool
) -> None:
    lon, lat = np.arange(10.0, 10.1, 0.0005), np.arange(45.1, 45.0, -0.0005)
    values = np.random.default_rng(5).integers(0, 200, (lat.size, lon.size), dtype=np.uint8)
    attributes = ({"units": "degrees_north"}, {"units": "degrees_east"})
    dataset = xr.Dataset(
        {"age": (("lat", "lon"), values, {"grid_mapping": "crs"}), "crs": ((), 0)},
        {"lat": ("lat", lat, attributes[0]), "lon": ("lon", lon, attributes[1])},
    )
    dataset["crs"].attrs = {"grid_mapping_name": "latitude_longitude", "epsg_code": "EPSG:4326"}
    dataset.to_zarr(tmp_path / "age.zarr", zarr_format=2, consolidated=True)
    s3_server.upload(tmp_path / "age.zarr", "wire/age.zarr", "bucket")
    # With keys it is read by s3://, without by https.
    options = {"endpoint_url": bucket.url} | (
        {"key": "any", "secret": "any"} if signed else {"anon": True}
    )
    params = {"root": "bucket/wire", "storage_options": options}
    config = configuration(
        tmp_path / "work",
        [{"identifier": "age", "store": "s", "data_id": "age.zarr"}],
        [{"identifier": "s", "store_id": "s3", "store_params": params}],
    )
    stacbuild("harvest", config)
    bucket.fault = Close(after=3_000)
    (line,) = errors(stacbuild("cube", config, code=3))
    assert "bucket/wire/age.zarr" in line
    assert "broke" in line or "cannot be read" in line
    assert not (tmp_path / "work" / "data" / "age.zarr").exists()
    bucket.fault = None
    stacbuild("cube", config)
