"""Filters of items by their properties: CQL2 text, and terms of the API's query extension.

A STAC API is sent what its conformance classes say that it evaluates. All of it is evaluated here
on the items found, too, so that catalogs of all kinds give the same items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stacbuild.errors import StacbuildError
from stacbuild.json_numbers import parse_int
from stacbuild.sources.stac.predicates import (
    ARITHMETIC,
    ARRAYS,
    COMPARISONS,
    SPATIAL,
    TEMPORAL,
    Evaluation,
    prepared,
)

Json = dict[str, Any]

_OPERATORS = {">=": "gte", "<=": "lte", "<>": "neq", "=": "eq", ">": "gt", "<": "lt"}
_NAMES = {name: sign for sign, name in _OPERATORS.items()}
_TEXT = {"startsWith": "{}%", "endsWith": "%{}", "contains": "%{}%"}
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_ISSUE = re.compile(r"-->\s*(\d+):(\d+).*?=\s*(expected .*)", re.DOTALL)

_QUERY = re.compile(r"https://api\.stacspec\.org/v[^/]*/item-search#query")
_FILTER = re.compile(r"https://api\.stacspec\.org/v[^/]*/item-search#filter(?::.*)?")
# Last part of the URI of a conformance class: the operators that it adds to `_BASIC`.
_CLASSES = {
    "advanced-comparison-operators": {"like", "between", "in"},
    "case-insensitive-comparison": {"casei"},
    "accent-insensitive-comparison": {"accenti"},
    "basic-spatial-functions": {"s_intersects"},
    "basic-spatial-operators": {"s_intersects"},
    "spatial-functions": set(SPATIAL),
    "spatial-operators": set(SPATIAL),
    "temporal-functions": set(TEMPORAL),
    "temporal-operators": set(TEMPORAL),
    "array-functions": set(ARRAYS),
    "array-operators": set(ARRAYS),
    "arithmetic": set(ARITHMETIC),
}
_BASIC = {"and", "or", "not", "isnull", *COMPARISONS}


@dataclass(frozen=True)
class Filter:
    """Conditions on the properties of items, all of which have to hold.

    Parameters
    ----------
    text
        CQL2 text; None is any item.
    terms
        Terms of the query extension: ``eo:cloud_cover<10``, or ``{"eo:cloud_cover": {"lt": 10}}``.
    """

    text: str | None = None
    terms: tuple[str, ...] = ()
    _differing: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.text or self.terms)

    def check(self) -> None:
        """Raise StacbuildError if the filter is not valid."""
        _ = self._prepared

    def takes(self, item: Json) -> bool:
        """Return whether an item, as JSON, fulfils all conditions."""
        name = str(item.get("id"))[:100]

        def differ(key: str, value: Any, other: Any) -> None:
            line = f"{key} is {_shown(value)} in {name}, and compared with {_shown(other)}"
            if value is None:
                line = f"{name} has no property {key}; text is written in single quotes: '{key}'"
            self._differing.setdefault(key, line)

        evaluation = Evaluation(item, differ)
        return all(evaluation.truth(each) is True for each in self._prepared) and all(
            evaluation.truth(prepared(_term(term, item))) is True for term in self._queried
        )

    @property
    def differing(self) -> tuple[str, ...]:
        """A line for each property whose comparison was probably meant in another way.

        It had another type than the value that it was compared with, or is missing and may be
        text: ``platform = "sentinel-2a"`` compares two properties.
        """
        return tuple(self._differing.values())

    def parameters(self, conforms: Any) -> Json:
        """Return what the search of an API is sent: ``query``, ``filter`` and ``filter_lang``.

        Parameters
        ----------
        conforms
            ``conformsTo`` of its landing page. Without it, the API is sent neither.
        """
        stated = conforms if isinstance(conforms, list) else []
        classes = [each for each in stated if isinstance(each, str)]
        queries = any(map(_QUERY.fullmatch, classes))
        language = _language(classes)
        known = set(_BASIC).union(*(_CLASSES.get(_last(each), set()) for each in classes))
        sent: Json = {}
        if language is not None:
            conjuncts = [each for each in self._conjuncts if _is_sent(each, known)]
            if not queries:
                terms = [_term(term, None) for term in self._queried]
                conjuncts += [each for each in terms if _is_sent(each, known)]
            if conjuncts:
                whole = conjuncts[0] if len(conjuncts) == 1 else {"op": "and", "args": conjuncts}
                sent["filter"] = whole if language == "cql2-json" else _as_text(whole)
                sent["filter_lang"] = language
        if queries:
            query: Json = {}
            terms = list(self._queried)
            if language is None:
                terms += [term for each in self._conjuncts for term in _as_terms(each)]
            for key, name, value in terms:
                query.setdefault(key, {}).setdefault(name, value)
            if query:
                sent["query"] = query
        return sent

    @cached_property
    def _conjuncts(self) -> tuple[Any, ...]:
        """The CQL2 expression, split at AND."""
        return tuple(_split(_parse(self.text))) if self.text else ()

    @cached_property
    def _prepared(self) -> tuple[Any, ...]:
        conjuncts = self._conjuncts
        try:
            found = [prepared(each) for each in conjuncts]
            for term in self._queried:
                prepared(_term(term, None))
        except StacbuildError as error:
            at = _place(self.text or "", str(error))
            raise StacbuildError(f"the filter {_excerpt(self.text or '')}: {error}{at}") from None
        return tuple(found)

    @cached_property
    def _queried(self) -> tuple[tuple[str, str, Any], ...]:
        return tuple(each for term in self.terms for each in _terms_of(term))


NO_FILTER = Filter()


def _parse(text: str) -> Any:
    # Imported when used: few searches have a filter.
    import cql2

    line = re.sub(r"\s", " ", text)
    try:
        expression = cql2.parse_text(line).to_json()
    except (cql2.ParseError, cql2.ValidationError, ValueError) as error:
        found = _ISSUE.search(str(error))
        if not found:
            reason = " ".join(str(error).split())[:200]
            raise StacbuildError(
                f"the filter {_excerpt(line)} is no CQL2 text ({reason})"
            ) from None
        at = int(found[2])
        here = line[at - 1 : at + 19]
        after = f"at character {at}, {here!r}" if here.strip() else "at its end"
        raise StacbuildError(
            f"the filter {_excerpt(line)} is no CQL2 text {after}: {_expected(found[3])}"
        ) from None
    if not isinstance(expression, bool | dict) or (
        isinstance(expression, dict)
        and "property" not in expression
        and str(expression.get("op")).lower() not in _TRUTHS
    ):
        raise StacbuildError(
            f"the filter {_excerpt(line)} is neither true nor false; write a comparison, such as "
            "eo:cloud_cover < 20"
        )
    return expression


_TRUTHS = {*_BASIC, "like", "between", "in", *SPATIAL, *TEMPORAL, *ARRAYS}


def _expected(text: str) -> str:
    """Return what the parser expects, without the names of its grammar."""
    if "Identifier" in text or text.strip() == "expected Expr":
        return "expected a property, a value or an expression in parentheses"
    if "EOI" in text or "And" in text:
        end = ", or the end" if "EOI" in text else ""
        return f"expected an operator, such as AND, OR, <, = or IS NULL{end}"
    return " ".join(text.split())[:200]


def _split(expression: Any) -> list[Any]:
    if isinstance(expression, dict) and expression.get("op") == "and":
        return [part for each in expression["args"] for part in _split(each)]
    return [expression]


def _terms_of(term: str) -> list[tuple[str, str, Any]]:
    """Return property, operator and value of a term; values of JSON keep their type."""
    text = term.strip()
    if text.startswith("{"):
        return _terms_of_json(text)
    found = re.fullmatch(r"([^<>=]+?)\s*(>=|<=|<>|=|>|<)\s*(.+)", text)
    if not found:
        raise StacbuildError(
            f"query={term[:100]} is no condition; write a property, one of "
            f"{' '.join(_OPERATORS)} and a value: eo:cloud_cover<20"
        )
    name, value = _OPERATORS[found[2]], found[3]
    ordered = name not in ("eq", "neq") and _NUMBER.fullmatch(value)
    return [(found[1], name, float(value) if ordered else value)]


def _terms_of_json(text: str) -> list[tuple[str, str, Any]]:
    try:
        conditions = json.loads(text, parse_int=parse_int)
        found = [
            (str(key), str(name), value)
            for key, operators in conditions.items()
            for name, value in operators.items()
        ]
    except (ValueError, AttributeError, RecursionError) as error:
        raise StacbuildError(
            f"query={text[:100]} is not understood; write "
            '{"eo:cloud_cover": {"lt": 20}}, or eo:cloud_cover<20'
        ) from error
    known = [*_NAMES, *_TEXT, "in"]
    for _, name, value in found:
        of_text = name in _TEXT and not isinstance(value, str)
        if name not in known or of_text or (name == "in" and not isinstance(value, list)):
            raise StacbuildError(
                f"query={text[:100]}: {name} with {_shown(value)} is no condition; there are "
                f"{', '.join(known)} (a list)"
            )
    return found


def _term(term: tuple[str, str, Any], item: Json | None) -> Any:
    """Return a term as CQL2, its text as a number if the item's property is one."""
    key, name, value = term
    operand = {"property": key}
    if name in _TEXT:
        literal = re.sub(r"([\\%_])", r"\\\1", value)
        return {"op": "like", "args": [operand, _TEXT[name].format(literal)]}
    if item is not None and isinstance(value, str):
        value = _of_type(value, Evaluation(item, lambda *_: None).value(operand))
    return {"op": "in" if name == "in" else _NAMES[name], "args": [operand, value]}


def _of_type(text: str, like: Any) -> Any:
    if isinstance(like, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(like, int | float):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _as_terms(expression: Any) -> list[tuple[str, str, Any]]:
    """Return a comparison of CQL2 as terms of the query extension; none for anything else."""
    if not isinstance(expression, dict) or "op" not in expression:
        return []
    name, args = expression["op"], expression["args"]
    if not (isinstance(args[0], dict) and "property" in args[0]):
        return []
    key = str(args[0]["property"]).removeprefix("properties.")
    values = [each.get("timestamp") if isinstance(each, dict) else each for each in args[1:]]
    if not all(isinstance(value, str | int | float | bool) for value in values):
        return []
    if name in COMPARISONS:
        return [(key, _OPERATORS[name], values[0])]
    return [(key, "gte", values[0]), (key, "lte", values[1])] if name == "between" else []


def _is_sent(expression: Any, known: set[str]) -> bool:
    """Return whether an API that knows these operators evaluates an expression as it is done here.

    Dates are periods here (all of the day), and the midnight of it elsewhere.
    """
    if isinstance(expression, list):
        return all(_is_sent(each, known) for each in expression)
    if not isinstance(expression, dict):
        return True
    if "op" in expression:
        return str(expression["op"]).lower() in known and _is_sent(expression["args"], known)
    ends = expression.get("interval", ())
    return "date" not in expression and not any(
        isinstance(end, str) and len(end) == len("2020-06-01") for end in ends
    )


def _language(classes: Sequence[str]) -> str | None:
    if not any(map(_FILTER.fullmatch, classes)):
        return None
    known = {_last(each) for each in classes}
    return next((each for each in ("cql2-json", "cql2-text") if each in known), None)


def _last(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]


def _as_text(expression: Any) -> str:
    import cql2

    return str(cql2.parse_json(json.dumps(expression)).to_text())


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def _place(text: str, reason: str) -> str:
    """Return where in the text the word is that a reason begins with."""
    word = reason.partition(" ")[0].strip("'\"")
    at = text.lower().find(word.lower()) if word else -1
    return f" (at character {at + 1})" if at >= 0 else ""


def _shown(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value:g}"
    kind = "the text " if isinstance(value, str) else ""
    return f"{kind}{json.dumps(value, default=str, ensure_ascii=False)[:60]}"
