"""What a compressed chunk decodes to is known before it is decoded, also where it is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numcodecs import BZ2, LZ4, LZMA, Blosc, GZip, Zlib, Zstd
from numcodecs.abc import Codec

from stacbuild.formats.zarr_sizes import compressors, decoded_size

MB = 1 << 20


def sized(codec: Codec, data: bytes, most: int = 1 << 40) -> int | None:
    return decoded_size({"compressor": codec.get_config()}, memoryview(data), most)


@pytest.mark.parametrize("size", [1, 200, 300, 70_000, 3 * MB])
def test_sizes_are_true(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 4, size, np.uint8)
    for codec in (Zstd(1), Zstd(9), Blosc("zstd"), Blosc("lz4", shuffle=2), LZ4()):
        assert sized(codec, bytes(codec.encode(values))) == size


def test_sizes_that_only_decoding_tells() -> None:
    zeros = np.zeros(20 * MB, np.uint8)
    for codec in (BZ2(), LZMA(preset=0)):
        data = bytes(codec.encode(zeros))
        assert sized(codec, data, 18 * MB) in range(18 * MB, 20 * MB + 1)
        assert sized(codec, data[:-20], 18 * MB) != 0
    for codec in (GZip(), Zlib()):
        assert sized(codec, bytes(codec.encode(zeros[:MB]))) is None


def test_frames_of_zstd_are_added_up() -> None:
    one = bytes(Zstd().encode(np.zeros(MB, np.uint8)))
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert sized(Zstd(), skipped + one + skipped + one) == 2 * MB
    # Blocks of 128 KB of one repeated byte, in a frame that states no size.
    blocks = b"".join(
        ((1 << 17) << 3 | 1 << 1 | (number == 7)).to_bytes(3, "little") + b"\0"
        for number in range(8)
    )
    frame = b"\x28\xb5\x2f\xfd\x00\x58" + blocks
    assert bytes(Zstd().decode(frame)) == bytes(MB)
    assert sized(Zstd(), frame) == MB


@pytest.mark.parametrize("data", [b"", b"\x28\xb5\x2f\xfd", b"no zstd at all", b"\x50\x2a\x4d\x18"])
def test_what_is_no_zstd_has_no_size(data: bytes) -> None:
    assert sized(Zstd(), data) is None


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"compressor": {"id": "zlib"}, "filters": [{"id": "shuffle"}]}, ("zlib",)),
        ({"compressor": {"id": "zstd"}, "filters": [{"id": "zstd"}]}, ("zstd", "zstd")),
        (
            {"codecs": [{"name": "bytes"}, {"name": "numcodecs.zlib"}, {"name": "gzip"}]},
            ("zlib", "gzip"),
        ),
        ({"codecs": None, "compressor": None}, ()),
    ],
)
def test_compressors(metadata: dict[str, Any], names: tuple[str, ...]) -> None:
    assert compressors(metadata) == names
