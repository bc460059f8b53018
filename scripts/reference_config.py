"""The reference of the configuration, from the JSON Schema of its models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from stacbuild.config import config_schema
from stacbuild.config.other_stores import INSTEAD
from stacbuild.config.unsupported import REFUSALS

Json = dict[str, Any]

# In this order. A model without a heading here is an error, so that none is left out.
HEADINGS = {
    "Config": "The whole file",
    "SingleDataset": "`datasets`: a cube of one source",
    "MultiDataset": "`datasets`: a cube of several sources",
    "NamedVariable": "`variables`",
    "OpenParams": "`open_params`",
    "CustomProcessing": "`custom_processing`",
    "SpatialResampleParams": "`spatial_resample_params`",
    "TemporalResampleParams": "`temporal_resample_params`",
    "XrMergeParams": "`xr_merge_params`",
    "GridMapping": "`grid_mappings`",
    "PreloadDataset": "`preload_datasets`",
    "PreloadParams": "`preload_params`",
    "General": "`general`",
    "ZenodoStore": "`data_stores`: `zenodo`",
    "S3Store": "`data_stores`: `s3`",
    "HttpsStore": "`data_stores`: `https`",
    "FileStore": "`data_stores`: `file`",
    "ClmsStore": "`data_stores`: `clms`",
    "StacStore": "`data_stores`: `stac`",
    "MemoryStore": "`data_stores`: `memory`",
    "StorageOptions": "`storage_options`",
    "ClientParams": "`client_kwargs`",
    "CacheParams": "`cache_store_params`",
}

_HEAD = """\
# Reference: the configuration

Written by `scripts/docs` from the models that read a configuration. `stacbuild config schema`
prints the same as JSON Schema, for editors. A key that is not here is an error, and all mistakes
are told at once. Paths are relative to the configuration. `"${NAME}"` below `store_params` is the
value of that environment variable. `stacbuild config show` prints a configuration with its
defaults filled in.
"""


def page() -> str:
    """Return the page as Markdown."""
    schema = config_schema()
    models: dict[str, Json] = {"Config": schema, **schema["$defs"]}
    # Those of stores are told with their store.
    told = {_name(m["properties"]["store_params"]) for m in models.values() if _is_store(m)}
    if differ := set(models) ^ (set(HEADINGS) | told):
        raise SystemExit(f"scripts/reference_config.py: HEADINGS and models differ: {differ}")
    lines = [_HEAD]
    for name, heading in HEADINGS.items():
        lines += [f"## {heading}", "", words(models[name]["description"]), ""]
        lines += ["| key | value | default | |", "|---|---|---|---|"]
        lines += [*_rows(models[name], models), ""]
    lines += _refused()
    return "\n".join(lines).rstrip() + "\n"


def _rows(model: Json, models: dict[str, Json], prefix: str = "") -> Iterator[str]:
    needed = set(model.get("required", ()))
    fields = model["properties"]
    for key in sorted(fields, key=lambda each: each not in needed):
        field = fields[key]
        if _is_store(model) and key == "store_params":
            yield from _rows(models[_name(field)], models, f"{key}.")
            continue
        default = "*needed*" if key in needed else _default(field.get("default"))
        cells = [f"`{prefix}{key}`", _kind(field), default, words(field.get("description", ""))]
        yield f"| {' | '.join(map(_cell, cells))} |"


def _is_store(model: Json) -> bool:
    return "store_params" in model["properties"]


def _name(field: Json) -> str:
    """Return the name of the model that a field refers to."""
    return str(field["$ref"].rpartition("/")[2])


def _kind(field: Json) -> str:
    """Return what a value may be."""
    if "$ref" in field:
        heading = HEADINGS[_name(field)]
        return f"[{heading}](#{anchor(heading)})"
    if "const" in field:
        return _code(field["const"])
    if "enum" in field:
        return ", ".join(map(_code, field["enum"]))
    if several := field.get("anyOf") or field.get("oneOf"):
        kinds = [_kind(each) for each in several if each.get("type") != "null"]
        between = ", or " if any("," in kind for kind in kinds) else " or "
        return between.join(dict.fromkeys(kinds))
    kind = field.get("type")
    if kind == "array":
        if "prefixItems" in field:
            return f"[{', '.join(map(_kind, field['prefixItems']))}]"
        entries = _kind(field["items"])
        count = field.get("maxItems")
        return f"list of {entries}" if count is None else f"[{', '.join([entries] * count)}]"
    if kind == "object":
        return f"mapping of names to {_kind(field['additionalProperties'])}"
    if field.get("format") == "password":
        return "credential"
    names = {"boolean": "`true`, `false`", "string": "text", "integer": "whole number"}
    return names.get(str(kind), str(kind))


def _default(value: Any) -> str:
    # A mapping or a list says more in its own table than as a default.
    return "" if value is None or isinstance(value, dict) or value == [] else _code(value)


def _refused() -> Iterator[str]:
    yield "## What is refused"
    yield ""
    yield "Known to xcube-multistore and not acted on here: each is an error that says what to do."
    yield ""
    yield "| below | key | instead |"
    yield "|---|---|---|"
    always = REFUSALS[0].__dataclass_fields__["refused"].default
    for row in REFUSALS:
        place = row.mappings[-1].removeprefix("datasets.*.variables.*").removeprefix(".")
        where = f"`{place.replace('.*', '') or 'datasets'}`"
        keys = ", ".join(f"`{key}`" for key in row.keys)
        some = "" if row.refused is always else " (some values)"
        yield f"| {where} | {keys}{some} | {_cell(row.instead)} |"
    yield ""
    yield "Other kinds of store of that tool:"
    yield ""
    yield "| `store_id` | instead |"
    yield "|---|---|"
    kinds: dict[str, list[str]] = {}
    for name, instead in INSTEAD.items():
        kinds.setdefault(instead, []).append(f"`{name}`")
    for instead, names in kinds.items():
        yield f"| {', '.join(names)} | {_cell(instead)} |"


def words(text: str) -> str:
    """Return a docstring's text on one line, as Markdown."""
    return " ".join(text.split()).replace("``", "`")


def anchor(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
