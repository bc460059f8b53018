"""Codecs that run code, named by the metadata of a store."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_codecs import refused_codec
from stacbuild.formats.zarr_store import open_dataset
from tests.support.built import LAT, LON, built, zarr_store

PICKLE = {"id": "pickle", "protocol": 5}


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("array", ["v", "lat", "time"])
@pytest.mark.parametrize(
    "change",
    [
        {"compressor": PICKLE},
        {"filters": [PICKLE]},
        {"compressor": PICKLE, "filters": [{"id": "vlen-utf8"}], "dtype": "|O", "fill_value": None},
    ],
)
def test_no_chunk_is_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: str, change: dict[str, Any]
) -> None:
    # As numcodecs before 0.16.6 did.
    monkeypatch.setattr(numcodecs.Pickle, "decode", lambda _, buffer, __=None: pickle.loads(buffer))
    path = tmp_path / "src" / "one.zarr"
    zarr_store(path, ["2020-01-01"], v=np.ones((1, len(LAT), len(LON)), np.uint8))
    for name in (f"{array}/.zarray", ".zmetadata"):
        document = json.loads((path / name).read_text())
        inner = document["metadata"][f"{array}/.zarray"] if name == ".zmetadata" else document
        inner |= change
        (path / name).write_text(json.dumps(document))
    for chunk in (path / array).glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    # A cube may be built without `time`, as from a store that has none.
    result = built(tmp_path, {})
    assert "one.zarr" in result.message or (array == "time" and result.status == "COMPLETED")
    assert not (tmp_path / "ran").exists()


def test_a_codec_of_format_3_that_is_not_known_is_not_used(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    array = group.create_array("v", shape=(4,), dtype="u1", dimension_names=["x"])
    array[...] = 1
    # crc32c is one that zarr knows, under a name that we do not.
    zarr.registry.register_codec("runs_code", zarr.codecs.Crc32cCodec)
    for path in (tmp_path / "a.zarr").rglob("zarr.json"):
        path.write_text(path.read_text().replace('"zstd"', '"runs_code"'))
    with pytest.raises(IntegrityError, match=r"v/c/0: is encoded with 'runs_code'|v cannot be"):
        open_dataset(str(tmp_path / "a.zarr"))["v"].load()


def test_codecs_are_found_wherever_they_stand() -> None:
    inner = {"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]}
    assert refused_codec({"codecs": [{"name": "sharding_indexed", "configuration": inner}]}) == (
        "numcodecs.pickle"
    )
    assert refused_codec({"codecs": ["bytes", "zstd"], "filters": None}) is None
    assert refused_codec({"compressor": None, "filters": [PICKLE]}) == "pickle"
    for odd in ({}, {"codecs": 5}, {"codecs": {}}, {"filters": [5]}):
        assert refused_codec(odd) in (None, "None")
