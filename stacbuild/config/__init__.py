"""The configuration: one YAML file in the language of the notebook's tool.

>>> config = load_config("scs2_config.yml")  # doctest: +SKIP
>>> [dataset.identifier for dataset in config.datasets]  # doctest: +SKIP
['senf', 'gami', 'liu', 'clms']
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stacbuild.config import checks, stac_ids
from stacbuild.config.datasets import (
    CustomProcessing,
    Dataset,
    MultiDataset,
    NamedVariable,
    SingleDataset,
    SourceVariable,
)
from stacbuild.config.environment import fill
from stacbuild.config.models import Config, General, GridMapping, PreloadDataset, hint
from stacbuild.config.other_stores import STAC_APIS, as_stac
from stacbuild.config.overlaps import overlaps
from stacbuild.config.reading import Document, KeyPath, Problem, read_document
from stacbuild.config.stores import (
    ClmsStore,
    FileStore,
    HttpsStore,
    MemoryStore,
    S3Store,
    StacStore,
    Store,
    ZenodoStore,
)
from stacbuild.config.types import show
from stacbuild.config.unsupported import unsupported

__all__ = [
    "ClmsStore",
    "Config",
    "CustomProcessing",
    "Dataset",
    "FileStore",
    "General",
    "GridMapping",
    "HttpsStore",
    "MemoryStore",
    "MultiDataset",
    "PreloadDataset",
    "S3Store",
    "SingleDataset",
    "SourceVariable",
    "StacStore",
    "Store",
    "ZenodoStore",
    "config_schema",
    "load_config",
]

_log = logging.getLogger(__name__)

# A value under one of these is never repeated in a message.
_SECRETS = frozenset({"key", "secret", "token", "access_token", "credentials"})


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any],
    base_dir: str | os.PathLike[str] | None = None,
) -> Config:
    """Read and check a configuration; nothing is fetched and no code of the user's is run.

    ``${NAME}`` in the parameters of a store is the value of that environment variable. A
    credential that stands in the file itself is warned of, in the log ``stacbuild.config``.

    Parameters
    ----------
    source
        Path of a YAML file, or the same as a mapping, which is left as it is.
    base_dir
        Folder that relative paths start from: by default that of the file, and for a mapping
        the current one, from which no code of custom processing is run then.

    Raises
    ------
    ConfigError
        With a line for everything that is wrong: ``file:line:column: key: what``.
    """
    path: Path | None = None
    if isinstance(source, Mapping):
        document = Document("configuration", dict(source))
    else:
        document = read_document(Path(source))
        path = Path(source).absolute()
    beside = path.parent if path else None
    if base_dir is not None:
        beside = Path(base_dir).absolute()
    directory = beside or Path.cwd()
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"is {show(document.data)}"
        message = f"{what}, but has to be a mapping with datasets, data_stores and grid_mappings"
        raise document.report([*document.problems, Problem((), message)])

    context: dict[str, Any] = {"directory": directory, "path": path, "known": {}}
    data = stac_ids.fold(as_stac(document.data))
    refused = list(unsupported(data))
    found = [*document.problems, *refused, *checks.problems(data, beside)]
    filled = fill(data)
    found += filled.problems
    config = None
    try:
        config = Config.model_validate(filled.data, context=context)
    except ValidationError as error:
        # What was said more precisely already is not said again.
        said = {problem.path for problem in found}
        closed = {problem.path for problem in refused}
        found += [
            filled.hides(problem)
            for problem in _translated(error.errors(include_url=False), filled.data, context)
            if problem.path not in said
            and not any(problem.path[:length] in closed for length in range(len(problem.path)))
        ]
    if config is not None and not found:
        found += overlaps(config)
    if found or config is None:
        raise document.report(found)
    for line in document.report(filled.literal).problems:
        _log.warning("%s", line)
    return config


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the configuration."""
    schema = Config.model_json_schema()
    schema["$defs"]["OpenParams"]["properties"].update(stac_ids.PROPERTIES)
    store_id = schema["$defs"]["StacStore"]["properties"]["store_id"]
    store_id["enum"] = [store_id.pop("const"), *STAC_APIS]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _translated(
    errors: list[ErrorDetails], data: Any, context: dict[str, Any]
) -> Iterator[Problem]:
    for error in errors:
        if error["type"] == "too_short" and error["input"]:
            continue  # pydantic counts the sound entries only, and the others are reported
        path, parent = _key_path(error, data)
        yield _problem(error, path, context["known"].get(id(parent), ()), parent)


def _key_path(error: ErrorDetails, data: Any) -> tuple[KeyPath, Any]:
    """Return the path in the user's terms, without pydantic's names of union members."""
    path: list[str | int] = []
    parent = here = data
    for part in error["loc"]:
        inside = isinstance(here, dict) and part in here
        if inside or (isinstance(here, list | tuple) and isinstance(part, int)):
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
            return Problem(path, "belongs into each entry of variables, not beside them", True)
        return Problem(path, f"unknown key{hint(str(path[-1]), known)}", True)
    if kind == "missing":
        return Problem(path, "is missing")
    if kind == "union_tag_not_found":
        return Problem((*path, "store_id"), "is missing")
    if kind == "union_tag_invalid":
        return Problem((*path, "store_id"), f"has to be one of {context['expected_tags']}")
    if value is None:
        return Problem(path, "is empty; give it a value or leave the key out")
    if kind == "string_type":
        if isinstance(value, bool):
            return Problem(
                path, "has to be text, and YAML takes a bare yes, no, on, off, true or false for "
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
        return Problem(path, "is empty; it needs at least one entry")
    if kind == "greater_than_equal":
        return Problem(path, f"has to be {context['ge']:g} or more{got}")
    if kind == "value_error":
        return Problem(path, str(context["error"]))
    return Problem(path, error["msg"])


_OF_A_SOURCE = frozenset(NamedVariable.model_fields)
