"""Which files of a folder are one data id, by their names and headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stacbuild.config.patterns import compiled
from stacbuild.geo.grid import PixelGrid
from stacbuild.sources.dating import date_in_name
from stacbuild.sources.file_names import alike, first_word, literal, wildcard

if TYPE_CHECKING:
    import datetime as dt

    import pystac

    from stacbuild.sources.file_names import DatedName

# Tiles may overlap by this share of the smaller one.
_OVERLAP = 0.1
# Share of a pixel by which tiles of one grid may be off.
_OFF = 0.01
# Characters of a value that fits into a message.
_SHORT = 40


@dataclass(frozen=True)
class OwnFile:
    """A file or Zarr store.

    Parameters
    ----------
    path
        Relative to the folder, with slashes.
    name
        Its path with fields for dates.
    item
        Its description, as a harvest makes it.
    """

    path: str
    name: DatedName
    item: pystac.Item

    @property
    def time(self) -> dt.datetime | None:
        """The time in its name."""
        return self.name.time

    @property
    def grid(self) -> PixelGrid:
        """The grid of its pixels."""
        return PixelGrid.from_properties(self.item.properties)


@dataclass(frozen=True)
class FileGroup:
    """Files that are one data id.

    Parameters
    ----------
    data_id
        A path, a pattern, or a list of paths, relative to the folder.
    label
        Text for the name of a dataset.
    """

    data_id: str | tuple[str, ...]
    label: str
    files: tuple[OwnFile, ...]


def groups_of(files: Sequence[OwnFile], entries: Sequence[str]) -> Iterator[FileGroup]:
    """Yield the data ids of files: series of dates, tiles, single files.

    Parameters
    ----------
    files
        Those that can be read.
    entries
        Paths of all files in the folder, which a pattern must not match besides.
    """
    groups = _merged(_aligned_parts(files), lambda file: file.name.template)
    groups = _merged(groups, lambda file: alike(file.name.template))
    groups = _merged(groups, lambda file: first_word(file.name.template))
    for group in sorted(groups, key=lambda each: each[0].path):
        paths = tuple(file.path for file in group)
        if len(group) == 1:
            yield FileGroup(paths[0], paths[0], tuple(group))
            continue
        text = wildcard([file.name.template for file in group])
        pattern = compiled(text)
        label = literal(text)
        if tuple(each for each in entries if pattern.matches(each)) == paths:
            yield FileGroup(text, label, tuple(group))
        elif all(map(_is_dated_without_pattern, group)):
            yield FileGroup(paths, label, tuple(group))
        else:
            # In a list, their dates would be lost.
            yield from (FileGroup(file.path, file.path, (file,)) for file in group)


def _is_dated_without_pattern(file: OwnFile) -> bool:
    """Return whether a harvest finds the time of a file in its name, or it has none there."""
    if file.time is None:
        return True
    period = date_in_name(file.path)
    return period is not None and period.start == file.time and "end_time" not in file.name.template


def _merged(groups: Iterable[list[OwnFile]], key: Callable[[OwnFile], str]) -> list[list[OwnFile]]:
    """Merge groups of the same key and signature whose files can be one data id."""
    by_key: dict[Any, list[list[OwnFile]]] = {}
    for group in groups:
        by_key.setdefault((key(group[0]), repr(_signature(group[0]))), []).append(group)
    merged: list[list[OwnFile]] = []
    for some in by_key.values():
        whole = sorted((file for group in some for file in group), key=lambda file: file.path)
        merged += [whole] if len(some) > 1 and _fit(whole) else some
    return merged


def _aligned_parts(files: Sequence[OwnFile]) -> Iterator[list[OwnFile]]:
    """Yield single files; where the pixels of a series are not aligned, its aligned parts."""
    series: dict[Any, list[OwnFile]] = {}
    for file in files:
        key = file.name.template, repr(_signature(file))
        series.setdefault(key if file.time else file.path, []).append(file)
    for some in series.values():
        parts: list[list[OwnFile]] = []
        for file in some:
            part = next((each for each in parts if _aligned([each[0], file])), None)
            if part is None:
                parts.append(part := [])
            part.append(file)
        for part in parts:
            whole = len(parts) > 1 and len(part) > 1 and _fit(part)
            yield from [part] if whole else ([file] for file in part)


def _signature(file: OwnFile) -> dict[str, Any]:
    """Return what all files of a data id have in common, by its name."""
    properties, fields = file.item.properties, file.item.assets["data"].extra_fields
    transform = file.grid.transform
    pixel = [float(f"{transform[index]:.9g}") for index in (0, 4, 1, 3)]
    place = {"CRS": file.grid.crs, "pixel size": pixel if any(pixel[2:]) else pixel[:2]}
    if "cube:variables" in properties:
        known = properties["cube:variables"].items()
        lengths = {
            name: each
            for name, each in properties["cube:dimensions"].items()
            if each.get("axis") not in ("x", "y") and (name != "time" or file.time is None)
        }
        return place | {
            "list of variables": [
                (name, each["dimensions"], each["data_type"]) for name, each in known
            ],
            "dimensions": lengths,
            # A coordinate of time has a unit of its own in each file.
            "unit": _same([each.get("unit") for name, each in known if name != "time"]),
        }
    bands = [fields | band for band in fields.get("bands") or [{}]]
    # The nodata value of floats becomes NaN in a cube, that of integers stays.
    whole = [each for each in bands if "float" not in str(each.get("data_type"))]
    return place | {
        "data type": _same([each.get("data_type") for each in bands]),
        "number of bands": len(bands),
        "nodata value": _same([each.get("nodata") for each in whole]),
        "scale": _same([each.get("raster:scale", 1) for each in bands]),
        "offset": _same([each.get("raster:offset", 0) for each in bands]),
        "unit": _same([each.get("unit") for each in bands]),
        "time": "none" if file.time is None else "in its name",
    }


def _same(values: list[Any]) -> Any:
    return values[0] if values and values.count(values[0]) == len(values) else values


def files_apart(files: Sequence[OwnFile], groups: Sequence[FileGroup]) -> Iterator[str]:
    """Yield lines about files that are not in one group, although their names suggest it."""
    numbers = {file.path: number for number, group in enumerate(groups) for file in group.files}
    for dates in (True, False):
        by_name: dict[str, list[OwnFile]] = {}
        for file in files:
            name = file.name.template
            by_name.setdefault(name if dates else first_word(name), []).append(file)
        for some in by_name.values():
            if len({numbers.get(file.path) for file in some}) == 1:
                continue
            kinds = [_signature(file) for file in some]
            places = {repr([kind["CRS"], kind.get("pixel size")]) for kind in kinds}
            # Files at one place are products of their own, whatever their names begin with.
            if dates or (len(places) == 1 and _fit(some)):
                yield from _reasons(some, kinds, [numbers.get(file.path) for file in some])
                for file in some:
                    numbers.pop(file.path, None)


def _reasons(
    files: Sequence[OwnFile], kinds: Sequence[dict[str, Any]], numbers: Sequence[int | None]
) -> Iterator[str]:
    """Yield lines about files that are not in the largest group, given each file's group."""
    places = [repr(each) for each in zip(kinds, numbers, strict=True)]
    counts = Counter(places)
    index = max(range(len(files)), key=lambda each: counts[places[each]])
    usual, first = kinds[index], files[index]
    found: dict[str, list[str]] = {}
    for file, kind, place in zip(files, kinds, places, strict=True):
        if place == places[index]:
            continue
        whats = [what for what in usual if kind.get(what) != usual[what]]
        if whats:
            mine, others = (str(each.get(whats[0])) for each in (kind, usual))
            short = max(len(mine), len(others)) < _SHORT
            why = f"its {whats[0]} " + (f"is {mine}, not {others}" if short else "differs")
        elif not _aligned([first, file]):
            why = "its pixels are not aligned with those of the others"
        elif len(set(map(repr, kinds))) == 1:
            why = "a time is there twice"
        else:
            continue
        found.setdefault(why, []).append(file.path)
    for why, paths in found.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"{paths[0]}{more}: not one cube with {first.path}, as {why}"


def _fit(files: Sequence[OwnFile]) -> bool:
    """Return whether files are on one grid, and those of one time do not overlap."""
    if not _aligned(files):
        return False
    bounds = np.array([file.grid.bounds for file in files])
    times: dict[dt.datetime | None, list[int]] = {}
    for index, file in enumerate(files):
        times.setdefault(file.time, []).append(index)
    return all(_are_tiles(bounds[some]) for some in times.values())


def _aligned(files: Sequence[OwnFile]) -> bool:
    """Return whether the pixels of files are on one grid."""
    transforms = np.array([file.grid.transform for file in files])
    pixel = np.array([transforms[0][0], transforms[0][4]])
    if not pixel.all():
        return False
    offsets = (transforms[:, [2, 5]] - transforms[0, [2, 5]]) / pixel
    return bool(np.abs(offsets - np.round(offsets)).max() <= _OFF)


def _are_tiles(bounds: np.ndarray[Any, Any]) -> bool:
    """Return whether bounding boxes, of shape (n, 4), hardly overlap."""
    areas = np.prod(bounds[:, 2:] - bounds[:, :2], axis=1)
    for index in range(1, len(bounds)):
        others, one = bounds[:index], bounds[index]
        sides = np.minimum(others[:, 2:], one[2:]) - np.maximum(others[:, :2], one[:2])
        common = np.prod(np.clip(sides, 0, None), axis=1)
        if (common > _OVERLAP * np.minimum(areas[:index], areas[index])).any():
            return False
    return True
