"""Substitution of environment variables for ``${NAME}``, so that files need no secrets.

Only text values below ``store_params`` are substituted. ``$${`` is a literal ``${``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stacbuild.config.reading import KeyPath, Problem

_REFERENCE = re.compile(r"\$(\$?)\{([^{}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Parameters whose value is a credential by itself.
_CREDENTIALS = frozenset(
    {"key", "secret", "token", "access_token", "private_key", "client_secret", "password"}
)


@dataclass
class Filled:
    """A configuration with values of environment variables substituted.

    Parameters
    ----------
    data
        The result; unchanged parts are shared with the original.
    written
        The text in the file of each substituted value, by path.
    problems
        Variables that are not set, and malformed references.
    literal
        A problem for each credential in plain text.
    """

    data: dict[Any, Any]
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    literal: list[Problem] = field(default_factory=list)

    def hides(self, problem: Problem) -> Problem:
        """Return *problem* with a message that does not quote a substituted value."""
        if (written := self.written.get(problem.path)) is None:
            return problem
        value: Any = self.data
        for part in problem.path:
            value = value[part]
        # A message may quote the value, escaped or cut short.
        start = str(value)[:20]
        if start in problem.message or repr(start)[1:-1] in problem.message:
            return Problem(problem.path, f"the environment's value of {written} is not valid here")
        return problem


def fill(data: dict[Any, Any]) -> Filled:
    """Return *data*, which is not changed, with the parameters of its stores substituted."""
    filled = Filled(dict(data))
    stores = data.get("data_stores")
    if isinstance(stores, list | tuple):
        filled.data["data_stores"] = [
            _store(store, ("data_stores", number), filled) for number, store in enumerate(stores)
        ]
    return filled


def _store(store: Any, path: KeyPath, filled: Filled) -> Any:
    if not isinstance(store, Mapping) or "store_params" not in store:
        return store
    at = (*path, "store_params")
    return {**store, "store_params": _value(store["store_params"], at, filled)}


def _value(value: Any, path: KeyPath, filled: Filled) -> Any:
    if isinstance(value, dict):
        return {key: _value(inner, (*path, key), filled) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_value(inner, (*path, number), filled) for number, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    text = _text(value, path, filled)
    if path[-1] in _CREDENTIALS and value and path not in filled.written:
        message = (
            "is a credential in plain text; write ${NAME} instead and set that environment variable"
        )
        filled.literal.append(Problem(path, message))
    return text


def _text(value: str, path: KeyPath, filled: Filled) -> str:
    def one(found: re.Match[str]) -> str:
        escaped, name, end = found.groups()
        if escaped:
            return found[0][1:]
        if not end or not _NAME.fullmatch(name):
            # The text is not quoted: it may be a credential that contains these characters.
            message = "'${' is not the start of ${NAME}; for a literal '${' write '$${'"
            filled.problems.append(Problem(path, message))
        elif not os.environ.get(name):
            message = f"the environment variable {name} is not set, or is empty"
            filled.problems.append(Problem(path, message))
        else:
            filled.written[path] = value
            return os.environ[name]
        return found[0]

    return _REFERENCE.sub(one, value)
