"""Templates of datasets: ``for_each`` names a table, and each row makes the datasets of a site.

Templates are expanded before anything is validated, so the rest of the package knows datasets only.
Mistakes found later are reported at the template, with the rows that have them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stacbuild.config.models import hint
from stacbuild.config.reading import KeyPath, Problem
from stacbuild.config.tables import Row, Table, TableError, read_table
from stacbuild.config.types import show

KEY = "for_each"

_NO_FOLDER = "there is no folder that it is relative to: load a file, or pass base_dir"
_IN_QUOTES = 'has to be text; put a placeholder in quotes, as in "{id}/sen2"'
# A placeholder, or one in double braces, which stays with single ones.
_BRACES = re.compile(r"\{\{([^{}]*)\}\}|\{([^{}]*)\}")
# Fields of file names have a format, as in {time:%Y_%m}; JSON has quotes.
_NO_COLUMN = re.compile(r"[:\"']")
# Rows whose mistakes of one kind are listed; others are counted.
_MOST_ROWS = 5


@dataclass(frozen=True)
class _Origin:
    """Where a dataset comes from: its place in the file, and the row of a template."""

    path: KeyPath
    written: Any
    table: Table | None = None
    row: Row | None = None


@dataclass(frozen=True)
class _Cell:
    """A row whose values have a mistake, and its column; empty for several columns."""

    table: Table
    row: Row
    column: str


# Problems at their places in the file, with the rows that have them.
_Found = dict[tuple[KeyPath, str], tuple[Problem, list[_Cell]]]


@dataclass(frozen=True)
class Expanded:
    """A configuration's data without templates.

    Parameters
    ----------
    problems
        Mistakes of the templates and their tables, at paths in the file.
    """

    data: Any
    problems: tuple[Problem, ...] = ()
    _origins: tuple[_Origin, ...] = field(default=(), repr=False)

    @property
    def has_templates(self) -> bool:
        """Whether there are templates."""
        return bool(self._origins)

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems of the expanded data at their places in the file.

        A problem of values from a table names its rows. One of the template itself, which all rows
        have, is returned once.
        """
        if not self.has_templates:
            return list(problems)
        elsewhere: list[Problem] = []
        found: _Found = {}
        for problem in problems:
            origin = self._origin(problem.path)
            if origin is None:
                elsewhere.append(problem)
                continue
            rest = problem.path[2:]
            path, message = (*origin.path, *rest), self._renamed(problem)
            moved = replace(problem, path=path, message=message, other=None)
            _, rows = found.setdefault((path, message), (moved, []))
            columns = _columns_at(origin, rest)
            if origin.table and origin.row and columns:
                one = columns[0] if len(set(columns)) == 1 else ""
                rows.append(_Cell(origin.table, origin.row, one))
        return [*elsewhere, *_with_rows(found)]

    def _origin(self, path: KeyPath) -> _Origin | None:
        if self._origins and path[:1] == ("datasets",) and len(path) > 1:
            return self._origins[int(path[1])]
        return None

    def _renamed(self, problem: Problem) -> str:
        """Return the message of a problem, with another dataset that it names as in the file."""
        if problem.other is None or (origin := self._origin(problem.other)) is None:
            return problem.message
        named = _dotted((*origin.path, *problem.other[2:]))
        if origin.table and origin.row:
            named += f" ({origin.table.name}:{origin.row.line})"
        return problem.message.replace(_dotted(problem.other), named)


def expand(data: Any, directory: Path | None) -> Expanded:
    """Return a configuration's data, which is not changed, with datasets instead of templates.

    Parameters
    ----------
    data
        The mapping of a whole configuration. Malformed parts are returned as they are; validation
        reports them.
    directory
        The folder that tables are in; None if there is none.
    """
    entries = data.get("datasets") if isinstance(data, dict) else None
    if not isinstance(entries, list | tuple) or not any(map(_is_template, entries)):
        return Expanded(data)
    datasets: list[Any] = []
    origins: list[_Origin] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        path: KeyPath = ("datasets", number)
        if not _is_template(entry):
            datasets.append(entry)
            origins.append(_Origin(path, entry))
            continue
        table = _table(entry, path, directory, problems)
        templates = list(_templates(entry, path, problems))
        if table is None:
            continue
        problems += [
            problem
            for at, template in templates
            for problem in _template_problems(template, at, table)
        ]
        if problems:
            continue
        for row in table.rows:
            for at, template in templates:
                datasets.append(_filled(template, row))
                origins.append(_Origin(at, template, table, row))
    if not problems:
        problems += _row_problems(datasets, origins)
    return Expanded(data | {"datasets": datasets}, tuple(problems), tuple(origins))


def _is_template(entry: Any) -> bool:
    return isinstance(entry, dict) and KEY in entry


def _table(
    entry: Mapping[str, Any], path: KeyPath, directory: Path | None, problems: list[Problem]
) -> Table | None:
    name, at = entry[KEY], (*path, KEY)
    if not isinstance(name, str) or not name.strip():
        message = f"has to be the path of a CSV file, such as sites.csv, got {show(name)}"
        problems.append(Problem(at, message))
    elif directory is None:
        problems.append(Problem(at, _NO_FOLDER))
    else:
        try:
            return read_table(name, directory)
        except TableError as error:
            problems.append(Problem(at, str(error)))
    return None


def _templates(
    entry: Mapping[str, Any], path: KeyPath, problems: list[Problem]
) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield the datasets of a template: itself, or those that it lists."""
    rest = {key: value for key, value in entry.items() if key != KEY}
    if "datasets" not in rest:
        yield path, rest
        return
    listed = rest.pop("datasets")
    problems += [
        Problem((*path, key), "belongs into each item of datasets, not beside them", on_key=True)
        for key in rest
    ]
    at = (*path, "datasets")
    if not isinstance(listed, list | tuple) or not listed:
        problems.append(Problem(at, f"has to be a list of datasets, got {show(listed)}"))
        return
    for number, each in enumerate(listed):
        if not isinstance(each, dict):
            message = f"has to be a mapping (key: value), got {show(each)}"
            problems.append(Problem((*at, number), message))
        elif KEY in each:
            message = "a template cannot be inside another one"
            problems.append(Problem((*at, number, KEY), message, on_key=True))
        else:
            yield (*at, number), each


def _template_problems(template: Any, path: KeyPath, table: Table) -> Iterator[Problem]:
    """Yield problems of placeholders, and of an identifier that is the same for all rows."""
    identifier = template.get("identifier")
    if isinstance(identifier, str) and len(table.rows) > 1 and not _columns(identifier, table):
        example = f"{{{table.columns[0]}}}/{identifier}"
        yield Problem(
            (*path, "identifier"),
            f"is the same for all rows of {table.name}; name a column, as in {example!r}",
        )
    yield from _unknown(template, path, table)


def _unknown(value: Any, path: KeyPath, table: Table) -> Iterator[Problem]:
    if isinstance(value, dict):
        # Without quotes, {id} is a mapping of the key id to nothing.
        if len(value) == 1 and next(iter(value.items())) in [
            (name, None) for name in table.columns
        ]:
            yield Problem(path, _IN_QUOTES)
            return
        for key, inner in value.items():
            if isinstance(key, str) and _columns(key, table):
                message = "placeholders are filled in values, not in keys"
                yield Problem((*path, key), message, on_key=True)
            yield from _unknown(inner, (*path, key), table)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _unknown(inner, (*path, number), table)
    elif isinstance(value, str):
        for found in _BRACES.finditer(value):
            name = found[2]
            if name is None or name in table.columns or _NO_COLUMN.search(name):
                continue
            yield Problem(
                path,
                f"{table.name} has no column {name!r}{hint(name, table.columns)}; to keep the "
                f"braces, write {{{{{name}}}}}",
            )
            return


def _columns(text: str, table: Table) -> list[str]:
    """Return the columns that the placeholders of a text name."""
    return [found[2] for found in _BRACES.finditer(text) if found[2] in table.columns]


def _filled(value: Any, row: Row) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, row) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, row) for inner in value]
    if not isinstance(value, str):
        return value

    def one(found: re.Match[str]) -> str:
        if found[1] is not None:
            return found[0][1:-1]
        return row.cells.get(found[2], found[0])

    return _BRACES.sub(one, value)


def _row_problems(datasets: list[Any], origins: list[_Origin]) -> Iterator[Problem]:
    """Yield a problem for cells that are empty, and for an identifier that two rows make."""
    empty: dict[tuple[KeyPath, str], list[Row]] = {}
    tables: dict[KeyPath, Table] = {}
    seen: dict[tuple[KeyPath, str], Row] = {}
    twice: dict[KeyPath, list[tuple[Row, str]]] = {}
    for dataset, origin in zip(datasets, origins, strict=True):
        table, row = origin.table, origin.row
        if table is None or row is None:
            continue
        for path, text in _texts(origin.written, origin.path):
            for column in _columns(text, table):
                if not row.cells[column]:
                    empty.setdefault((path, column), []).append(row)
                    tables[path] = table
        name = dataset.get("identifier")
        if not isinstance(name, str) or not name:
            continue
        # Identifiers become file names, and some file systems ignore case.
        first = seen.setdefault((origin.path, name.lower()), row)
        if first is not row:
            message = f"{name!r} is the identifier of line {first.line} already"
            twice.setdefault((*origin.path, "identifier"), []).append((row, message))
            tables[*origin.path, "identifier"] = table
    for path, found in twice.items():
        row, message = found[0]
        where = f"{tables[path].name}:{row.line}{_more(found)}"
        yield Problem(path, f"{where}: {message}; take a column whose values differ")
    for (path, column), rows in empty.items():
        where = f"{tables[path].name}:{rows[0].line}{_more(rows)}"
        yield Problem(path, f"{where}: column {column!r} is empty")


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _texts(inner, (*path, key))


def _columns_at(origin: _Origin, path: KeyPath) -> list[str]:
    """Return the columns that a value of a template, or the values below it, are made of."""
    value, table = origin.written, origin.table
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return []
    texts = [text for _, text in _texts(value, ())]
    return [column for text in texts for column in _columns(text, table)] if table else []


def _with_rows(found: _Found) -> Iterator[Problem]:
    """Yield problems with the rows that have them, a few at each place."""
    listed: Counter[KeyPath] = Counter()
    left_out: dict[KeyPath, Problem] = {}
    for problem, rows in found.values():
        if not rows or (len(rows) == len(rows[0].table.rows) > 1):
            yield problem
            continue
        listed[problem.path] += 1
        if listed[problem.path] > _MOST_ROWS:
            left_out[problem.path] = problem
            continue
        one = rows[0]
        column = f", column {one.column!r}" if one.column else ""
        where = f"{one.table.name}:{one.row.line}{column}{_more(rows)}"
        yield replace(problem, message=f"{problem.message} ({where})")
    for path, problem in left_out.items():
        count = listed[path] - _MOST_ROWS
        message = f"and {count} more mistakes of the table's values here"
        yield replace(problem, message=message)


def _more(rows: Sequence[object]) -> str:
    """Return the end of a message that names the first of several rows."""
    count = len(rows) - 1
    return f" and {count} more row{'s' * (count > 1)}" if count else ""


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
