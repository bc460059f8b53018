"""The decoded size of compressed chunks, without decoding them where the format states it."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_COMPRESSORS = frozenset(["blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"])
# Codecs that only append a checksum to compressed bytes.
_CHECKSUMS = frozenset(["crc32c", "fletcher32"])
# Bytes that are decoded at a time to measure.
_STEP = 1 << 20
# Most bytes that a block of zstd decodes to (RFC 8878, 3.1.1.2.4).
_ZSTD_BLOCK = 128 << 10
# Formats that have to be decoded to know, with the most that they expand zeros to; that is done
# only if it can be more than a few megabytes.
_MEASURED = {"bz2": 1_200_000, "lzma": 7_500}
_SMALL = 16 << 20


def compressors(metadata: Json) -> tuple[str, ...]:
    """Return the compressors of an array, the one that is undone first at the end.

    Parameters
    ----------
    metadata
        Content of ``.zarray`` or of the ``zarr.json`` of an array. Codecs within shards are not
        among them.
    """
    return tuple(name for name in _names(metadata) if name in _COMPRESSORS)


def decoded_size(metadata: Json, data: memoryview, most: int) -> int | None:
    """Return the decoded size of a chunk in bytes; None if it is unknown.

    It may be too large for zstd without a stated size, by less than 128 KB a block. For bz2 and
    lzma, it is at most a little more than *most*. For gzip and zlib, which expand to at most 1032
    times their length, it is unknown.

    Parameters
    ----------
    metadata
        The metadata of the array.
    data
        The chunk as stored.
    most
        Size from which on it does not matter.

    Notes
    -----
    Zstandard: RFC 8878. Blosc 1: https://www.blosc.org/c-blosc/chunk_format.html. LZ4: numcodecs
    writes the size before the block.
    """
    names = [name for name in _names(metadata) if name not in _CHECKSUMS]
    last = names[-1] if names else ""
    if last == "zstd":
        return _zstd(data, most)
    if last == "blosc" and len(data) >= 16:
        return int.from_bytes(data[4:8], "little")
    if last == "lz4" and len(data) >= 4:
        return int.from_bytes(data[:4], "little")
    if last in _MEASURED and len(data) * _MEASURED[last] > max(most, _SMALL):
        return _measured(last, data, most)
    return None


def _names(metadata: Json) -> Iterator[str]:
    """Yield the names of the codecs of an array in the order of encoding."""
    found = metadata.get("codecs")
    if not isinstance(found, list):
        filters = metadata.get("filters")
        found = [*(filters if isinstance(filters, list) else ()), metadata.get("compressor")]
    for codec in found:
        name = codec.get("name") or codec.get("id") if isinstance(codec, dict) else codec
        if isinstance(name, str):
            yield name.removeprefix("numcodecs.")


def _zstd(data: memoryview, most: int) -> int | None:
    """Return the decoded size of all frames of zstd; None if there are none."""
    at, total, known = 0, 0, False
    while at + 5 <= len(data) and total <= most:
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic >> 4 == 0x184D2A5:  # a skippable frame
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if magic != 0xFD2FB528:
            break
        known = True
        descriptor = data[at + 4]
        single = bool(descriptor & 0x20)
        width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
        at += 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
        stated = int.from_bytes(data[at : at + width], "little") + 256 * (width == 2)
        at += width
        blocks, is_last = 0, False
        while not is_last and at + 3 <= len(data) and blocks * _ZSTD_BLOCK <= most:
            header = int.from_bytes(data[at : at + 3], "little")
            is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            at += 3 + (1 if kind == 1 else size)
            blocks += 1
        total += stated if width else blocks * _ZSTD_BLOCK
        at += 4 * bool(descriptor & 0x04)
    return total if known else None


def _measured(codec: str, data: memoryview, most: int) -> int | None:
    """Return the size that data decode to, without keeping what is decoded."""
    total, left = 0, bytes(data)
    try:
        while left and total <= most:
            stream: Any = bz2.BZ2Decompressor() if codec == "bz2" else lzma.LZMADecompressor()
            while not stream.eof and total <= most:
                part = stream.decompress(left, _STEP)
                if not part and stream.needs_input:
                    return total
                total, left = total + len(part), b""
            left = stream.unused_data
    except (OSError, ValueError, EOFError, lzma.LZMAError):
        # Damaged, which decoding reports.
        return None
    return total
