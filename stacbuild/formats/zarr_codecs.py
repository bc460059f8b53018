"""The codecs that chunks of a Zarr store are decoded with.

zarr decodes with whatever codec of an installed library the metadata name, and some of them run
code that is in the chunk (``pickle``). So only codecs are used that are known to read numbers and
text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NUMCODECS = frozenset(
    [
        "adler32",
        "astype",
        "base64",
        "bitround",
        "blosc",
        "bz2",
        "categorize",
        "crc32",
        "crc32c",
        "delta",
        "fixedscaleoffset",
        "fletcher32",
        "gzip",
        "jenkins_lookup3",
        "json2",
        "lz4",
        "lzma",
        "msgpack2",
        "packbits",
        "pcodec",
        "quantize",
        "shuffle",
        "vlen-array",
        "vlen-bytes",
        "vlen-utf8",
        "zfpy",
        "zlib",
        "zstd",
    ]
)
_ZARR_3 = frozenset(
    [
        "blosc",
        "bytes",
        "cast_value",
        "crc32c",
        "endian",
        "gzip",
        "scale_offset",
        "sharding_indexed",
        "transpose",
        "vlen-bytes",
        "vlen-utf8",
        "zstd",
    ]
)


def refused_codec(metadata: dict[str, Any]) -> str | None:
    """Return the name of a codec in the metadata of an array that is not used, if there is one.

    Parameters
    ----------
    metadata
        Content of ``.zarray`` or of the ``zarr.json`` of an array.
    """
    return next((name for name in _names(metadata) if not _is_known(name)), None)


def _is_known(name: str) -> bool:
    return name in _ZARR_3 or name.removeprefix("numcodecs.") in _NUMCODECS


def _names(value: Any) -> Iterator[str]:
    """Yield the codecs of an array, also those within shards; what is no codec has none."""
    if not isinstance(value, dict):
        return
    for key in ("compressor", "filters", "codecs", "index_codecs"):
        found = value.get(key)
        for codec in found if isinstance(found, list) else [found]:
            if isinstance(codec, str):
                yield codec
            elif isinstance(codec, dict):
                yield str(codec.get("id") or codec.get("name"))
                yield from _names(codec.get("configuration"))
