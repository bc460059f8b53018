"""Patterns of file names: wildcards, and fields such as ``{time:%Y_%m}``.

Fields are written as in trollsift (https://trollsift.readthedocs.io) and Python's format strings.
Fields of times have the directives of ``datetime.strptime``, with the names of months in English.
"""

from __future__ import annotations

import calendar
import datetime as dt
import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

TIME_FIELDS = ("time", "start_time", "end_time")
"""Fields that date a file; ``start_time`` is another name of ``time``."""

# Directive -> the part of a time and its regular expression.
_DIRECTIVES = {
    "Y": ("year", r"\d{4}"),
    "y": ("short_year", r"\d{2}"),
    "m": ("month", r"\d{2}"),
    "b": ("month_name", "|".join(calendar.month_abbr[1:])),
    "B": ("month_name", "|".join(calendar.month_name[1:])),
    "d": ("day", r"\d{2}"),
    "j": ("day_of_year", r"\d{3}"),
    "H": ("hour", r"\d{2}"),
    "M": ("minute", r"\d{2}"),
    "S": ("second", r"\d{2}"),
}
_MONTHS = {name[:3].lower(): number for number, name in enumerate(calendar.month_name) if name}

_FIELD = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?::(?P<format>[^{}]*))?\}")
# What is left of a field of which one brace is missing; a name may hold other braces.
_NOT_CLOSED = re.compile(
    r"\{(?P<name>(?:start_|end_)?time(?![A-Za-z])|[A-Za-z_]\w*(?=:))(?P<format>[^{}/]*)"
)
_NOT_OPENED = re.compile(
    r"(?<![A-Za-z])(?P<name>(?:start_|end_)?time)(?P<format>:[^{}/]*%[^{}/]*)\}"
)
_WILDCARD = re.compile(r"\*\*/|\*|\?")


@dataclass(frozen=True)
class Period:
    """A period, UTC: its first and its last second."""

    start: dt.datetime
    end: dt.datetime

    def overlaps(self, other: Period) -> bool:
        """Return whether the periods have a second in common."""
        return self.start <= other.end and other.start <= self.end


def is_pattern(text: str) -> bool:
    """Return whether a path has wildcards or fields."""
    return bool(_WILDCARD.search(text) or _FIELD.search(text))


def check_braces(text: str) -> None:
    """Raise ValueError if a field lacks one of its braces; then it is not taken for a field."""
    rest = _FIELD.sub("", text)
    for regex, missing in ((_NOT_CLOSED, "closing brace }"), (_NOT_OPENED, "opening brace {")):
        if found := regex.search(rest):
            last = re.match(r":.*%[A-Za-z]", found["format"])
            field = f"{{{found['name']}{last.group() if last else ''}}}"
            msg = (
                f"field {found.group()!r} of {text!r}: has no {missing}; fields are written as in "
                f"{field if last else '{time:%Y_%m}'}"
            )
            raise ValueError(msg)


def has_field(text: str) -> bool:
    """Return whether a text has a field."""
    return bool(_FIELD.search(text))


def with_any_depth(text: str) -> str:
    """Return a pattern with a last ``**`` as ``**/*``: files in any folder below."""
    return re.sub(r"(^|/)\*\*$", r"\1**/*", text)


@dataclass(frozen=True)
class Pattern:
    """A pattern of paths, from `compiled`.

    Parameters
    ----------
    regex
        Matches whole paths.
    loose
        The same without the formats of fields.
    parts
        Parts of times by group of the regex: the field, and the part.
    """

    text: str
    regex: re.Pattern[str]
    loose: re.Pattern[str]
    parts: dict[str, tuple[str, str]]

    def matches(self, path: str, *, loosely: bool = False) -> bool:
        """Return whether a path matches, apart from a date that no calendar has.

        An umlaut matches in both of Unicode's spellings, as macOS and Linux write different ones.

        Parameters
        ----------
        loosely
            Whether the formats of fields count for nothing.
        """
        regex = self.loose if loosely else self.regex
        return regex.fullmatch(_composed(path)) is not None

    def period(self, path: str) -> Period | None:
        """Return the period that the name of a matching path states; None without such fields.

        Raises
        ------
        ValueError
            The path does not match, or no calendar has the date.
        """
        found = self.regex.fullmatch(_composed(path))
        if found is None:
            msg = f"does not match {self.text}"
            raise ValueError(msg)
        stated: dict[str, dict[str, str]] = {}
        for group, (field, part) in self.parts.items():
            known = stated.setdefault(field, {})
            if known.setdefault(part, found[group].lower()) != found[group].lower():
                msg = f"states {part.replace('_', ' ')} {known[part]} and {found[group]}"
                raise ValueError(msg)
        periods = [period_of(stated[name]) for name in ("time", "end_time") if name in stated]
        if not periods:
            return None
        if periods[-1].end < periods[0].start:
            msg = "ends before it starts"
            raise ValueError(msg)
        return Period(periods[0].start, periods[-1].end)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def period_of(parts: dict[str, str]) -> Period:
    """Return the period of a time from its parts as text: a year, a month, a day, an hour, ...

    Raises
    ------
    ValueError
        No calendar has it.
    """
    year = int(parts["year"]) if "year" in parts else _century(int(parts["short_year"]))
    month = int(parts["month"]) if "month" in parts else 0
    if "month_name" in parts:
        month = _MONTHS[parts["month_name"][:3].lower()]
    start = dt.datetime(year, month or 1, int(parts.get("day", 1)), tzinfo=dt.UTC)
    end = start.replace(year=year + 1)
    if "month" in parts or "month_name" in parts:
        end = (start.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    if "day_of_year" in parts:
        number = int(parts["day_of_year"])
        start += dt.timedelta(days=number - 1)
        if number < 1 or start.year != year:
            msg = f"{year} has no day {number}"
            raise ValueError(msg)
    if "day" in parts or "day_of_year" in parts:
        end = start + dt.timedelta(days=1)
    for unit in ("hour", "minute", "second"):
        if unit in parts:
            start = start.replace(**{unit: int(parts[unit])})  # type: ignore[arg-type]
            end = start + dt.timedelta(**{f"{unit}s": 1})
    return Period(start, end - dt.timedelta(seconds=1))


def _century(year: int) -> int:
    # As POSIX and `datetime.strptime`.
    return year + (1900 if year >= 69 else 2000)


@functools.lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    """Return the pattern of a text.

    ``*`` and ``?`` match within a folder, ``**/`` any number of folders; names that begin with a
    dot only match a dot. The case of the ending does not count: ``.tif`` matches ``.TIF``.

    Raises
    ------
    ValueError
        A field has an unknown format, or its date is incomplete.
    """
    _check(text)
    parts: dict[str, tuple[str, str]] = {}
    regex = loose = ""
    first, ending = True, re.search(r"\.\w+$", text)
    for token in _tokens(with_any_depth(_composed(text))):
        hidden = r"(?!\.)" if first else ""
        anything = f"{hidden}[^/]*"
        if token == "**/":  # noqa: S105 - a wildcard
            piece = vague = r"(?:(?!\.)[^/]+/)*"
        elif token in ("*", "**"):
            piece = vague = anything
        elif token == "?":  # noqa: S105
            piece = vague = f"{hidden}[^/]"
        elif field := _FIELD.fullmatch(token):
            piece, vague = f"{hidden}{_of_field(field, parts)}", anything
        else:
            piece = vague = re.escape(token)
            if ending and token.endswith(ending.group()):
                whole = re.escape(ending.group())
                piece = vague = f"{piece.removesuffix(whole)}(?i:{whole})"
        regex += piece
        loose += vague
        first = token.endswith("/")
    return Pattern(text, re.compile(regex), re.compile(loose), parts)


def _tokens(text: str) -> Iterator[str]:
    at = 0
    for found in re.finditer(f"{_FIELD.pattern}|(?:(?<=/)|^)\\*\\*/|\\*+|\\?", text):
        if found.start() > at:
            yield text[at : found.start()]
        yield found.group()
        at = found.end()
    if at < len(text):
        yield text[at:]


def _of_field(field: re.Match[str], parts: dict[str, tuple[str, str]]) -> str:
    """Return the regular expression of a field, and add its groups to *parts*."""
    name, text = field["name"], field["format"]
    if name in TIME_FIELDS:
        name = name.removeprefix("start_")
        regex = ""
        for found in re.finditer(r"%(.)|([^%]+)", text):
            if found[2] or found[1] == "%":
                regex += re.escape(found[2] or "%")
                continue
            part, digits = _DIRECTIVES[found[1]]
            group = f"g{len(parts)}"
            parts[group] = name, part
            regex += f"(?P<{group}>(?i:{digits}))"
        return regex
    if text and (size := re.fullmatch(r"0(\d{1,3})d", text)):
        return rf"\d{{{size[1]},}}"
    return r"\d+" if text == "d" else "[^/]+?"


def _check(text: str) -> None:
    """Raise ValueError for a field that cannot be read."""
    stated: dict[str, set[str]] = {}
    for field in _FIELD.finditer(text):
        name, form = field["name"], field["format"]
        if name not in TIME_FIELDS:
            if form not in (None, "", "d", "s") and not re.fullmatch(r"0\d{1,3}d", form):
                msg = (
                    f"field {field.group()} of {text!r}: has a format that is not known; "
                    "leave it out, or take d (digits); times are {time:%Y_%m}"
                )
                raise ValueError(msg)
            continue
        found = re.findall(r"%(.)", form or "")
        if not found:
            msg = f"field {field.group()} of {text!r}: needs a format, such as {{{name}:%Y_%m}}"
            raise ValueError(msg)
        if unknown := [each for each in found if each not in (*_DIRECTIVES, "%")]:
            known = " ".join(f"%{each}" for each in _DIRECTIVES)
            msg = f"field {field.group()} of {text!r}: %{unknown[0]} is not known, but: {known}"
            raise ValueError(msg)
        parts = {_DIRECTIVES[each][0] for each in found if each != "%"}
        stated.setdefault(name.removeprefix("start_"), set()).update(parts)
    if "end_time" in stated and "time" not in stated:
        msg = f"{text!r}: has {{end_time}}, but no {{time}}"
        raise ValueError(msg)
    for name, parts in stated.items():
        if why := _incomplete(parts):
            msg = f"{{{name}}} of {text!r}: {why}"
            raise ValueError(msg)


def _incomplete(parts: set[str]) -> str:
    """Return why parts do not make a time; empty if they do."""
    months = parts & {"month", "month_name"}
    if not parts & {"year", "short_year"}:
        return "needs a year, %Y"
    if parts >= {"year", "short_year"} or parts >= {"month", "month_name"}:
        return "states the year or the month in two ways"
    if "day_of_year" in parts and (months or "day" in parts):
        return "states the day in two ways: %j is the day of the year"
    if "day" in parts and not months:
        return "has a day without a month; the day of the year is %j"
    needs = {"hour": {"day", "day_of_year"}, "minute": {"hour"}, "second": {"minute"}}
    for part, needed in needs.items():
        if part in parts and not parts & needed:
            return f"has {part}s without {' or '.join(sorted(needed)).replace('_', ' ')}"
    return ""
