"""Whether a cube is what its item says: its metadata, its chunks, and what is in them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
import zarr.errors

from stacbuild.describe.zarr import projection
from stacbuild.describe.zarr_chunks import CHUNKS, chunk_sizes, expected_keys, totals
from stacbuild.describe.zarr_cube import cube_dimensions, cube_variables
from stacbuild.describe.zarr_grid import CubeGrid, grid_of
from stacbuild.errors import IntegrityError, MissingError, NotFoundError, StacbuildError
from stacbuild.fetch.zarr_store import dataset_of, is_consolidated, open_group, read_error

if TYPE_CHECKING:
    import pystac

    from stacbuild.progress import Reporter

Json = dict[str, Any]

# Decoded chunks in memory at a time while all are read.
_BYTES_AT_ONCE = 512 * 2**20
# Names of chunks in a message; all of them stand in `Found.damaged`.
_NAMED = 5
_COMPARED = ("proj:code", "proj:shape", "proj:transform", "proj:bbox")
_COMPARED_OF_DIMENSIONS = ("type", "axis", "extent", "step", "values")
_COMPARED_OF_VARIABLES = ("type", "dimensions", "data_type", "chunks")


@dataclass
class Found:
    """What was found of one cube or source.

    Parameters
    ----------
    problems
        One error a problem, each in one line that names the place.
    notes
        What could not be looked at, and why.
    damaged
        Keys of the chunks that are missing or cannot be decoded, by variable.
    chunks, bytes
        How many chunks, and bytes in them, were looked at.
    """

    problems: list[StacbuildError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: dict[str, list[str]] = field(default_factory=dict)
    chunks: int = 0
    bytes: int = 0

    def wrong(self, message: str) -> None:
        """Add a problem of the data."""
        self.problems.append(IntegrityError(message))


def check_cube(
    name: str,
    read: str,
    options: Json | None,
    item: pystac.Item | None,
    *,
    deep: bool,
    reporter: Reporter,
) -> Found:
    """Compare a cube with its item and manifest, and with *deep* read every chunk.

    Parameters
    ----------
    name
        Of the cube, for progress.
    read, options
        Where it is read, as for `stacbuild.fetch.zarr_store.open_group`.
    item
        Its item; None for a cube in memory, which has none.
    """
    found = Found()
    try:
        group = open_group(read, options)
    except (NotFoundError, MissingError):
        found.wrong(f"{read}: is in the catalog, but there is no cube; stacbuild cube builds it")
        return found
    except StacbuildError as error:
        found.problems.append(error)
        return found
    try:
        _check_metadata(group, read, found)
        variables = _check_dataset(group, read, options, item, found)
        _check_chunks(name, group, read, options, item, variables, deep, reporter, found)
    except StacbuildError as error:
        found.problems.append(error)
    except Exception as error:  # noqa: BLE001 - whatever damaged metadata lead zarr or xarray to
        found.problems.append(read_error(error, read, options))
    return found


def _check_metadata(group: zarr.Group, read: str, found: Found) -> None:
    """Compare what is consolidated with each array's own metadata."""
    if not is_consolidated(group):
        found.wrong(f"{read}: its consolidated metadata are gone; build the cube again")
        return
    for name, array in group.arrays():
        try:
            own = zarr.open_array(group.store, path=name, mode="r")
        except (FileNotFoundError, zarr.errors.ArrayNotFoundError):
            found.wrong(f"{read}: {name}: its own metadata are gone; build the cube again")
            continue
        if not _same(own.metadata.to_dict(), array.metadata.to_dict()):
            found.wrong(f"{read}: {name}: its metadata are not those that are consolidated")


def _check_dataset(
    group: zarr.Group, read: str, options: Json | None, item: pystac.Item | None, found: Found
) -> list[str]:
    """Compare grid, dimensions and variables with the item; give the names of the variables."""
    with dataset_of(group, read, options) as cube:
        variables = [str(name) for name in cube.data_vars]
        if item is None:
            return variables
        try:
            grid = grid_of(cube)
        except StacbuildError as error:
            # It was a grid when it was built.
            raise IntegrityError(f"{read}: {error}; build the cube again") from error
        _check_centres(cube, grid, item, read, found)
        is_now = projection(grid)
        is_now |= _flat("cube:dimensions", cube_dimensions(cube, grid), _COMPARED_OF_DIMENSIONS)
        is_now |= _flat("cube:variables", cube_variables(cube), _COMPARED_OF_VARIABLES)
    said = {key: item.properties.get(key) for key in _COMPARED}
    for key, fields in (
        ("cube:dimensions", _COMPARED_OF_DIMENSIONS),
        ("cube:variables", _COMPARED_OF_VARIABLES),
    ):
        said |= _flat(key, item.properties.get(key, {}), fields)
    for key in sorted(said.keys() | is_now.keys()):
        if not _same(said.get(key), is_now.get(key)):
            found.wrong(
                f"{read}: {key} is {_short(is_now.get(key))}, its item says {_short(said.get(key))}"
            )
    return variables


def _check_centres(
    cube: xr.Dataset, grid: CubeGrid, item: pystac.Item, read: str, found: Found
) -> None:
    """Compare every pixel centre with the item's grid: coordinates carry no checksum."""
    transform = item.properties["proj:transform"]
    for dim, step, start in (
        (grid.x, transform[0], transform[2]),
        (grid.y, transform[4], transform[5]),
    ):
        values = np.asarray(cube[dim].values, "float64")
        centres = start + (np.arange(values.size) + 0.5) * step
        off = np.abs(values - centres) > abs(step) * 1e-6
        if off.any():
            found.wrong(
                f"{read}: {dim}: {int(off.sum())} of {off.size} coordinates are not those of the "
                f"grid in its item, the first at {int(off.argmax())}"
            )


def _check_chunks(
    name: str,
    group: zarr.Group,
    read: str,
    options: Json | None,
    item: pystac.Item | None,
    variables: Sequence[str],
    deep: bool,
    reporter: Reporter,
    found: Found,
) -> None:
    arrays: dict[str, zarr.Array[Any]] = {each: group[each] for each in variables}  # type: ignore[misc]
    manifest = item.assets["data"].extra_fields.get(CHUNKS) if item else None
    if item and manifest is None:
        found.notes.append(
            f"{read}: was built before chunks were counted; only looked at whether each is there"
        )
    for missing in (manifest or {}).keys() - arrays.keys():
        found.wrong(f"{read}: {missing}: the variable is not there, its item says it is")
    listed = not read.startswith(("http://", "https://"))
    if not listed:
        found.notes.append(
            f"{read}: a web server lists no chunks, so none that is missing can be found; "
            "give the configuration, or an address on S3"
        )
    suspects = dict(arrays) if deep else {}
    for variable, array in arrays.items():
        if listed and not _check_listing(read, variable, array, manifest, found):
            suspects[variable] = array
    if suspects:
        total = sum(array.nchunks for array in suspects.values())
        with reporter.task(f"{name}: read", total=total, unit="chunks") as task:
            for variable, array in suspects.items():
                before = len(found.problems)
                _read_chunks(read, options, variable, array, task.advance, found)
                if listed and len(found.problems) == before:
                    _check_total(read, variable, array, manifest, found)
    if deep:
        unsure = [variable for variable, array in arrays.items() if not _has_checksum(array)]
        if unsure:
            found.notes.append(
                f"{read}: chunks of {', '.join(unsure)} carry no checksum (Zarr format 2 has "
                "none): a change that still decodes cannot be found"
            )


def _check_listing(
    read: str, variable: str, array: zarr.Array[Any], manifest: Any, found: Found
) -> bool:
    """Look for chunks that are missing or strange; tell whether all bytes are accounted for."""
    sizes = chunk_sizes(array.store, variable)
    expected = dict.fromkeys(expected_keys(array))
    found.chunks += len(sizes)
    found.bytes += sum(sizes.values())
    missing = [key for key in expected if key not in sizes]
    strange = [key for key in sizes if key not in expected]
    if missing:
        found.damaged.setdefault(variable, []).extend(missing)
        found.wrong(
            f"{read}: {variable}: {len(missing)} of {len(expected)} chunks are missing: "
            f"{_names(array, missing)}; build the cube again"
        )
    if strange:
        found.wrong(
            f"{read}: {variable}: holds what is none of its chunks: {', '.join(strange[:_NAMED])}"
            f"{f' and {len(strange) - _NAMED} more' if len(strange) > _NAMED else ''}; remove it"
        )
    stated = (manifest or {}).get(variable)
    return not missing and not strange and stated in (None, totals(sizes))


def _check_total(
    read: str, variable: str, array: zarr.Array[Any], manifest: Any, found: Found
) -> None:
    """Say that bytes differ where no chunk is damaged in itself, and none is missing."""
    sizes = chunk_sizes(array.store, variable)
    stated = (manifest or {}).get(variable)
    if stated is None or len(sizes) != stated["count"] or variable in found.damaged:
        return
    more = sum(sizes.values()) - stated["bytes"]
    if more:
        found.wrong(
            f"{read}: {variable}: its chunks can be read, but have {abs(more)} bytes "
            f"{'more' if more > 0 else 'fewer'} than when they were written: something else "
            "wrote there; build the cube again"
        )


def _read_chunks(
    read: str,
    options: Json | None,
    variable: str,
    array: zarr.Array[Any],
    advance: Callable[[], None],
    found: Found,
) -> None:
    """Decode every chunk, so that checksums are compared; several at once, few in memory."""
    known = set(found.damaged.get(variable, ()))
    bad: list[str] = []
    said = ""
    for index, error in _decoded(array):
        advance()
        if error is None:
            continue
        told = read_error(error, read, options)
        key = array.metadata.encode_chunk_key(index)
        if not isinstance(told, IntegrityError):
            # The disk or the server, not the data: the other chunks would say the same.
            found.problems.append(
                type(told)(f"{told} (chunk {key} of {variable}, {_window(array, index)})")
            )
            break
        if key not in known:
            bad.append(key)
            said = said or " ".join(str(error).split())
    if bad:
        found.damaged.setdefault(variable, []).extend(bad)
        found.wrong(
            f"{read}: {variable}: {len(bad)} of {array.nchunks} chunks are damaged: "
            f"{_names(array, bad)} ({said}); build the cube again"
        )


def _decoded(array: zarr.Array[Any]) -> Iterator[tuple[tuple[int, ...], Exception | None]]:
    size = max(1, int(np.prod(array.chunks)) * array.dtype.itemsize)
    workers = max(1, min(os.cpu_count() or 1, _BYTES_AT_ONCE // size))

    def read(index: tuple[int, ...]) -> tuple[tuple[int, ...], Exception | None]:
        try:
            array[_region(array, index)]
        except Exception as error:  # noqa: BLE001 - each codec has its own; given to who asked
            return index, error
        return index, None

    waiting: set[Future[tuple[tuple[int, ...], Exception | None]]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for index in np.ndindex(array.cdata_shape):
                waiting.add(pool.submit(read, index))
                if len(waiting) >= 2 * workers:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _region(array: zarr.Array[Any], index: Sequence[int]) -> tuple[slice, ...]:
    return tuple(
        slice(place * chunk, min((place + 1) * chunk, length))
        for place, chunk, length in zip(index, array.chunks, array.shape, strict=True)
    )


def _names(array: zarr.Array[Any], keys: Sequence[str]) -> str:
    """Name chunks by key and place, the first few of many."""
    wanted = set(keys[:_NAMED])
    places = {
        key: _window(array, index)
        for index in np.ndindex(array.cdata_shape)
        if (key := array.metadata.encode_chunk_key(index)) in wanted
    }
    text = ", ".join(f"{key} [{places[key]}]" for key in keys[:_NAMED])
    return text + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")


def _window(array: zarr.Array[Any], index: Sequence[int]) -> str:
    # Format 2 has the names of dimensions in an attribute, by xarray's convention.
    names: Any = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS")
    names = names or [f"axis {axis}" for axis in range(array.ndim)]
    return ", ".join(
        f"{dim} {region.start}:{region.stop}"
        for dim, region in zip(names, _region(array, index), strict=True)
    )


def _has_checksum(array: zarr.Array[Any]) -> bool:
    """Tell whether the last codec of the chunks checks them."""
    names = [type(codec).__name__ for codec in array.compressors]
    return any("Crc32" in name for name in names) or any(
        getattr(codec, "checksum", False) for codec in array.compressors
    )


def _flat(section: str, described: Json, fields: Sequence[str]) -> Json:
    return {
        f"{section}.{name}.{key}": entry[key]
        for name, entry in described.items()
        for key in fields
        if key in entry
    }


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in JSON, numbers but for their last digits.

    Another version of a library may round those otherwise.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9) or (one != one and other != other)
    return bool(one == other)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
