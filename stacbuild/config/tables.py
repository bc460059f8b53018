"""Tables in CSV files beside a configuration: a header line, and a row for each site.

Files are as spreadsheets write them: separated by commas, semicolons, tabs or bars, with or without
a byte order mark and quotes. Cells stay text.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stacbuild.config.code import CodeError, check_within

MAX_BYTES = 5_000_000
MAX_ROWS = 10_000

# A tie is decided in this order.
_DELIMITERS = ",;\t|"
# First bytes of files that are often passed for CSV, and what to do.
_OTHER = {
    b"PK\x03\x04": "is an Excel or zip file",
    b"\xd0\xcf\x11\xe0": "is an Excel file",
    b"\x1f\x8b": "is compressed",
    b"\xff\xfe": "is UTF-16 text",
    b"\xfe\xff": "is UTF-16 text",
}


class TableError(ValueError):
    """A table that cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    line
        Its first line in the file, counted from 1.
    cells
        Text by column, without spaces around it.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    name
        The path as in the configuration.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(name: str, directory: Path) -> Table:
    """Read a CSV file in *directory*, the folder of the configuration.

    Raises
    ------
    TableError
        If it is not in that folder, or is no table of one row or more.
    """
    path = _find(name, directory)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TableError(f"{name}: cannot be read: {error.strerror}") from error
    for start, what in _OTHER.items():
        if raw.startswith(start):
            raise TableError(f"{name}: {what}; save it as CSV in UTF-8")
    if len(raw) > MAX_BYTES:
        raise TableError(f"{name}: is larger than {MAX_BYTES:,} bytes; split it")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TableError(f"{name}:{line}: is not UTF-8 text; save it as CSV in UTF-8") from None
    return _parse(name, text)


def _find(name: str, directory: Path) -> Path:
    path = Path(name)
    if "://" in name or path.is_absolute() or ".." in path.parts or name.startswith("~"):
        raise TableError(
            f"{name!r} has to be a CSV file, relative to the configuration, without '..'"
        )
    found = directory / path
    try:
        check_within(found, directory)
    except CodeError as error:
        raise TableError(str(error)) from error
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "there is no such file"
        raise TableError(f"{name}: {what} in the folder of the configuration; it has to be CSV")
    return found


def _parse(name: str, text: str) -> Table:
    lines = _lines(name, text)
    _, header = next(lines, (0, []))
    while header and not header[-1]:
        header.pop()
    if not header:
        raise TableError(f"{name}: is empty; its first line has to name the columns")
    twice = [column for column, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        raise TableError(f"{name}:1: has two columns {twice[0]!r}; rename one")
    rows = []
    for line, cells in lines:
        if any(cells[len(header) :]) or len(cells) < len(header):
            raise TableError(
                f"{name}:{line}: has {_count(len(cells), 'value')}, and the header "
                f"{_count(len(header), 'column')}; put quotes around a value with the separator"
            )
        found = zip(header, cells, strict=False)
        rows.append(Row(line, {column: cell for column, cell in found if column}))
        if len(rows) > MAX_ROWS:
            raise TableError(f"{name}: has more than {MAX_ROWS:,} rows; split it")
    if not rows:
        raise TableError(f"{name}: has no rows below the line with the names of the columns")
    return Table(name, tuple(filter(None, header)), tuple(rows))


def _lines(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a table that are not empty: number and cells."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(text),
        skipinitialspace=True,
        strict=True,
    )
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield line, stripped
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{name}:{line}: is not valid CSV: {error}; check the quotes") from error


def _delimiter(text: str) -> str:
    """Return what separates the columns in the first line that is not empty."""
    header = next((line for line in text.splitlines() if line.strip()), "")

    def columns(delimiter: str) -> int:
        return len(next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), ()))

    return max(_DELIMITERS, key=columns)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
