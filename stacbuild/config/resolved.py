"""The YAML text of a configuration with all defaults filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from stacbuild.config import Config, load_config
from stacbuild.config.descriptions import descriptions
from stacbuild.config.reading import read_document
from stacbuild.config.sites import expand
from stacbuild.safe_text import MASK

_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
# Prefix of placeholder keys for comments; no key of the configuration begins with it.
_COMMENT = "__comment_"
_SENTENCE = re.compile(r"[.;](?:\s|$)")
# Keys that identify an item of a list come first.
_FIRST = ("identifier", "store_id", "root", "url")


def resolved_yaml(path: Path) -> str:
    """Return a configuration as YAML, with every default value.

    Values of the file stay as written there: relative paths, numbers, ``${NAME}``. Credentials in
    plain text are masked and have to be put in again before the text is used. Keys are in the order
    of the reference; a key without a default value becomes a comment.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    config = load_config(path)
    written = expand(read_document(path).data, config.directory).data
    content = _filled(written, _complete(config))
    comments: list[str] = []
    _comment(config, content, comments)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    # The first key of a mapping in a list is never a comment, so that "- " stays where it is.
    text = re.sub(rf"\b{_COMMENT}(\d+): null$", lambda m: comments[int(m[1])], text, flags=re.M)
    return re.sub(r"\n(?=[a-z_]+:)", "\n\n", text)


def _complete(config: Config) -> dict[str, Any]:
    """Return the configuration's data with the parameters that stores imply."""
    content = config.resolved()
    content["general"]["dask_scheduler"] = config.general.dask_scheduler
    if config.general.memory is not None:
        content["general"]["memory"] = config.general.memory
    for entry, store in zip(content["data_stores"], config.data_stores, strict=True):
        entry["store_params"] |= store.implied_params
    return {name: content[name] for name in Config.model_fields if name in content}


def _comment(model: BaseModel, content: Any, comments: list[str], inside: str = "") -> list[str]:
    """Add to *content* a comment for each key without a value, with what its absence means.

    Returns
    -------
    Comments of an empty mapping, which belong to its parent: a mapping needs a key to be one.
    """
    if not isinstance(content, dict):
        return []
    mine = []
    for name in type(model).model_fields:
        value = getattr(model, name)
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


def _meaning(model: type[BaseModel], name: str) -> str:
    """Return the sentence about the default in the description of a key."""
    words = " ".join(descriptions(model).get(name, "").split())
    defaults = [part for part in _SENTENCE.split(words) if "by default" in part]
    return defaults[0].strip().removeprefix("by default ") if defaults else "none"


def _filled(written: Any, resolved: Any) -> Any:
    """Return the values written in the file, completed by the resolved ones."""
    if isinstance(written, dict) and isinstance(resolved, dict):
        return {
            key: _filled(written[key], resolved[key])
            if key in written and key in resolved
            else written.get(key, resolved.get(key))
            for key in sorted(resolved | written, key=lambda key: key not in _FIRST)
        }
    if isinstance(written, list) and isinstance(resolved, list) and len(written) == len(resolved):
        return [_filled(*pair) for pair in zip(written, resolved, strict=True)]
    if resolved == MASK:
        # Only a reference alone is safe to show.
        return written if isinstance(written, str) and _REFERENCE.fullmatch(written) else MASK
    return written
