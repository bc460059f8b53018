"""Evaluation of CQL2 expressions (in their JSON encoding) on STAC items.

OGC Common Query Language 2 (OGC 21-065r2), with its three-valued logic: a comparison with a missing
property, or of values of different types, is unknown, and an item matches only if the whole
expression is true.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from stacbuild.errors import StacbuildError
from stacbuild.sources.stac.times import instant, period

Json = dict[str, Any]
Truth = bool | None

_FIRST = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)
_ITEM = ("id", "collection", "geometry")
_DATED = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:.*)?")


@dataclass(frozen=True)
class Span:
    """A period, both ends included; of an instant they are equal."""

    start: dt.datetime
    end: dt.datetime


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@cache
def span(text: str) -> Span | None:
    """Return the period of a date (all of its day) or of an instant; None if it is neither."""
    found = period(text)
    return Span(*found) if found else None


def _moment(text: str) -> Span | None:
    """Return an instant; that of a date is its midnight, by which text is ordered."""
    when = instant(text) if _DATED.fullmatch(text) else None
    return Span(when, when) if when else None


COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Span, Span], bool]]] = {
    "=": (operator.eq, lambda a, b: a.start <= b.end and a.end >= b.start),
    "<>": (operator.ne, lambda a, b: a.end < b.start or a.start > b.end),
    "<": (operator.lt, lambda a, b: a.end < b.start),
    "<=": (operator.le, lambda a, b: a.start <= b.end),
    ">": (operator.gt, lambda a, b: a.start > b.end),
    ">=": (operator.ge, lambda a, b: a.end >= b.start),
}
"""Comparison operators: of numbers and text, and of periods."""

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "div": operator.floordiv,
    "^": operator.pow,
}

SPATIAL = {
    f"s_{name}": getattr(shapely, name)
    for name in (
        "contains", "crosses", "disjoint", "equals", "intersects", "overlaps", "touches", "within",
    )
}  # fmt: skip

TEMPORAL: dict[str, Callable[[Span, Span], bool]] = {
    "t_after": lambda a, b: a.start > b.end,
    "t_before": lambda a, b: a.end < b.start,
    "t_contains": lambda a, b: a.start < b.start and a.end > b.end,
    "t_disjoint": lambda a, b: a.end < b.start or a.start > b.end,
    "t_during": lambda a, b: a.start > b.start and a.end < b.end,
    "t_equals": lambda a, b: a == b,
    "t_finishedby": lambda a, b: a.start < b.start and a.end == b.end,
    "t_finishes": lambda a, b: a.start > b.start and a.end == b.end,
    "t_intersects": lambda a, b: a.start <= b.end and a.end >= b.start,
    "t_meets": lambda a, b: a.end == b.start,
    "t_metby": lambda a, b: a.start == b.end,
    "t_overlappedby": lambda a, b: b.start < a.start < b.end < a.end,
    "t_overlaps": lambda a, b: a.start < b.start < a.end < b.end,
    "t_startedby": lambda a, b: a.start == b.start and a.end > b.end,
    "t_starts": lambda a, b: a.start == b.start and a.end < b.end,
}

ARRAYS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "a_containedby": operator.le,
    "a_contains": operator.ge,
    "a_equals": operator.eq,
    "a_overlaps": lambda a, b: bool(a & b),
}

OTHERS = {"and": None, "or": None, "not": 1, "isnull": 1, "like": 2, "between": 3, "in": 2}
FOLDING = {"casei": 1, "accenti": 1}
OPERANDS: dict[str, int | None] = {
    **dict.fromkeys((*COMPARISONS, *ARITHMETIC, *SPATIAL, *TEMPORAL, *ARRAYS), 2),
    **OTHERS,
    **FOLDING,
}
"""Number of operands of each operator and function, by its name in lower case; None is any."""


def prepared(expression: Any) -> Any:
    """Return an expression of JSON with its literal times and geometries as objects.

    Raises
    ------
    StacbuildError
        For an unknown function, a time that is not valid, and a geometry that is not valid.
    """
    if isinstance(expression, list):
        return [prepared(each) for each in expression]
    if not isinstance(expression, dict) or "property" in expression:
        return expression
    if "op" in expression:
        name, args = str(expression["op"]).lower(), expression["args"]
        count = OPERANDS.get(name, 0)
        if name not in OPERANDS or (count is not None and len(args) != count):
            arguments = f" of {len(args)} arguments" if name in OPERANDS else ""
            raise StacbuildError(f"{expression['op']}{arguments} is not a function of CQL2")
        return {"op": name, "args": [prepared(each) for each in args]}
    if "interval" in expression:
        return {"interval": [_end(each) for each in expression["interval"]]}
    for key in ("timestamp", "date"):
        if key in expression:
            found = span(expression[key])
            if found is None:
                raise StacbuildError(f"{expression[key]!r} is not a {key}")
            return found
    return _geometry(expression)


def _end(value: Any) -> Any:
    if isinstance(value, str) and value not in ("", "..") and span(value) is None:
        raise StacbuildError(f"{value!r} is not a time")
    return prepared(value)


def _geometry(literal: Json) -> Any:
    try:
        found = shapely.box(*literal["bbox"]) if "bbox" in literal else shape(literal)
        valid = shapely.is_valid(found)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StacbuildError(f"{json.dumps(literal)[:100]} is not a geometry ({error})") from error
    if not valid:
        reason = shapely.is_valid_reason(found)
        raise StacbuildError(f"{json.dumps(literal)[:100]} is not a valid geometry ({reason})")
    return found


class Evaluation:
    """Evaluation of prepared expressions on one item.

    Parameters
    ----------
    item
        A STAC item as JSON.
    differ
        Called with the name of a property, its value and the value of another type that it is
        compared with; None and the value of another property, if it is missing.
    """

    def __init__(self, item: Json, differ: Callable[[str, Any, Any], None]) -> None:
        self._item = item
        self._differ = differ

    def truth(self, expression: Any) -> Truth:
        """Return whether an expression is true; None if that is unknown."""
        value = self.value(expression)
        return value if isinstance(value, bool) else None

    def value(self, expression: Any) -> Any:
        """Return the value of an expression; None if it is null or unknown."""
        if isinstance(expression, list):
            return [self.value(each) for each in expression]
        if not isinstance(expression, dict):
            return expression
        if "property" in expression:
            return lookup(self._item, str(expression["property"]))
        if "interval" in expression:
            return self._interval(expression["interval"])
        return self._operation(expression["op"], expression["args"])

    def _operation(self, name: str, args: list[Any]) -> Any:
        if name in ("and", "or"):
            return _joined(name == "and", (self.truth(each) for each in args))
        if name == "not":
            found = self.truth(args[0])
            return None if found is None else not found
        if name == "between":
            ends = (self._compared(">=", args[0], args[1]), self._compared("<=", args[0], args[2]))
            return _joined(True, ends)
        if name == "in":
            listed = args[1] if isinstance(args[1], list) else [args[1]]
            return _joined(False, [self._compared("=", args[0], each) for each in listed])
        if name in COMPARISONS:
            return self._compared(name, *args)
        values = [self.value(each) for each in args]
        if name == "isnull":
            return values[0] is None
        if any(value is None for value in values):
            return None
        return self._function(name, args, values)

    def _function(self, name: str, args: list[Any], values: list[Any]) -> Any:
        first, second = values[0], values[-1]
        if name in FOLDING:
            return _folded(name, first)
        if name == "like":
            if not (isinstance(first, str) and isinstance(second, str)):
                self._different(args[0], first, second)
                return None
            return _pattern(second).fullmatch(first) is not None
        if name in ARITHMETIC:
            return _computed(name, first, second)
        if name in SPATIAL:
            shapes = [_shape(value) for value in values]
            return None if None in shapes else bool(SPATIAL[name](*shapes))
        if name in TEMPORAL:
            spans = [_span_of(value) for value in values]
            one, other = spans
            return None if one is None or other is None else TEMPORAL[name](one, other)
        if not (isinstance(first, list) and isinstance(second, list)):
            self._different(args[0], first, second)
            return None
        sets = [{json.dumps(each, sort_keys=True) for each in value} for value in (first, second)]
        return ARRAYS[name](*sets)

    def _compared(self, name: str, one: Any, other: Any) -> Truth:
        a, b = self.value(one), self.value(other)
        if a is None or b is None:
            if a is not None and _named(one) is not None:
                self._different(other, None, a)
            return None
        alike, spans = COMPARISONS[name]
        if isinstance(a, Span) or isinstance(b, Span):
            a_span, b_span = _span_of(a), _span_of(b)
            if a_span is not None and b_span is not None:
                return spans(a_span, b_span)
        elif isinstance(a, str) and isinstance(b, str):
            # One time may be written in several ways.
            moments = _moment(a), _moment(b)
            both = moments[0] is not None and moments[1] is not None
            return spans(*moments) if both else alike(a, b)  # type: ignore[arg-type]
        elif (_is_number(a) and _is_number(b)) or (type(a) is type(b) and name in ("=", "<>")):
            return alike(a, b)
        operands = (one, a, b) if _named(one) else (other, b, a)
        self._different(*operands)
        return None

    def _different(self, operand: Any, value: Any, other: Any) -> None:
        if (name := _named(operand)) is not None:
            self._differ(name, value, other)

    def _interval(self, ends: Sequence[Any]) -> Span | None:
        first, last = (self.value(end) for end in ends)
        start = Span(_FIRST, _FIRST) if first in ("..", "") else _span_of(first)
        end = Span(_LAST, _LAST) if last in ("..", "") else _span_of(last)
        return Span(start.start, end.end) if start and end else None


def lookup(item: Json, name: str) -> Any:
    """Return a property of an item by its queryable name; None if it is missing.

    ``id``, ``collection`` and ``geometry`` are those of the item. Other names are of its
    properties, with or without the prefix ``properties.``; a dot leads into an object.
    """
    if name in _ITEM:
        return item.get(name)
    properties = item.get("properties")
    inner = name.removeprefix("properties.")
    value: Any = properties if isinstance(properties, dict) else {}
    if inner in value:
        return value[inner]
    for part in inner.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _named(operand: Any) -> str | None:
    return str(operand["property"]) if isinstance(operand, dict) and "property" in operand else None


def _joined(every: bool, truths: Any) -> Truth:
    """Return the conjunction (*every*) or disjunction of truths, of which some may be unknown."""
    known = list(truths)
    if (not every) in known:
        return not every
    return None if None in known else every


def _span_of(value: Any) -> Span | None:
    if isinstance(value, str):
        return span(value)
    return value if isinstance(value, Span) else None


def _shape(value: Any) -> Any:
    if not isinstance(value, dict):
        return value if isinstance(value, shapely.Geometry) else None
    try:
        return shape(value)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None


def _folded(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return None
    if name == "casei":
        return value.casefold()
    apart = unicodedata.normalize("NFD", value)
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


def _computed(name: str, one: Any, other: Any) -> Any:
    if not (_is_number(one) and _is_number(other)):
        return None
    try:
        found = ARITHMETIC[name](float(one), float(other))
    except (ZeroDivisionError, OverflowError):
        return None
    return found if isinstance(found, float) and math.isfinite(found) else None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern: ``%`` is any text, ``_`` any character."""
    wild = {"%": ".*", "_": "."}
    parts = re.findall(r"\\.|[^\\]|\\$", text, re.DOTALL)
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
