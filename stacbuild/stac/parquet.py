"""Write items as stac-geoparquet with rustac.

The specification is https://github.com/radiantearth/stac-geoparquet-spec. rustac is optional, and
imported when it is used.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from stacbuild.atomic import sweep_dead, temporary
from stacbuild.errors import LocalError, StacbuildError
from stacbuild.stac.extensions import INPUTS

Json = dict[str, Any]

# Provenance of a cube: objects whose keys differ between cubes; each key would become a column.
_NOT_IN_PARQUET = {"processing:expression", INPUTS}

# Items that are in memory at once.
_BATCH = 500


def can_write_parquet() -> bool:
    """Return whether rustac is installed."""
    return importlib.util.find_spec("rustac") is not None


def write_parquet(
    path: Path, items: Callable[[], Iterable[Json]], collection: Json | None = None
) -> None:
    """Write items as stac-geoparquet by atomic replace.

    Parameters
    ----------
    items
        Returns the items, all of them with a geometry. It is called twice: the first time to find
        the type of each column, so that not all items are in memory at once.
    collection
        The collection, for the metadata of the file.

    Raises
    ------
    LocalError
        If it cannot be written.
    StacbuildError
        If rustac cannot write these items; the message has its reason.
    """
    beside = temporary(path)
    try:
        sweep_dead(path)
        # In a thread, since a notebook already runs an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _write(beside, items, collection)).result()
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as error:
        raise LocalError(f"{path}: cannot be written: {error.strerror}") from error
    except StacbuildError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise StacbuildError(f"{path}: rustac could not write it ({reason})") from error
    finally:
        beside.unlink(missing_ok=True)


async def _write(path: Path, items: Callable[[], Iterable[Json]], collection: Json | None) -> None:
    from rustac.geoparquet import geoparquet_writer

    # rustac takes the columns and their types from the first items: a field that none of them has
    # would be lost, and a float in a column of integers truncated. So one of each structure is
    # first.
    examples: dict[Any, tuple[int, Json]] = {}
    has_wkt = False
    for number, row in enumerate(_rows(items())):
        examples.setdefault(_structure(row), (number, row))
        has_wkt = has_wkt or any(isinstance(each, str) for each in _reference_systems(row))
    first = dict(examples.values())
    rest = (row for number, row in enumerate(_rows(items())) if number not in first)
    one_type = _with_codes_as_text if has_wkt else list
    async with geoparquet_writer(one_type(first.values()), str(path)) as writer:
        while batch := one_type(islice(rest, _BATCH)):
            await writer.write(batch)
        if collection is not None:
            # Its annotations do not say that it is a coroutine.
            await writer.add_collection(collection)  # type: ignore[misc, func-returns-value]


def _rows(items: Iterable[Json]) -> Iterator[Json]:
    for item in items:
        properties = {
            key: value for key, value in item["properties"].items() if key not in _NOT_IN_PARQUET
        }
        yield _for_parquet(item | {"properties": properties})


def _reference_systems(row: Json) -> Iterator[Any]:
    for dimension in row["properties"].get("cube:dimensions", {}).values():
        yield dimension.get("reference_system")


def _with_codes_as_text(rows: Iterable[Json]) -> list[Json]:
    """Return rows with EPSG codes as text, as a column cannot hold numbers and WKT."""
    rows = list(rows)
    for row in rows:
        for dimension in row["properties"].get("cube:dimensions", {}).values():
            if isinstance(code := dimension.get("reference_system"), int):
                dimension["reference_system"] = f"EPSG:{code}"
    return rows


def _structure(value: Any) -> Any:
    """Return the keys and types of a JSON value, for comparison."""
    if isinstance(value, dict):
        return frozenset((key, _structure(each)) for key, each in value.items())
    if isinstance(value, list):
        return "list", frozenset(map(_structure, value))
    return type(value).__name__


def _for_parquet(value: Any) -> Any:
    """Remove empty objects and string nodata values: a Parquet column has a single type."""
    if isinstance(value, dict):
        return {
            key: _for_parquet(each)
            for key, each in value.items()
            if each != {} and not (key == "nodata" and isinstance(each, str))
        }
    if isinstance(value, list):
        return [_for_parquet(each) for each in value]
    return value


def footer(path: Path) -> bytes:
    """Return the footer of a Parquet file, which contains column names and metadata.

    It is empty if the path is no Parquet file, or a link.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return b""
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            length, magic = int.from_bytes(file.read(4), "little"), file.read(4)
            if magic != b"PAR1":
                return b""
            file.seek(-8 - length, os.SEEK_END)
            return file.read(length)
    except OSError:
        return b""
