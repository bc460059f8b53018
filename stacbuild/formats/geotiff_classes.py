"""Classes of a GeoTIFF's values: names and colours in the file and in the files beside it.

The file itself has at most a colour table. Beside a local file are read, and trusted in this order
where they differ: attribute table, category names and colour table of ``.aux.xml`` (GDAL, ArcGIS),
``.vat.dbf`` (ArcGIS), ``.clr`` (ArcGIS) and ``.qml`` (QGIS). None of them masks or scales a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio.io

from stacbuild.formats.class_tables import Found, TableError, read_aux, read_clr, read_dbf, read_qml
from stacbuild.nodata import held
from stacbuild.profiles import Class, DataProfile
from stacbuild.safe_text import clean, word_of

# Flags with more classes than this would fill the metadata of a cube; STAC items of others that
# have more are not taken as classes either.
_MOST_CLASSES = 1000
_MOST_BYTES = 4 * 2**20
# Colours of more values than this, without names, are those of a ramp.
_MOST_UNNAMED = 64
_LONGEST_NAME, _LONGEST_TITLE = 80, 200
_BLACK = "000000"
# Most values in a message.
_SHOWN = 5


@dataclass(frozen=True)
class FileClasses:
    """Classes of a GeoTIFF.

    Parameters
    ----------
    by_band
        Classes by band, from 1, ascending by value; only bands that have any.
    notes
        Lines that follow the file's name in a message: what is not used, and why.
    names_in
        Names of the files with the names of classes.
    """

    by_band: Mapping[int, tuple[Class, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    names_in: tuple[str, ...] = ()


def file_classes(dataset: rasterio.io.DatasetReader, path: Path | None = None) -> FileClasses:
    """Return the classes of an open GeoTIFF; no pixel is read.

    Parameters
    ----------
    path
        Path of a local file, to read the files beside it as well.
    """
    notes: list[str] = []
    found = [] if path is None else list(_beside(path, notes))
    by_band = {}
    for band, dtype in zip(dataset.indexes, dataset.dtypes, strict=True):
        mine = [each for each in found if each.band == band]
        palette = _palette(dataset, band)
        if dtype.startswith("complex") or not (mine or palette):
            continue
        if classes := _classes(mine, palette, np.dtype(dtype), notes):
            by_band[band] = classes
    notes += [_repeated(each.source, each.repeated) for each in found if each.repeated]
    names_in = dict.fromkeys(each.source for each in found if each.names)
    return FileClasses(by_band, tuple(dict.fromkeys(notes)), tuple(names_in))


def _repeated(source: str, values: Sequence[int]) -> str:
    listed = ", ".join(map(str, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")
    several = "values" if values[1:] else "value"
    return (
        f"has a file beside it ({source}) with rows that differ for the {several} {listed}; the "
        "first row of each value is used"
    )


def class_notes(found: FileClasses, profile: DataProfile) -> list[str]:
    """Return what is not used of classes, also because the profile has others."""
    return [*found.notes, *_unlike_profile(found, profile.classes or ())]


def _unlike_profile(found: FileClasses, stated: Sequence[Class]) -> list[str]:
    """Return a line if a profile names classes otherwise than the files; else nothing."""
    known = {each.value: each for each in stated}
    if not found.names_in or all(each.nodata for each in stated):
        return []
    where = ", ".join(found.names_in)
    for classes in found.by_band.values():
        for each in classes:
            if each.title is None:
                continue
            other = known.get(each.value)
            if other is None:
                says = "does not have that value"
            elif {_plain(other.name), _plain(other.title or other.name)} & {
                _plain(each.name), _plain(each.title)
            }:  # fmt: skip
                continue
            else:
                says = f"has {other.title or other.name!r}"
            line = f"calls the value {each.value} {each.title!r} ({where}), but its profile {says}"
            return [f"{line}, and the profile's classes count"]
    return []


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _beside(path: Path, notes: list[str]) -> Iterator[Found]:
    """Yield what the files beside a raster say, most trusted first."""
    stem = path.with_suffix("")
    for names, read in (
        ((f"{path}.aux.xml", f"{stem}.aux.xml"), read_aux),
        ((f"{path}.vat.dbf", f"{stem}.vat.dbf"), read_dbf),
        ((f"{path}.clr", f"{stem}.clr"), read_clr),
        ((f"{path}.qml", f"{stem}.qml"), read_qml),
    ):
        file = next((each for each in map(Path, names) if each.is_file()), None)
        if file is None:
            continue
        try:
            yield from read(_content(file, path), file.name)
        except TableError as error:
            notes.append(f"has a file beside it ({file.name}) that {error}; not used for classes")


def _content(file: Path, raster: Path) -> bytes:
    """Return the content of a file beside a raster, which may be a link within its folder only."""
    if file.resolve().parent not in (raster.parent.resolve(), raster.resolve().parent):
        raise TableError("is a link to another folder")
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror})") from error
    if len(content) > _MOST_BYTES:
        raise TableError(f"is larger than {_MOST_BYTES >> 20} MB")
    return content


def _palette(dataset: rasterio.io.DatasetReader, band: int) -> dict[int, str]:
    """Return the colours of a colour table, without the entries that pad it.

    TIFF has one for each possible value, 256 or 65536. Unused ones are black, by custom, so that
    black stays only of the value 0. GDAL makes that of nodata transparent.
    """
    try:
        table = dataset.colormap(band)
    except ValueError:
        return {}
    colors = {
        value: f"{red:02X}{green:02X}{blue:02X}"
        for value, (red, green, blue, alpha) in table.items()
        if alpha
    }
    if list(colors.values()).count(_BLACK) > 1:
        colors = {key: color for key, color in colors.items() if color != _BLACK or key == 0}
    return colors if set(colors.values()) != {_BLACK} else {}


def _classes(
    found: Sequence[Found], palette: Mapping[int, str], dtype: np.dtype, notes: list[str]
) -> tuple[Class, ...]:
    """Return the classes of one band: the named values, else those with a colour."""
    names: dict[int, str] = {}
    colors = dict(palette)
    for each in found:
        for value, name in each.names.items():
            title = _title(name)
            if not title:
                continue
            if _plain(names.setdefault(value, title)) != _plain(title):
                notes.append(
                    f"is given two names for the value {value}, {names[value]!r} and {title!r} "
                    f"({each.source}); the first is used"
                )
        for value, color in each.colors.items():
            colors.setdefault(value, color)
    values = sorted(names or colors)
    beyond = [value for value in values if held(value, dtype) is None]
    if beyond:
        notes.append(f"has a class {beyond[0]}, which is not a value of {dtype}; not used")
        values = [value for value in values if value not in set(beyond)]
    if len(values) > (_MOST_CLASSES if names else _MOST_UNNAMED):
        what = "names" if names else "colours, but no names,"
        notes.append(f"has {what} of {len(values)} values, too many for classes; not used")
        return ()
    return tuple(_named(values, names, colors))


def _named(
    values: Sequence[int], names: Mapping[int, str], colors: Mapping[int, str]
) -> Iterator[Class]:
    taken: set[str] = set()
    for value in values:
        title = names.get(value)
        name = word_of(title or "", _LONGEST_NAME) or f"class_{value}"
        if name.casefold() in taken:
            name = f"{name}_{value}"
        taken.add(name.casefold())
        yield Class(value=value, name=name, title=title, color_hint=colors.get(value))


def _title(text: str) -> str:
    return clean(" ".join(text.split()))[:_LONGEST_TITLE].strip()
