"""The coordinates of a remote Zarr group take one round trip, not one each."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import MemoryStore, WrapperStore

from stacbuild.errors import StacbuildError
from stacbuild.formats import zarr_reused
from stacbuild.formats.zarr_bounds import BoundedStore
from stacbuild.formats.zarr_reused import ReusedStore, forget_reused, reuse
from stacbuild.formats.zarr_store import dataset_of, source_of


class Waves(WrapperStore[MemoryStore]):
    """A store whose answers come in waves: to all requests that were made before the last came."""

    def __init__(self, store: MemoryStore, waves: list[list[str]] | None = None) -> None:
        super().__init__(store)
        self.waves: list[list[str]] = [] if waves is None else waves
        self._open: list[str] | None = None

    def _with_store(self, store: MemoryStore) -> Waves:
        return type(self)(store, self.waves)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: Any = None
    ) -> Buffer | None:
        if self._open is None:
            self._open = []
            self.waves.append(self._open)
        self._open.append(key)
        for _ in range(20):
            await asyncio.sleep(0)
        self._open = None
        if key.startswith(BROKEN):
            raise OSError("broken")
        return await self._store.get(key, prototype, byte_range)


BROKEN = "broken/"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    forget_reused()


def opened(zarr_format: Any, **options: Any) -> tuple[Waves, zarr.Group]:
    axes = {"y": np.arange(5.0)[::-1], "x": np.arange(6.0), "time": np.arange(3)}
    values = np.ones((3, 5, 6), np.uint8)
    ds = xr.Dataset(
        {"v": (("time", "y", "x"), values)},
        {**axes, "spatial_ref": 0, "area": (("y", "x"), values[0])},
    )
    memory = MemoryStore()
    ds.to_zarr(memory, zarr_format=zarr_format, **({"consolidated": True} | options))
    below = Waves(memory)
    group = zarr.open_group(BoundedStore(ReusedStore(below), "memory"), mode="r")
    below.waves.clear()
    return below, group


def chunks(below: Waves) -> list[list[str]]:
    """Return the chunks of each wave, by the name of their array."""
    found = [
        sorted(key.split("/")[0] for key in wave if "/" in key and not key.endswith("json"))
        for wave in below.waves
    ]
    return [wave for wave in found if wave]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_coordinates_are_fetched_in_one_round_trip(zarr_format: int) -> None:
    below, group = opened(zarr_format)
    found = source_of(group, "memory")
    assert chunks(below) == [["time", "x", "y"]]
    assert found["x"].values.tolist() == [0, 1, 2, 3, 4, 5]
    # For a harvest nothing is kept.
    assert not zarr_reused._kept._found
    below, group = opened(zarr_format)
    reuse(group.store)
    found = source_of(group, "memory")
    assert int(found["spatial_ref"]) == 0
    assert chunks(below) == [["spatial_ref", "time", "x", "y"]]
    assert found["v"].values.sum() == 90
    assert chunks(below)[1:] == [["v"]]


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_coordinate_that_cannot_be_fetched_is_an_error_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, group = opened(3)
    monkeypatch.setattr("tests.formats.test_zarr_ahead.BROKEN", "y/")
    with pytest.raises(StacbuildError, match="memory"):
        source_of(group, "memory")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("why", ["many chunks", "not consolidated", "local", "shards"])
def test_nothing_is_fetched_ahead_where_it_would_not_help(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "many chunks":
        monkeypatch.setattr("stacbuild.formats.zarr_ahead._MOST_CHUNKS", 2)
    options: dict[str, Any] = {"consolidated": False} if why == "not consolidated" else {}
    if why == "shards":
        options["encoding"] = {name: {"shards": (6,), "chunks": (3,)} for name in ("x", "time")}
    below, group = opened(3, **options)
    if why == "local":
        group = zarr.open_group(BoundedStore(below, "memory"), mode="r")
        below.waves.clear()
    assert dataset_of(group, "memory")["x"].values.tolist() == [0, 1, 2, 3, 4, 5]
    assert all(len(wave) == 1 for wave in chunks(below) if "y" in wave)
