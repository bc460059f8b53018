"""Data ids that are several files: a pattern, or a list of paths and patterns.

A list has one canonical text, a JSON array, by which the catalog knows it like any other data id.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from stacbuild.config.patterns import check_braces, compiled, is_pattern

_NAMED = 2


def entries(data_id: str) -> tuple[str, ...]:
    """Return the paths and patterns of a data id, in order: those of a list, or itself."""
    return _listed(data_id) or (data_id,)


def is_list(data_id: str) -> bool:
    """Return whether a data id is a list of paths and patterns."""
    return bool(_listed(data_id))


def is_several(data_id: str) -> bool:
    """Return whether a data id can be several files: it is a list, or has wildcards or fields."""
    return is_list(data_id) or is_pattern(data_id)


def check_patterns(data_id: str) -> None:
    """Raise ValueError if a pattern has a field that cannot be read."""
    for entry in entries(data_id):
        check_braces(entry)
        if is_pattern(entry):
            compiled(entry)


def joined(value: Any) -> Any:
    """Return the canonical text of a list of text; anything else as it is."""
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        if not value:
            msg = "is an empty list; name one file or more"
            raise ValueError(msg)
        stripped = [each.strip() for each in value]
        [(name, count)] = Counter(stripped).most_common(1)
        if count > 1:
            msg = f"names {name!r} twice"
            raise ValueError(msg)
        return stripped[0] if len(value) == 1 else json.dumps(stripped, ensure_ascii=False)
    return value


def apart(data_id: str) -> str | list[str]:
    """Return a data id as written in a configuration: text, or a list."""
    return list(_listed(data_id)) or data_id


def short(data_id: str) -> str:
    """Return a data id for messages: a list without most of its files."""
    names = _listed(data_id)
    if not names:
        return data_id
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _listed(data_id: str) -> tuple[str, ...]:
    if not data_id.startswith('["'):
        return ()
    try:
        found = json.loads(data_id)
    except ValueError:
        return ()
    return tuple(found) if all(isinstance(each, str) for each in found) else ()
