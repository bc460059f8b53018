"""A configuration with its defaults filled in, as a configuration again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from stacbuild.config import Config, load_config
from stacbuild.config.reading import read_document
from stacbuild.safe_text import MASK

_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
# A key that stands for a comment: no key of the language begins so.
_COMMENT = "__comment_"
_SENTENCE = re.compile(r"[.;](?:\s|$)")
# What tells one entry from the others goes before what is said of it.
_FIRST = ("identifier", "store_id", "root", "url")


def resolved_yaml(path: Path) -> str:
    """Return a configuration as YAML, with a value for every key that has one.

    What the file says stands as it says it: relative paths, numbers, ``${NAME}``. Credentials that
    stand in the file itself are masked, so that they have to be put in again before it is used.
    Keys are in the order of the reference; one whose default is no value is a comment.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    config = load_config(path)
    content = _filled(read_document(path).data, _complete(config))
    comments: list[str] = []
    _comment(config, content, comments)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    # The first key of a mapping in a list is never a comment, so that "- " stays where it is.
    text = re.sub(rf"\b{_COMMENT}(\d+): null$", lambda m: comments[int(m[1])], text, flags=re.M)
    return re.sub(r"\n(?=[a-z_]+:)", "\n\n", text)


def _complete(config: Config) -> dict[str, Any]:
    """Return the configuration with what is not in its models either: what they lead to."""
    content = config.resolved()
    content["general"]["dask_scheduler"] = config.general.dask_scheduler
    for entry, store in zip(content["data_stores"], config.data_stores, strict=True):
        entry["store_params"] |= store.implied_params
    return {name: content[name] for name in Config.model_fields if name in content}


def _comment(model: BaseModel, content: Any, comments: list[str], inside: str = "") -> list[str]:
    """Add to *content* a comment for each key that has no value, told what that means.

    Returns
    -------
    Comments of a mapping that is empty: they have to stand beside it, as it would be none else.
    """
    if not isinstance(content, dict):
        return []
    mine = []
    for name, value in _fields(model):
        if isinstance(value, BaseModel):
            mine += _comment(value, content.get(name), comments, f"{inside}{name}.")
        elif isinstance(value, tuple) and isinstance(content.get(name), list):
            for each, entry in zip(value, content[name], strict=True):
                if isinstance(each, BaseModel):
                    _comment(each, entry, comments)
        elif value is None and name not in content:
            mine.append(f"{inside}{name}: {_meaning(type(model), name)}")
    if inside and not content:
        return mine
    start = inside.rsplit(".", 1)[0] + "." if inside else ""
    for text in mine:
        content[f"{_COMMENT}{len(comments)}"] = None
        comments.append(f"# {text.removeprefix(start)}")
    return []


def _fields(model: BaseModel) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(model, name)) for name in type(model).model_fields)


def _meaning(model: type[BaseModel], name: str) -> str:
    """Return what it means that a key is not given, in the words of its description."""
    words = " ".join((model.model_fields[name].description or "").split())
    told = [part for part in _SENTENCE.split(words) if "by default" in part]
    return told[0].strip().removeprefix("by default ") if told else "none"


def _order(resolved: Iterable[str], stated: Iterable[str]) -> list[str]:
    keys = list(dict.fromkeys([*resolved, *stated]))
    return sorted(keys, key=lambda key: key not in _FIRST)


def _filled(stated: Any, resolved: Any) -> Any:
    """Return what is stated, and what is resolved where nothing is."""
    if isinstance(stated, dict) and isinstance(resolved, dict):
        return {
            key: _filled(stated[key], resolved[key])
            if key in stated and key in resolved
            else stated.get(key, resolved.get(key))
            for key in _order(resolved, stated)
        }
    if isinstance(stated, list) and isinstance(resolved, list) and len(stated) == len(resolved):
        return [_filled(*pair) for pair in zip(stated, resolved, strict=True)]
    if resolved == MASK:
        # One reference and nothing beside it.
        return stated if isinstance(stated, str) and _REFERENCE.fullmatch(stated) else MASK
    return stated
