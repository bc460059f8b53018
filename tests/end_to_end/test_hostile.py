"""Inputs made to exhaust memory, disk or threads, or to lead where they may not."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import zarr
from numcodecs import BZ2, LZ4, Blosc, GZip, Zstd
from rasterio import Affine

from stacbuild.errors import RemoteError, StacbuildError
from stacbuild.formats.zarr_bounds import decoded_bytes
from stacbuild.formats.zarr_store import open_group
from stacbuild.net import http
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.speed import Patience
from tests.support.built import built, made, refused
from tests.support.cli import NORTH, WEST, Json, geotiff
from tests.support.file_server import FileServer

MB = 1 << 20


def compressed(body: bytes) -> Callable[[Any], bool]:
    """Answer with a body that is compressed for the way."""

    def answer(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return answer


def test_json_that_decompresses_to_far_more_is_not_read() -> None:
    bomb = gzip.compress(b'{"a": "' + b" " * 400 * MB + b'"}')
    assert len(bomb) < MB
    with FileServer(faults=[compressed(bomb)]) as server, http.session() as session:
        tracemalloc.start()
        try:
            with pytest.raises(RemoteError, match="is larger than 32 MB"):
                http.get_json(session, f"{server.url}/records/1")
            assert tracemalloc.get_traced_memory()[1] < 150 * MB
        finally:
            tracemalloc.stop()


def test_json_that_is_compressed_for_the_way_is_read() -> None:
    body = gzip.compress(b'{"a": 1}')
    with FileServer(faults=[compressed(body)]) as server, http.session() as session:
        assert http.get_json(session, f"{server.url}/a") == {"a": 1}


def test_json_nested_without_end_is_no_json() -> None:
    deep = b"[" * 200_000
    with (
        FileServer({"/a": deep}) as server,
        http.session() as session,
        pytest.raises(RemoteError, match="is not JSON"),
    ):
        http.get_json(session, f"{server.url}/a")


def test_json_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "JSON_PATIENCE", Patience(min_speed=1000, seconds=0.1))

    def trickle(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.02)
        return True

    with (
        FileServer(faults=[trickle]) as server,
        http.session() as session,
        pytest.raises(RemoteError, match=r"/a: the server sends only \d+ bytes per second"),
    ):
        http.get_json(session, f"{server.url}/a")


def test_zarr_metadata_is_not_taken_compressed_for_the_way() -> None:
    bomb = gzip.compress(b" " * 400 * MB)
    with FileServer(faults=[compressed(bomb)] * 9) as server:
        tracemalloc.start()
        try:
            with pytest.raises(StacbuildError, match="gzip encoding, which is not taken"):
                open_group(f"{server.url}/a.zarr")
            assert tracemalloc.get_traced_memory()[1] < 50 * MB
        finally:
            tracemalloc.stop()
        assert {asked.headers["Accept-Encoding"] for asked in server.asked} == {"identity"}


@pytest.mark.parametrize(
    "host",
    [
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[::]",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0",
        "10.1",
        "0xa000001",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "localhost",
        "LOCALHOST",
    ],
)
def test_no_spelling_of_an_inner_address_is_taken_for_one_of_the_web(host: str) -> None:
    assert leads_inwards("https://1.1.1.1/a", f"https://{host}/a")
    assert leads_inwards("https://1.1.1.1/a", f"https://{host}:8443/a")


def test_a_host_that_is_spelled_otherwise_is_what_the_system_takes_it_for() -> None:
    # What the spellings above rest on: they are resolved as a connection would resolve them.
    assert socket.getaddrinfo("0x7f000001", 80)[0][4][0] == "127.0.0.1"


def sparse(path: Path, **profile: Any) -> Path:
    """Write a GeoTIFF of a kilobyte or two, all of whose blocks are left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "driver": "GTiff",
        "width": 300_000,
        "height": 300_000,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:4326",
        "transform": Affine(1e-4, 0, 0, 0, -1e-4, 50),
        "compress": "deflate",
        "SPARSE_OK": True,
        "BIGTIFF": "YES",
    }
    with rasterio.open(path, "w", **(whole | profile)):
        pass
    assert path.stat().st_size < 10_000
    return path


def test_blocks_that_decode_to_gigabytes_are_refused(tmp_path: Path) -> None:
    sparse(tmp_path / "src" / "one.tif", tiled=True, blockxsize=32_768, blockysize=32_768)
    said = refused(tmp_path, {})
    assert "one.tif: a block of it is 32768 x 32768 pixels, 4.3 GB" in said
    assert "gdal_translate -co TILED=YES" in said


def test_a_strip_of_the_whole_width_is_measured_too(tmp_path: Path) -> None:
    sparse(tmp_path / "src" / "one.tif", width=1_000_000, height=1000, blockysize=1000)
    assert "a block of it is 1000 x 1000000 pixels, 4.0 GB" in refused(tmp_path, {})


def test_a_page_that_leads_back_to_itself_is_read_once(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "src" / "one.tif", tiled=False)
    content = bytearray(path.read_bytes())
    assert content[:4] == b"II*\0"
    first = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[first : first + 2], "little")
    following = first + 2 + 12 * entries
    content[following : following + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)
    result = built(tmp_path, {})
    assert result.status == "COMPLETED" or "one.tif" in result.message


def zarr_of(path: Path, codec: Json | None, chunk: bytes | None = None, **changes: Any) -> Path:
    """Write a Zarr group (format 2) of 100 x 100 values of one chunk; change its metadata or it."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["time_coverage_start"] = "2020-01-01"
    steps = 0.001 * (np.arange(120) + 0.5)
    lat, lon = NORTH + 0.01 - steps, WEST - 0.01 + steps
    for name, values, dims in (
        ("lat", lat, ["lat"]),
        ("lon", lon, ["lon"]),
        ("v", np.ones((120, 120), "float32"), ["lat", "lon"]),
    ):
        array = group.create_array(
            name, shape=values.shape, dtype=values.dtype, chunks=values.shape, compressors=None
        )
        array[...] = values
        array.attrs["_ARRAY_DIMENSIONS"] = dims
    metadata = json.loads((path / "v" / ".zarray").read_text())
    (path / "v" / ".zarray").write_text(json.dumps(metadata | {"compressor": codec} | changes))
    if chunk is not None:
        (path / "v" / "0.0").write_bytes(chunk)
    return path


def test_chunks_that_decompress_to_gigabytes_are_not_decompressed(tmp_path: Path) -> None:
    zeros = np.zeros(300 * MB, np.uint8)
    for number, codec in enumerate((Zstd(), Blosc("zstd"), Blosc("lz4"))):
        bomb = bytes(codec.encode(zeros))
        directory = tmp_path / str(number)
        zarr_of(directory / "src" / "one.zarr", codec.get_config(), bomb)
        said = refused(directory, {})
        assert "v/0.0: decompresses to 314.6 MB where a chunk holds 57.6 kB" in said


def test_chunks_that_hide_their_size_are_not_decompressed(tmp_path: Path) -> None:
    frames = bytes(Zstd().encode(np.zeros(57600, np.uint8))) * 600
    many = bytes(BZ2().encode(np.zeros(30 * MB, np.uint8)))
    for name, codec, bomb in (("zstd", Zstd(), frames), ("bz2", BZ2(), many)):
        zarr_of(tmp_path / name / "src" / "one.zarr", codec.get_config(), bomb)
        assert "v/0.0: decompresses to" in refused(tmp_path / name, {})
    zstd = Zstd().get_config()
    twice = bytes(Zstd().encode(Zstd().encode(np.zeros(30 * MB, np.uint8))))
    zarr_of(tmp_path / "twice" / "src" / "one.zarr", zstd, twice, filters=[zstd])
    assert "v/0.0: is compressed twice" in refused(tmp_path / "twice", {})


def test_chunks_of_usual_codecs_are_read(tmp_path: Path) -> None:
    for number, codec in enumerate(
        (Zstd(), Blosc("zstd"), Blosc("lz4"), Blosc("zlib"), GZip(), LZ4(), BZ2())
    ):
        values = np.random.default_rng(number).random((120, 120), np.float32)
        directory = tmp_path / str(number)
        zarr_of(directory / "src" / "one.zarr", codec.get_config(), bytes(codec.encode(values)))
        assert np.isclose(made(directory, {})["v"].values[0, 0], values[10, 10])


def test_chunks_and_coordinates_of_any_length_are_refused(tmp_path: Path) -> None:
    zarr_of(tmp_path / "a" / "src" / "one.zarr", None, chunks=[10**6, 10**6])
    assert "v/0.0: a chunk of 4.0 TB" in refused(tmp_path / "a", {})
    path = zarr_of(tmp_path / "b" / "src" / "one.zarr", None, shape=[10**12, 120])
    lat = json.loads((path / "lat" / ".zarray").read_text())
    (path / "lat" / ".zarray").write_text(json.dumps(lat | {"shape": [10**12]}))
    assert "has 1e+12 values along one dimension" in refused(tmp_path / "b", {})


@pytest.mark.parametrize("size", [1, 200, 300, 70_000, 5_000_000])
def test_what_a_compressed_buffer_says_of_itself_is_true(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 4, size, np.uint8)
    for codec in (Zstd(1), Zstd(9), Blosc("zstd"), Blosc("blosclz"), Blosc("lz4", shuffle=2)):
        encoded = bytes(codec.encode(values))
        assert decoded_bytes(encoded[:18], len(encoded)) == size
    assert decoded_bytes(bytes(values)[:18], size) is None
