"""Fields of a GRIB file as arrays: one group if they form one, several otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stacbuild.formats.grib_messages import Message

Json = dict[str, Any]


@dataclass(frozen=True)
class LatLon:
    """A regular grid of latitudes and longitudes in degrees.

    Parameters
    ----------
    latitudes, longitudes
        First and last one, and their number.
    by_column
        Whether values of one longitude are adjacent.
    """

    latitudes: tuple[float, float, int]
    longitudes: tuple[float, float, int]
    by_column: bool


@dataclass(frozen=True)
class GribField:
    """What the header of a message states.

    Parameters
    ----------
    reference, valid
        Reference time and valid time in seconds since 1970.
    level_type
        Name of the type of level, such as ``isobaricInhPa``; also that of the dimension.
    number
        Number of the ensemble member, 0 without.
    dtype
        Type that holds its values exactly.
    """

    message: Message
    name: str
    attrs: Json = field(compare=False)
    grid: LatLon
    level_type: str
    level: float
    step_type: str
    reference: int
    valid: int
    number: int
    data_type: str
    version: str
    dtype: str


@dataclass(frozen=True)
class Cube:
    """Fields of one variable, which are complete along its dimensions.

    Parameters
    ----------
    axes
        Values by dimension: ``number`` and the level only if there are several.
    fields
        In C order of the axes.
    """

    name: str
    axes: Mapping[str, tuple[float, ...]]
    fields: tuple[GribField, ...]


class _ClashError(ValueError):
    """Fields that do not form one group; the text follows the name of a variable."""


# What sets fields apart, in the order in which groups are named by it.
_CRITERIA: tuple[tuple[str, Callable[[GribField], Any]], ...] = (
    ("grid", lambda each: each.grid),
    ("", lambda each: each.level_type),
    ("", lambda each: each.step_type),
    ("", lambda each: each.name),
    ("", lambda each: each.data_type),
    ("expver", lambda each: each.version),
    ("level", lambda each: each.level),
    ("", lambda each: _stamp(each.reference)),
)


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M")


def grouped(fields: Iterable[GribField]) -> tuple[dict[str, list[Cube]], dict[str, str]]:
    """Return the variables of each group, and the reasons of those that form none.

    Fields of all kinds are in one group, the root, if names, grid and coordinates allow it;
    otherwise they are separated by one criterion after the other.
    """
    found: dict[str, list[Cube]] = {}
    failed: dict[str, str] = {}
    _split(list(fields), "", found, failed)
    return found, failed


def _split(
    fields: Sequence[GribField], path: str, found: dict[str, list[Cube]], failed: dict[str, str]
) -> None:
    try:
        found[path] = _cubes(fields)
    except _ClashError as error:
        parts = next(filter(lambda each: len(each) > 1, _separations(fields)), None)
        if parts is None:
            failed[fields[0].name] = str(error)
            return
        for name, part in parts.items():
            _split(part, f"{path}/{name}" if path else name, found, failed)


def _separations(fields: Sequence[GribField]) -> Iterator[dict[str, list[GribField]]]:
    """Yield the fields by the name of a group, for one criterion after the other."""
    for label, value in _CRITERIA:
        parts: dict[Any, list[GribField]] = {}
        for each in fields:
            parts.setdefault(value(each), []).append(each)
        if label == "grid":
            yield {f"grid{number}": part for number, part in enumerate(parts.values(), 1)}
        else:
            yield {
                f"{label}{key:g}" if isinstance(key, float) else f"{label}{key}": part
                for key, part in parts.items()
            }


def _cubes(fields: Sequence[GribField]) -> list[Cube]:
    """Return the variables of fields.

    Raises
    ------
    _ClashError
        They do not fit into one group.
    """
    named: dict[str, list[GribField]] = {}
    for each in fields:
        named.setdefault(each.name, []).append(each)
    cubes = [_cube(name, own) for name, own in named.items()]
    axes: dict[str, tuple[float, ...]] = {}
    for cube in cubes:
        for dim, values in cube.axes.items():
            if axes.setdefault(dim, values) != values:
                raise _ClashError(f"has other values of {dim} than other variables")
    if len({each.grid for each in fields}) > 1:
        raise _ClashError("is on another grid than other variables")
    if axes.keys() & named.keys():
        raise _ClashError("is named as a dimension")
    return cubes


def _cube(name: str, fields: Sequence[GribField]) -> Cube:
    # One type each: a product that mixes them would not say which of its values is what.
    for what, values in (
        ("several types of level", {each.level_type for each in fields}),
        ("several kinds of steps", {each.step_type for each in fields}),
    ):
        if len(values) > 1:
            raise _ClashError(f"has {what}: {', '.join(sorted(values))}")
    axes: dict[str, tuple[float, ...]] = {
        "number": tuple(sorted({each.number for each in fields})),
        "time": tuple(sorted({each.valid for each in fields})),
        fields[0].level_type: tuple(sorted({each.level for each in fields})),
    }
    ordered = sorted(fields, key=lambda each: (each.number, each.valid, each.level))
    if len({(each.number, each.valid, each.level) for each in fields}) < len(fields):
        raise _ClashError("has several fields of the same time, level and member")
    if len(fields) < math.prod(map(len, axes.values())):
        raise _ClashError("lacks fields of some times, levels or members")
    kept = {dim: values for dim, values in axes.items() if dim == "time" or len(values) > 1}
    return Cube(name, kept, tuple(ordered))
