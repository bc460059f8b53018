"""A catalog whose collection has so many items that they are indexed."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pystac
import pytest

from stacbuild.stac.catalog import DATA_ID, STORE, Catalog, Harvest
from stacbuild.stac.index import INDEX

COLLECTION, ADDRESS, COUNT = "file-src", "file:src", 60

_SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def an_item(number: int, root: Path, **properties: Any) -> pystac.Item:
    """Return the item ``i_<number>`` of the data id ``d_<number>``."""
    item = pystac.Item(
        f"i_{number:03d}",
        {"type": "Polygon", "coordinates": [_SQUARE]},
        [0, 0, 1, 1],
        dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number),
        {STORE: ADDRESS, DATA_ID: f"d_{number}", **properties},
    )
    href = str(root.parent / "src" / f"d_{number}.tif")
    item.add_asset("data", pystac.Asset(href, roles=["data"]))
    return item


def put(catalog: Catalog, *items: pystac.Item) -> bool:
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    extent = pystac.Extent(
        pystac.SpatialExtent([[0.0, 0.0, 1.0, 1.0]]), pystac.TemporalExtent([[start, None]])
    )
    collection = pystac.Collection(COLLECTION, "Many items.", extent, title="src", license="other")
    collection.extra_fields[STORE] = ADDRESS
    return catalog.put(Harvest(collection, items))


def many_items(root: Path, count: int = COUNT) -> Catalog:
    catalog = Catalog(root)
    put(catalog, *(an_item(number, root) for number in range(count)))
    return catalog


def let_time_pass(root: Path) -> None:
    """Make the index of the collection an hour younger than its items."""
    index = root / COLLECTION / INDEX
    later = index.stat().st_mtime_ns + 3_600_000_000_000
    os.utime(index, ns=(later, later))


@contextmanager
def counted_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], int]]:
    """Count how often files whose name starts with some text are read."""
    names: list[str] = []
    read = Path.read_bytes

    def counting(path: Path) -> bytes:
        names.append(path.name)
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", counting)
        yield lambda start: sum(name.startswith(start) for name in names)
