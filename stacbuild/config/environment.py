"""Values of the environment for ``${NAME}``, so that no secret needs to stand in a file.

Only text below ``store_params`` is looked at, and only values. ``$${`` is a literal ``${``.
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
    """A configuration with the environment's values in it.

    Parameters
    ----------
    data
        A copy, as far as it differs.
    written
        What stands in the file, by the path of each value that was filled in.
    problems
        Variables that are not set, references that are none.
    literal
        A problem for each credential that stands in the file itself.
    """

    data: dict[Any, Any]
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    literal: list[Problem] = field(default_factory=list)

    def hides(self, problem: Problem) -> Problem:
        """Return *problem*, without the environment's value if its message shows that."""
        if (written := self.written.get(problem.path)) is None:
            return problem
        value = _at(self.data, problem.path)
        # A message may quote the value, escaped or cut short.
        shown = (value[:20], repr(value[:20])[1:-1])
        if any(part in problem.message for part in shown):
            return Problem(problem.path, f"what the environment gives for {written} does not fit")
        return problem


def fill(data: dict[Any, Any]) -> Filled:
    """Put the values of the environment into the parameters of the stores; *data* is left alone."""
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
            "a credential stands here in plain text; write ${NAME} instead and set that "
            "environment variable"
        )
        filled.literal.append(Problem(path, message))
    return text


def _text(value: str, path: KeyPath, filled: Filled) -> str:
    def one(found: re.Match[str]) -> str:
        escaped, name, end = found.groups()
        if escaped:
            return found[0][1:]
        if not end or not _NAME.fullmatch(name):
            # What follows is not repeated: it may be a credential that holds these characters.
            message = "'${' begins no ${NAME}; for a literal '${' write '$${'"
            filled.problems.append(Problem(path, message))
        elif not os.environ.get(name):
            message = f"the environment variable {name} is not set, or is empty"
            filled.problems.append(Problem(path, message))
        else:
            filled.written[path] = value
            return os.environ[name]
        return found[0]

    return _REFERENCE.sub(one, value)


def _at(data: Any, path: KeyPath) -> str:
    for part in path:
        data = data[part]
    return str(data)
