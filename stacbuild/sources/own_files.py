"""Files in a folder, described and grouped into data ids: series of dates, tiles, single files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stacbuild import progress
from stacbuild.config.patterns import compiled, is_pattern
from stacbuild.errors import Failures, LocalError, StacbuildError
from stacbuild.formats.file_format import Format, format_of
from stacbuild.geo.grid import PixelGrid
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted, harvester_of, lister_of
from stacbuild.sources.dating import date_in_name
from stacbuild.sources.file_names import alike, dated, first_word, literal, wildcard
from stacbuild.sources.listing_base import make_store
from stacbuild.stac.catalog import DATA_ID

if TYPE_CHECKING:
    import datetime as dt

    import pystac

    from stacbuild.sources.file_names import DatedName

_MOST_FILES = 10_000
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


@dataclass(frozen=True)
class OwnFiles:
    """What a folder has.

    Parameters
    ----------
    root
        Absolute path of the folder.
    unreadable
        One line for each file that cannot be a source, with its path and the reason.
    apart
        One line for files that others belong to by their names, but not by their headers.
    """

    root: Path
    groups: tuple[FileGroup, ...]
    unreadable: tuple[str, ...]
    apart: tuple[str, ...] = ()


def find_files(paths: Sequence[Path]) -> OwnFiles:
    """Return the data in folders and files on this machine; only headers are read.

    Parameters
    ----------
    paths
        A folder, or files and Zarr stores.

    Raises
    ------
    LocalError
        A path does not exist, or there is nothing that can be read.
    """
    root, entries, unreadable = _entries(paths)
    if len(entries) > _MOST_FILES:
        raise LocalError(f"{root}: has {len(entries)} files, more than {_MOST_FILES}; name some")
    items, failed = _describe(root, entries)
    unreadable += failed
    names = {path: dated(path) for path in items}
    templates = {name.template for name in names.values()}
    files = [OwnFile(path, _may(names[path], templates), item) for path, item in items.items()]
    if not files:
        why = f" ({len(unreadable)} cannot be read: {unreadable[0]})" if unreadable else ""
        raise LocalError(
            f"{root}: has no data that stacbuild reads{why}; it reads GeoTIFF, Zarr, NetCDF"
        )
    groups = tuple(_groups(files, entries))
    return OwnFiles(root, groups, tuple(unreadable), tuple(_apart(files, groups)))


def _may(name: DatedName, templates: set[str]) -> DatedName:
    """Return a name whose May is that of the other names: the short form equals the long one."""
    long = name.template.replace("%b", "%B")
    return replace(name, template=long) if long in templates else name


def _entries(paths: Sequence[Path]) -> tuple[Path, list[str], list[str]]:
    """Return the common folder, paths below it, and lines about those that are left out."""
    for path in paths:
        if not path.exists():
            raise LocalError(
                f"{path}: there is no such folder or file; name that of your data, or a "
                "configuration that ends in .yml"
            )
    # Links are kept, as a user wrote them.
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    folders = [path for path in absolute if path.is_dir() and not _is_zarr(path)]
    if len(folders) == len(absolute) == 1:
        root = folders[0]
    else:
        above = [path if path in folders else path.parent for path in absolute]
        root = Path(os.path.commonpath(above))
    found: dict[str, None] = {}
    left_out: list[str] = []
    for path in absolute:
        if path in folders:
            for name in _below(path, left_out):
                found.setdefault((path / name).relative_to(root).as_posix())
        else:
            found.setdefault(path.relative_to(root).as_posix())
    return root, sorted(found), left_out


def _below(folder: Path, left_out: list[str]) -> Iterator[str]:
    store = make_store("file", str(folder))
    yield from (entry.data_id for entry in lister_of(store).entries(store, None))
    for where, folders, names in os.walk(folder):
        folders[:] = [
            each for each in folders if not (each.startswith(".") or _is_zarr(Path(where, each)))
        ]
        for name in sorted(names):
            kind, path = format_of(name), Path(where, name)
            if kind.is_read and path.is_symlink() and path.is_file():
                # Listings leave links out, as those to folders may form cycles.
                yield path.relative_to(folder).as_posix()
            if not kind.is_read and kind is not Format.OTHER:
                left_out.append(f"{path.relative_to(folder)}: is {kind}, which is not read")


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _describe(root: Path, entries: Sequence[str]) -> tuple[dict[str, pystac.Item], list[str]]:
    """Return the items of the paths below a folder, and one line for each without."""
    store = make_store("file", str(root))
    usable = [path for path in entries if not is_pattern(path)]
    others = [path for path in entries if is_pattern(path)]
    failed = [f"{path}: has a wildcard or a brace in its name; rename it" for path in others]
    items: dict[str, pystac.Item] = {}
    with progress.reported_to(_OnlyTasks(progress.current())):
        try:
            wanted = Wanted(tuple(usable))
            for found in harvester_of(store).harvest(store, wanted, Profiles.load(())):
                for item in found.items:
                    items[str(item.properties[DATA_ID])] = item
        except Failures as failures:
            failed += [_line(root, name, error) for name, error in failures.failures]
        except StacbuildError as error:
            missing = [path for path in usable if path not in items]
            failed += [_line(root, path, error) for path in missing]
    for path in [each for each, item in items.items() if _is_cube(root / each)]:
        del items[path]
        failed.append(f"{path}: is a cube that stacbuild built")
    return items, failed


class _OnlyTasks:
    """Shows progress, but no messages: they come with the harvest, too."""

    def __init__(self, reporter: progress.Reporter) -> None:
        self.task = reporter.task

    def say(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""


def _is_cube(path: Path) -> bool:
    """Return whether a Zarr store is a cube of stacbuild, or a level of one."""
    import zarr

    if not path.is_dir():
        return False
    found = (zarr.open_group(each, mode="r") for each in (path, path.parent) if _is_zarr(each))
    return any("stacbuild_fingerprint" in group.attrs for group in found)


def _line(root: Path, path: str, error: StacbuildError) -> str:
    text = " ".join(str(error).split())
    for prefix in (f"{root / path}: ", f"{path}: "):
        text = text.removeprefix(prefix)
    return f"{path}: {text}"


def _groups(files: Sequence[OwnFile], entries: Sequence[str]) -> Iterator[FileGroup]:
    groups = _merged([[file] for file in files], lambda file: file.name.template)
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


def _apart(files: Sequence[OwnFile], groups: Sequence[FileGroup]) -> Iterator[str]:
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
                yield from _reasons(some, kinds)
                for file in some:
                    numbers.pop(file.path, None)


def _reasons(files: Sequence[OwnFile], kinds: Sequence[dict[str, Any]]) -> Iterator[str]:
    counts = Counter(map(repr, kinds))
    usual = kinds[max(range(len(kinds)), key=lambda index: counts[repr(kinds[index])])]
    first = next(file for file, kind in zip(files, kinds, strict=True) if kind == usual)
    found: dict[str, list[str]] = {}
    for file, kind in zip(files, kinds, strict=True):
        whats = [what for what in usual if kind.get(what) != usual[what]]
        if not whats and counts[repr(usual)] < len(files):
            continue
        why = "its pixels are not aligned with those of the others, or a time is there twice"
        if whats:
            mine, others = (str(each.get(whats[0])) for each in (kind, usual))
            short = max(len(mine), len(others)) < _SHORT
            why = f"its {whats[0]} " + (f"is {mine}, not {others}" if short else "differs")
        if file is not first:
            found.setdefault(why, []).append(file.path)
    for why, paths in found.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"{paths[0]}{more}: not one cube with {first.path}, as {why}"


def _fit(files: Sequence[OwnFile]) -> bool:
    """Return whether files are on one grid, and those of one time do not overlap."""
    transforms = np.array([file.grid.transform for file in files])
    pixel = np.array([transforms[0][0], transforms[0][4]])
    if not pixel.all():
        return False
    offsets = (transforms[:, [2, 5]] - transforms[0, [2, 5]]) / pixel
    if np.abs(offsets - np.round(offsets)).max() > _OFF:
        return False
    bounds = np.array([file.grid.bounds for file in files])
    times: dict[dt.datetime | None, list[int]] = {}
    for index, file in enumerate(files):
        times.setdefault(file.time, []).append(index)
    return all(_are_tiles(bounds[some]) for some in times.values())


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
