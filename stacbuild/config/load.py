"""Reading and validating a configuration, with all mistakes in one error; its JSON Schema."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stacbuild.config import checks, other_stores, sites, stac_ids
from stacbuild.config.environment import fill
from stacbuild.config.models import Config
from stacbuild.config.overlaps import overlaps
from stacbuild.config.reading import Document, Problem, read_document
from stacbuild.config.site_schema import add_templates
from stacbuild.config.types import show
from stacbuild.config.unsupported import unsupported
from stacbuild.config.wording import translated
from stacbuild.errors import ConfigError

_log = logging.getLogger("stacbuild.config")


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any],
    base_dir: str | os.PathLike[str] | None = None,
) -> Config:
    """Read and validate a configuration, without fetching anything or running the user's code.

    ``${NAME}`` in the parameters of a store is replaced by that environment variable. Credentials
    in plain text are logged as warnings by the logger ``stacbuild.config``.

    Parameters
    ----------
    source
        Path of a YAML file, or its content as a mapping, which is not changed.
    base_dir
        Folder that relative paths start from; by default that of the file, or, for a mapping, the
        current one. A mapping needs it to use custom processing.

    Raises
    ------
    ConfigError
        With a line for each mistake: ``file:line:column: key: message``.
    """
    path: Path | None = None
    if isinstance(source, Mapping):
        document = Document("configuration", dict(source))
    elif not isinstance(source, str | os.PathLike):
        raise ConfigError(
            f"config={source!r}: has to be a Config, the path of a YAML file, or a mapping"
        )
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
    expanded = sites.expand(document.data, beside)
    if expanded.problems or (expanded.has_templates and document.problems):
        # Nothing that refers to the datasets of a template can be checked.
        raise document.report([*document.problems, *expanded.problems])
    data = stac_ids.fold(other_stores.as_stac(expanded.data))
    refused = list(unsupported(data))
    found = [*document.problems, *refused, *checks.problems(data, beside)]
    filled = fill(data)
    found += filled.problems
    config = None
    try:
        config = Config.model_validate(filled.data, context=context)
    except ValidationError as error:
        # Values that the checks above reported more precisely are not reported again.
        reported = {problem.path for problem in found}
        closed = {problem.path for problem in refused}
        found += [
            filled.hides(problem)
            for problem in translated(
                error.errors(include_url=False), filled.data, context["known"]
            )
            if problem.path not in reported
            and not any(problem.path[:length] in closed for length in range(len(problem.path)))
        ]
    if config is not None and not found:
        found += overlaps(config)
    if found or config is None:
        raise document.report(expanded.located(found))
    for line in document.report(filled.literal).problems:
        _log.warning("%s", line)
    return config


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the configuration."""
    schema = Config.model_json_schema()
    schema["$defs"]["OpenParams"]["properties"].update(stac_ids.PROPERTIES)
    other_stores.add_providers(schema)
    add_templates(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
