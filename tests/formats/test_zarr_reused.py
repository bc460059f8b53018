"""Chunks of remote stores are fetched once, by few requests at a time."""

from __future__ import annotations

import asyncio
import math
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore, WrapperStore

import stacbuild as library
from stacbuild.formats import zarr_reused
from stacbuild.formats.zarr_bounds import BoundedStore
from stacbuild.formats.zarr_reused import ReusedStore, forget_reused, reuse
from tests.support.cli import configuration
from tests.support.file_server import FileServer

PROTOTYPE = default_buffer_prototype()


class Slow(WrapperStore[MemoryStore]):
    """A store that counts what is read, and gives others their turn meanwhile."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.read: Counter[str] = Counter()
        self.broken = False

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: Any = None
    ) -> Buffer | None:
        self.read[key] += 1
        await asyncio.sleep(0)
        if self.broken:
            raise OSError("broken")
        return await self._store.get(key, prototype, byte_range)


@pytest.fixture(autouse=True)
def forgotten() -> None:
    forget_reused()


def slow() -> tuple[Slow, ReusedStore]:
    below = Slow(MemoryStore())
    for key in ("zarr.json", "a/c/0", "a/c/1"):
        sync(below.set(key, PROTOTYPE.buffer.from_bytes(key.encode() * 10)))
    return below, ReusedStore(below)


async def read(store: ReusedStore, *keys: str) -> list[bytes | None]:
    found = await asyncio.gather(*(store.get(key, PROTOTYPE) for key in keys))
    return [None if each is None else each.to_bytes() for each in found]


def test_a_chunk_is_fetched_once_from_then_on() -> None:
    below, store = slow()
    keys = ("a/c/0", "a/c/0", "a/c/9", "zarr.json")
    assert sync(read(store, *keys)) == sync(read(store, *keys))
    assert below.read == {"a/c/0": 4, "a/c/9": 2, "zarr.json": 2}
    below.read.clear()
    reuse(BoundedStore(store))
    copy = store.with_read_only(True)
    for each in (store, copy):
        assert sync(read(each, *keys)) == [b"a/c/0" * 10, b"a/c/0" * 10, None, b"zarr.json" * 10]
    # At the same time and later, missing ones too; metadata were read before.
    assert below.read == {"a/c/0": 1, "a/c/9": 1}
    forget_reused()
    sync(read(store, "a/c/0"))
    assert below.read["a/c/0"] == 2


def test_stores_are_kept_apart() -> None:
    stores = [slow() for _ in range(2)]
    for _, store in stores:
        store.reuse()
    sync(stores[1][0].set("a/c/0", PROTOTYPE.buffer.from_bytes(b"other")))
    assert [sync(read(store, "a/c/0")) for _, store in stores] == [[b"a/c/0" * 10], [b"other"]]


def test_a_failure_is_not_kept() -> None:
    below, store = slow()
    store.reuse()
    below.broken = True
    with pytest.raises(OSError, match="broken"):
        sync(read(store, "a/c/0", "a/c/0"))
    below.broken = False
    assert sync(read(store, "a/c/0")) == [b"a/c/0" * 10]


def test_what_is_kept_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of 50 bytes a chunk, and what goes with it, one has room.
    monkeypatch.setattr(zarr_reused._kept, "max_bytes", 300)
    below, store = slow()
    store.reuse()
    sync(read(store, "a/c/0"))
    sync(read(store, "a/c/1"))
    sync(read(store, "a/c/1"))
    sync(read(store, "a/c/0"))
    assert below.read == {"a/c/0": 2, "a/c/1": 1}


# --- a cube from a store on a web server ---------------------------------------------------------

SIDE = 2400
STEP = 0.0001


def served(folder: Path, zarr_format: int) -> tuple[dict[str, bytes], Any]:
    """Return the files of a store of 6 x 6 chunks by their path on a server, and its values."""
    values = np.random.default_rng(8).integers(0, 4, (SIDE, SIDE), "uint8")
    centres = (np.arange(SIDE) + 0.5) * STEP
    coords = {"lat": 46 - centres, "lon": 10 + centres}
    store = xr.Dataset({"v": (("lat", "lon"), values)}, coords, {"time_coverage_start": "2020"})
    encoding: dict[str, Any] = {"v": {"chunks": (400, 400)}}
    store.to_zarr(folder / "s.zarr", zarr_format=zarr_format, consolidated=False, encoding=encoding)
    if zarr_format == 2:
        zarr.consolidate_metadata(folder / "s.zarr", zarr_format=2)
    return {
        f"/{path.relative_to(folder)}": path.read_bytes()
        for path in (folder / "s.zarr").rglob("*")
        if path.is_file()
    }, values


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3035"])
def test_each_chunk_is_fetched_once_for_all_windows(tmp_path: Path, crs: str) -> None:
    files, values = served(tmp_path, 2)
    flying = most = 0
    lock = threading.Lock()

    def count(handler: Any) -> bool:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        # Long enough for all that may be in flight to be so.
        time.sleep(0.005)
        with lock:
            flying -= 1
        return False

    side = SIDE * STEP
    grid = {"identifier": "g", "crs": crs, "tile_size": 290}
    # Beyond the source in EPSG:3035, so that all of it is on the grid; half a pixel off else.
    grid |= (
        {"bbox": [10, 46 - side, 10 + side, 46], "spatial_res": STEP}
        if crs == "EPSG:4326"
        else {"bbox": [4_316_000, 2_515_000, 4_346_000, 2_545_000], "spatial_res": 10}
    )
    with FileServer(files, faults=[count] * 1000) as server:
        source = {"identifier": "web", "store_id": "https", "store_params": {"root": server.url}}
        cube = {"identifier": "c", "store": "web", "data_id": "s.zarr", "grid_mapping": "g"}
        config = library.load_config(configuration(tmp_path, [cube], [source], grids=[grid]))
        library.harvest(config, tmp_path / "catalogs")
        server.asked.clear()
        most = 0
        [result] = library.build(config, tmp_path / "catalogs")
        assert result.status == "COMPLETED", result.message
        asked = Counter(each.path for each in server.asked)
    chunks = [path for path in files if re.search(r"/v/\d", path)]
    assert len(chunks) == math.ceil(SIDE / 400) ** 2
    assert {path: asked[path] for path in chunks} == dict.fromkeys(chunks, 1)
    assert asked["/s.zarr/.zmetadata"] == 1
    assert most <= 32
    if crs == "EPSG:4326":
        with xr.open_zarr(tmp_path / "data" / "c.zarr", mask_and_scale=False) as made:
            np.testing.assert_array_equal(made["v"], values)
