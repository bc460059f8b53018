"""Dates in the names of files, and the names of files that belong together."""

from __future__ import annotations

import calendar
import datetime as dt
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from stacbuild.config.patterns import compiled

_YEAR = r"(?<!\d)(?:18[5-9]\d|19\d\d|20\d\d)"
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
# Alone, a number before a dot may be a version: v1.01.2020.
_ALONE = r"(?<!\d)(?<!\d\.)"
# As the directives %b and %B: in English, whatever the locale.
_NAMES = tuple(
    (rf"(?i:{'|'.join(names[1:])})", form)
    for names, form in ((calendar.month_abbr, "%b"), (calendar.month_name, "%B"))
)
_SEPARATORS = (("-", "-"), ("_", "_"), (r"\.", "."), ("", ""))
# A date with the longest precision counts: 2020-01-31 is not the month 2020-01.
_TIMES = tuple(
    (rf"{mark}[0-2]\d{colon}[0-5]\d{colon}[0-5]\d", f"{mark}%H{colon}%M{colon}%S")
    for mark, colon in itertools.product(("T", "_", "-", ""), ("", "-", "_"))
)
_DATES = tuple(
    (re.compile(rf"{regex}(?!\d)"), form)
    for regex, form in (
        *(
            (rf"{_YEAR}{sep}{_MONTH}{sep}{_DAY}{time}", f"%Y{plain}%m{plain}%d{time_form}")
            for sep, plain in _SEPARATORS
            for time, time_form in (*_TIMES, ("", ""))
        ),
        # With other separators, day and month may have either order.
        (rf"{_ALONE}{_DAY}\.{_MONTH}\.{_YEAR}", "%d.%m.%Y"),
        *(
            each
            for sep, plain in _SEPARATORS
            for name, form in _NAMES
            for each in (
                (rf"(?<!\d){_DAY}{sep}{name}{sep}{_YEAR}", f"%d{plain}{form}{plain}%Y"),
                (rf"{_YEAR}{sep}{name}{sep}{_DAY}", f"%Y{plain}{form}{plain}%d"),
                (rf"(?<![A-Za-z]){name}{sep}{_YEAR}", f"{form}{plain}%Y"),
                (rf"{_YEAR}{sep}{name}(?![A-Za-z])", f"%Y{plain}{form}"),
            )
        ),
        *((rf"{_YEAR}{sep}{_MONTH}", f"%Y{plain}%m") for sep, plain in _SEPARATORS),
        (rf"{_ALONE}{_MONTH}\.{_YEAR}", "%m.%Y"),
        (rf"{_YEAR}[0-3]\d\d", "%Y%j"),
        (_YEAR, "%Y"),
    )
)


@dataclass(frozen=True)
class DatedName:
    """A path whose dates are replaced by fields, and the start of the first one.

    ``template`` is the path itself, and ``time`` is None, if it has no date, or not one or two
    of the same notation.
    """

    template: str
    time: dt.datetime | None


def dated(path: str) -> DatedName:
    """Return the template of a path below a folder.

    The date is that of the file's name, or else that of a folder: ``ndvi_2020_01.tif`` becomes
    ``ndvi_{time:%Y_%m}.tif``. A second date in the same notation is the end of a period.
    """
    folder, slash, name = path.rpartition("/")
    for text, before, after in ((name, f"{folder}{slash}", ""), (folder, "", f"{slash}{name}")):
        found = list(_dates(text))
        if not found:
            continue
        spans = [span for span, _, _ in found]
        times = [time for _, _, time in found]
        if len(found) > 2 or len({form for _, form, _ in found}) > 1 or times != sorted(times):
            break
        template = text
        fields = ("time", "end_time")[: len(found)]
        for (start, end), (_, form, _), field in reversed(
            list(zip(spans, found, fields, strict=True))
        ):
            template = f"{template[:start]}{{{field}:{form}}}{template[end:]}"
        return DatedName(f"{before}{template}{after}", times[0])
    return DatedName(path, None)


def _dates(text: str) -> Iterator[tuple[tuple[int, int], str, dt.datetime]]:
    """Yield the dates of a text from left to right: span, format, start."""
    taken: list[tuple[tuple[int, int], str, dt.datetime]] = []
    for regex, form in _DATES:
        for found in regex.finditer(text):
            span = found.span()
            if any(span[0] < end and start < span[1] for (start, end), _, _ in taken):
                continue
            with suppress(ValueError):
                period = compiled(f"{{time:{form}}}").period(found.group())
                assert period is not None  # noqa: S101 - it has a field
                taken.append((span, form, period.start))
    yield from sorted(taken)


def alike(template: str) -> str:
    """Return a template without its numbers, by which tiles of one product are found."""
    return re.sub(r"\d+", "#", template)


def first_word(template: str) -> str:
    """Return folder, first word and field of a template: ``dem`` of ``dem_north.tif``."""
    folder, _, name = template.rpartition("/")
    return f"{folder}/{re.split(r'[_. -]', name)[0]}{_FIELD.findall(template)}"


def wildcard(templates: Sequence[str]) -> str:
    """Return a pattern of templates that have the same fields, with ``*`` for what differs."""
    pieces = [re.split(_FIELD, template) for template in templates]
    fields = _FIELD.findall(templates[0])
    merged = [_merged(list(column)) for column in zip(*pieces, strict=True)]
    text = merged[0]
    for field, piece in zip(fields, merged[1:], strict=True):
        text += field + piece
    return text


def _merged(texts: list[str]) -> str:
    if len(set(texts)) == 1:
        return texts[0]
    folders = [text.split("/") for text in texts]
    if len({len(parts) for parts in folders}) > 1:
        return f"**/{_merged([parts[-1] for parts in folders])}"
    if len(folders[0]) > 1:
        return "/".join(_merged(list(column)) for column in zip(*folders, strict=True))
    before = _common_start(texts)
    rest = [text[len(before) :][::-1] for text in texts]
    # Whole numbers and words differ: not n4*th.tif, but n*.tif.
    after = re.search(r"[_. -].*", _common_start(rest)[::-1])
    return f"{re.sub(r'[0-9]+$', '', before)}*{after.group() if after else ''}"


def _common_start(texts: Sequence[str]) -> str:
    columns = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return "".join(column[0] for column in columns)


_FIELD = re.compile(r"\{\w+:[^{}]*\}")


def literal(pattern: str) -> str:
    """Return a pattern without wildcards and fields, for the name of a dataset.

    Words that only begin alike are left out: ``dem_n4*.tif`` is ``dem.tif``.
    """
    folder, _, name = _FIELD.sub("", pattern).rpartition("/")
    before, star, after = name.partition("*")
    if star:
        name = re.sub(r"(?<=.)[_. -][^_. -]*$", "", before) + after
    stem, dot, suffix = name.rpartition(".")
    stem = re.sub(r"[*?]+", "", stem if dot else name).strip("_. -")
    if not stem:
        above = [each for each in folder.split("/") if each.strip("*")]
        stem = above[-1].replace("*", "") if above else ""
    return f"{stem}{dot}{suffix if dot else ''}" if stem else ""


def precision(template: str) -> str:
    """Return the format in which dates of a template are shown: year, month or day."""
    if "%d" in template or "%j" in template:
        return "%Y-%m-%d"
    return "%Y-%m" if re.search("%[mbB]", template) else "%Y"
