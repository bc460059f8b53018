"""Messages for pydantic's errors in the terms of the file: which key, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from stacbuild.config.datasets import NamedVariable, OpenParams
from stacbuild.config.models import hint
from stacbuild.config.reading import KeyPath, Problem
from stacbuild.config.types import show

# Values of these keys are never quoted in a message.
_SECRETS = frozenset({"key", "secret", "token", "access_token", "credentials"})


def translated(
    errors: list[ErrorDetails], data: Any, known: Mapping[int, tuple[str, ...]]
) -> Iterator[Problem]:
    """Yield a problem for each error of pydantic.

    Parameters
    ----------
    data
        The validated data.
    known
        Known keys by the identity of the mapping, as `Strict` notes them.
    """
    for error in errors:
        if error["type"] == "too_short" and error["input"]:
            continue  # pydantic counts valid items only; the invalid ones are reported
        path, parent = _key_path(error, data)
        yield _problem(error, path, known.get(id(parent), ()), parent)


def _key_path(error: ErrorDetails, data: Any) -> tuple[KeyPath, Any]:
    """Return the path in the user's terms, without pydantic's names of union members."""
    path: list[str | int] = []
    parent = here = data
    for part in error["loc"]:
        inside = isinstance(here, dict) and part in here
        # A list that is too short has an error for each entry that is missing.
        listed = isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if inside or listed:
            parent, here = here, here[part]
            path.append(part)
    if error["type"] == "missing":
        return (*path, error["loc"][-1]), here
    return tuple(path), parent


def _problem(error: ErrorDetails, path: KeyPath, known: tuple[str, ...], parent: Any) -> Problem:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    got = "" if _SECRETS.intersection(path) else f", got {show(value)}"
    if kind == "extra_forbidden":
        if isinstance(parent, dict) and "variables" in parent and path[-1] in _OF_A_SOURCE:
            return Problem(path, "belongs into each item of variables, not beside them", True)
        if "open_params" in known and path[-1] in _OF_OPEN_PARAMS:
            return Problem(path, "belongs into open_params", True)
        return Problem(path, f"unknown key{hint(str(path[-1]), known)}", True)
    if kind == "missing":
        return Problem(path, "is missing")
    if kind == "union_tag_not_found":
        return Problem((*path, "store_id"), "is missing")
    if kind == "union_tag_invalid":
        return Problem((*path, "store_id"), f"has to be one of {context['expected_tags']}")
    if value is None:
        return Problem(path, "is empty; set a value or leave the key out")
    if kind == "string_type":
        if isinstance(value, bool):
            return Problem(
                path, "has to be text, and YAML parses a bare yes, no, on, off, true or false as "
                "a truth value; put it in quotes",
            )  # fmt: skip
        quotes = "" if isinstance(value, list | dict) else "; put it in quotes"
        return Problem(path, f"has to be text{got}{quotes}")
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return Problem(path, f"has to be a mapping (key: value){got}")
    if kind in {"tuple_type", "list_type"}:
        return Problem(path, f"has to be a list{got}")
    if kind in {"bool_type", "bool_parsing"}:
        return Problem(path, f"has to be true or false{got}")
    if kind == "literal_error":
        expected = str(context["expected"])
        close = ""
        if isinstance(value, str) and not _SECRETS.intersection(path):
            close = hint(value, re.findall(r"'([^']*)'", expected)).partition(";")[0]
        return Problem(path, f"has to be {expected}{got}{close}")
    if kind == "too_short":
        return Problem(path, "is empty; it needs at least one item")
    if kind == "greater_than_equal":
        return Problem(path, f"has to be {context['ge']:g} or more{got}")
    if kind == "greater_than":
        return Problem(path, f"has to be more than {context['gt']:g}{got}")
    if kind in {"int_type", "int_parsing", "int_from_float"}:
        return Problem(path, f"has to be a whole number{got}")
    if kind in {"float_type", "float_parsing"}:
        return Problem(path, f"has to be a number{got}")
    if kind == "string_pattern_mismatch":
        wanted = _PATTERNS.get(context["pattern"], f"match {context['pattern']}")
        return Problem(path, f"has to {wanted}{got}")
    if kind.startswith("datetime_"):
        return Problem(path, f"has to be a date such as 2020-12-31, or a time{got}")
    if kind == "value_error":
        return Problem(path, str(context["error"]))
    return Problem(path, error["msg"])


# What regular expressions of models mean.
_PATTERNS = {
    r"^[0-9A-Za-z-_]+$": "consist of letters (A to Z, a to z), digits, - and _, without spaces",
    r"^[0-9A-Fa-f]{6}$": "be six hexadecimal digits, such as 1a7a3c",
}

_OF_A_SOURCE = frozenset(NamedVariable.model_fields)
# A bbox or CRS beside the data id may be meant for a grid.
_OF_OPEN_PARAMS = frozenset(OpenParams.model_fields) - {"bbox", "crs"}
