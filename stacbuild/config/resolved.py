"""A configuration with its defaults filled in, as a configuration again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from stacbuild.config import load_config
from stacbuild.config.reading import read_document
from stacbuild.safe_text import MASK

_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


def resolved_yaml(path: Path) -> str:
    """Give a configuration as YAML, with a value for every key that has one.

    What the file says stands as it says it: relative paths, numbers, ``${NAME}``. Credentials that
    stand in the file itself are masked, so that they have to be put in again before it is used.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    config = load_config(path)
    content = _filled(read_document(path).data, config.resolved())
    content["general"].setdefault("dask_scheduler", config.general.dask_scheduler)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _filled(stated: Any, resolved: Any) -> Any:
    """Give what is stated, and what is resolved where nothing is."""
    if isinstance(stated, dict) and isinstance(resolved, dict):
        return {
            key: _filled(stated[key], resolved[key])
            if key in stated and key in resolved
            else stated.get(key, resolved.get(key))
            for key in dict.fromkeys([*stated, *resolved])
        }
    if isinstance(stated, list) and isinstance(resolved, list) and len(stated) == len(resolved):
        return [_filled(*pair) for pair in zip(stated, resolved, strict=True)]
    if resolved == MASK:
        # One reference and nothing beside it.
        return stated if isinstance(stated, str) and _REFERENCE.fullmatch(stated) else MASK
    return stated
