"""Overview of a configuration: the table of its sources, and its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from stacbuild.config import Config, GridMapping
from stacbuild.config.data_ids import joined, short
from stacbuild.multistore.tables import Table
from stacbuild.safe_text import clean

_HEADS = (
    "User-defined ID",
    "Data Store ID",
    "Data Store Params",
    "Data ID",
    "Open Data Params",
    "Grid-Mapping",
    "Format",
)


def config_table(config: Config) -> Table:
    """Return a row for each source of a dataset; credentials are masked, paths shortened."""
    shown = config.resolved()
    stores = {each["identifier"]: each for each in shown["data_stores"]}
    grids = {each["identifier"]: each for each in shown.get("grid_mappings", [])}
    rows = []
    for dataset in shown["datasets"]:
        of = config.grid_of(config.dataset(dataset["identifier"]))
        if isinstance(of, GridMapping):
            grid = _pairs({k: v for k, v in grids[of.identifier].items() if k != "identifier"})
        else:
            grid = f"that of {of.variables[0].label}"
        for source in dataset.get("variables", [dataset]):
            store = stores[source["store"]]
            rows.append(
                (
                    dataset["identifier"],
                    store["store_id"],
                    _pairs(store.get("store_params", {})),
                    short(joined(source["data_id"])),
                    _pairs(source.get("open_params", {})),
                    grid,
                    dataset.get("format_id", "zarr").capitalize(),
                )
            )
    return Table(_HEADS, rows)


def _pairs(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in values.items()) or "-"


class ConfigSchema(dict[str, Any]):
    """The JSON Schema of a configuration: a dict, shown as a collapsible tree in a notebook."""

    def __repr__(self) -> str:
        return json.dumps(self, indent=2)

    def _repr_html_(self) -> str:
        definitions = self.get("$defs", {})
        return f"<div>{_fold('configuration', self, definitions, ())}</div>"


def _fold(name: str, schema: Any, definitions: Mapping[str, Any], above: tuple[str, ...]) -> str:
    if not isinstance(schema, Mapping):
        return _leaf(name, {})
    if reference := schema.get("$ref"):
        target = str(reference).rpartition("/")[2]
        # Do not expand a recursive definition.
        if target in above or target not in definitions:
            return _leaf(name, {"type": target})
        about = {key: value for key, value in schema.items() if key != "$ref"}
        return _fold(name, {**definitions[target], **about}, definitions, (*above, target))
    inner = [
        _fold(f"{key} *" if key in schema.get("required", ()) else key, each, definitions, above)
        for key, each in schema.get("properties", {}).items()
    ]
    if "items" in schema:
        inner.append(_fold("each", schema["items"], definitions, above))
    if isinstance(schema.get("additionalProperties"), Mapping):
        inner.append(_fold("any name", schema["additionalProperties"], definitions, above))
    for kind in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(kind, ()):
            label = str(each.get("title") or each.get("$ref", "").rpartition("/")[2] or "either")
            inner.append(_fold(label, each, definitions, above))
    if not inner:
        return _leaf(name, schema)
    head = f"<summary><b>{_text(name)}</b>{_about(schema)}</summary>"
    return f"<details>{head}<div style='margin-left: 1.5em'>{''.join(inner)}</div></details>"


def _leaf(name: str, schema: Mapping[str, Any]) -> str:
    return f"<div><b>{_text(name)}</b>{_about(schema)}</div>"


def _about(schema: Mapping[str, Any]) -> str:
    parts = [_text(schema["type"])] if "type" in schema else []
    parts += [
        f"{key}: {_text(schema[key])}" for key in ("const", "enum", "default") if key in schema
    ]
    described = f"<br><i>{_text(schema['description'])}</i>" if "description" in schema else ""
    return f" ({', '.join(parts)}){described}" if parts else described


def _text(value: Any) -> str:
    return escape(clean(str(value)))
