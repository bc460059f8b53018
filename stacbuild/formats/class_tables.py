"""Names and colours of classes in files beside a raster: attribute tables, palettes, styles.

The readers take the content of small files that anyone may have written. They open no other file,
and expand no entities.
"""

from __future__ import annotations

import math
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

# Usage of a column of GDAL's attribute tables: GDALRATFieldUsage in gdal.h.
_NAME, _MIN, _MAX, _VALUE, _RED, _GREEN, _BLUE = "2", "3", "4", "5", "6", "7", "8"
# Names of columns that other programs give no usage.
_USAGES = {
    "value": _VALUE,
    "red": _RED,
    "green": _GREEN,
    "blue": _BLUE,
    "r": _RED,
    "g": _GREEN,
    "b": _BLUE,
}
_NAMES = ("class_name", "classname", "class_names", "name", "label", "class", "category", "legend")
_MOST_ROWS = 70_000
_MOST_COLUMNS = 255


class TableError(Exception):
    """A file that has no classes that can be used; the message follows its name."""


@dataclass(frozen=True)
class Found:
    """Names and colours (``RRGGBB``) by value, of a band of a raster, in the file *source*.

    Of several rows of one value, the first counts; ``repeated`` are the values whose rows have
    different names or colours.
    """

    source: str
    band: int = 1
    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)
    repeated: Sequence[int] = ()


@dataclass(frozen=True)
class _Row:
    value: int
    name: str | None
    color: str | None


@dataclass(frozen=True)
class _Column:
    name: str
    usage: str = "0"
    is_text: bool = False


def read_aux(content: bytes, source: str) -> Iterator[Found]:
    """Yield the attribute table, category names and colours of each band of an ``.aux.xml``.

    https://gdal.org/user/raster_data_model.html

    Raises
    ------
    TableError
        If it is not XML, or a table is not one of single values.
    """
    root = _parse(content)
    for element in root.iter("PAMRasterBand"):
        band = _whole(element.get("band", "1")) or 1
        table = element.find("GDALRasterAttributeTable")
        categories = {
            value: text
            for value, each in enumerate(element.findall("CategoryNames/Category"))
            if (text := (each.text or "").strip())
        }
        colors = {}
        for value, entry in enumerate(element.findall("ColorTable/Entry")):
            color = _color([entry.get(f"c{number}", "") for number in (1, 2, 3)])
            if color and entry.get("c4", "255") != "0":
                colors[value] = color
        if table is not None:
            yield _of_table(*_table(table), source, band)
        if categories or colors:
            yield Found(source, band, categories, colors)


def _table(table: ET.Element) -> tuple[list[_Column], list[list[str]]]:
    columns = []
    for each in table.findall("FieldDefn")[:_MOST_COLUMNS]:
        text = each.findtext("Type", "") == "2"
        columns.append(_Column(each.findtext("Name", ""), each.findtext("Usage", "0"), text))
    rows = [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]
    return columns, rows


def read_dbf(content: bytes, source: str) -> Iterator[Found]:
    """Yield the attribute table of a ``.vat.dbf``.

    dBASE III: http://www.dbase.com/KnowledgeBase/int/db7_file_fmt.htm

    Raises
    ------
    TableError
        If it is damaged, or has no column ``VALUE``.
    """
    if len(content) < 32:
        raise TableError("is not a dBASE table")
    count, header, length = struct.unpack_from("<IHH", content, 4)
    columns, offsets, start = [], [], 1
    for at in range(32, min(header, len(content)) - 31, 32):
        if content[at] == 0x0D:
            break
        name, kind, size = content[at : at + 11].split(b"\0")[0], content[at + 11], content[at + 16]
        columns.append(_Column(_text(name), is_text=kind == ord("C")))
        offsets.append((start, start + size))
        start += size
    if not columns or start > length or header + count * length > len(content):
        raise TableError("is damaged: its header does not fit its size")
    if count > _MOST_ROWS:
        raise TableError(f"has {count} rows")
    rows = []
    for number in range(count):
        record = content[header + number * length : header + (number + 1) * length]
        if record[:1] != b"*":  # deleted
            rows.append([_text(record[first:last]) for first, last in offsets])
    yield _of_table(columns, rows, source, 1)


def read_clr(content: bytes, source: str) -> Iterator[Found]:
    """Yield the colours of a ``.clr``: lines of value, red, green, blue."""
    rows = []
    for line in _text(content).splitlines()[:_MOST_ROWS]:
        parts = re.split(r"[\s,;]+", line.strip())
        value, color = _whole(parts[0]), _color(parts[1:4])
        if value is not None and color:
            rows.append(_Row(value, None, color))
    if not rows:
        raise TableError("has no lines of value, red, green, blue")
    yield _found(rows, source, 1)


def read_qml(content: bytes, source: str) -> Iterator[Found]:
    """Yield the labels and colours of a ``.qml``, a style of QGIS with a colour for each value."""
    for renderer in _parse(content).iter("rasterrenderer"):
        if renderer.get("type") != "paletted":
            continue
        rows = []
        for entry in renderer.iter("paletteEntry"):
            value = _whole(entry.get("value", ""))
            if value is None:
                continue
            color = re.fullmatch(r"#([0-9A-Fa-f]{6})", entry.get("color", ""))
            # QGIS labels a value by itself until somebody names it.
            label = entry.get("label", "").strip()
            name = label if _whole(label) != value else None
            rows.append(_Row(value, name, color[1].upper() if color else None))
        yield _found(rows, source, _whole(renderer.get("band", "1")) or 1)


def _of_table(
    columns: Sequence[_Column], rows: Sequence[Sequence[str]], source: str, band: int
) -> Found:
    usages = [
        _USAGES.get(each.name.strip().casefold(), each.usage) if each.usage == "0" else each.usage
        for each in columns
    ]

    def column(usage: str) -> int | None:
        return usages.index(usage) if usage in usages else None

    first, last = column(_VALUE), column(_VALUE)
    if first is None:
        first, last = column(_MIN), column(_MAX)
    if first is None or last is None:
        raise TableError("has an attribute table without a column of values")
    label = column(_NAME)
    if label is None:
        label = _labels(columns)
    red, green, blue = (column(usage) for usage in (_RED, _GREEN, _BLUE))
    found = []
    for row in rows[:_MOST_ROWS]:
        cells = dict(enumerate(row))
        value, end = _whole(cells.get(first, "")), _whole(cells.get(last, ""))
        if value is None or value != end:
            raise TableError("has an attribute table of ranges or fractions, which are not classes")
        name = None if label is None else cells.get(label, "").strip()
        color = None
        if red is not None and green is not None and blue is not None:
            color = _color([cells.get(each, "") for each in (red, green, blue)])
        found.append(_Row(value, name, color))
    return _found(found, source, band)


def _found(rows: Sequence[_Row], source: str, band: int) -> Found:
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    repeated = []
    for row in rows:
        name = names.setdefault(row.value, row.name) if row.name else None
        color = colors.setdefault(row.value, row.color) if row.color else None
        if (name, color) != (row.name or None, row.color):
            repeated.append(row.value)
    return Found(source, band, names, colors, tuple(dict.fromkeys(repeated)))


def _labels(columns: Sequence[_Column]) -> int | None:
    """Return the column with names, by its own name; else the first one of text."""
    known = [each.name.strip().casefold() for each in columns]
    for name in _NAMES:
        if name in known and columns[known.index(name)].is_text:
            return known.index(name)
    return next((index for index, each in enumerate(columns) if each.is_text), None)


def _parse(content: bytes) -> ET.Element:
    """Return the root of an XML document without entities, which can expand to gigabytes."""
    # Decoded here, since an encoding such as UTF-16 would hide what is looked for.
    text = re.sub(r"<!DOCTYPE[^>\[]*>", "", _text(content).lstrip("\ufeff"), count=1)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise TableError("defines XML entities, which are not expanded")
    try:
        return ET.fromstring(text)  # noqa: S314 - see above
    except (ET.ParseError, ValueError) as error:
        raise TableError(f"is no XML ({error})") from error


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _whole(text: str) -> int | None:
    """Return a whole number; None for any other text."""
    with suppress(ValueError, OverflowError):
        return int(text)
    with suppress(ValueError, OverflowError):
        value = float(text)
        return int(value) if math.isfinite(value) and value.is_integer() else None
    return None


def _color(parts: Sequence[str]) -> str | None:
    """Return a colour as ``RRGGBB``, from numbers up to 255, or fractions with a decimal point."""
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    if len(numbers) != 3 or not all(0 <= number <= 255 for number in numbers):
        return None
    if all(number <= 1 for number in numbers) and any("." in part for part in parts):
        numbers = [number * 255 for number in numbers]
    return "".join(f"{round(number):02X}" for number in numbers)
