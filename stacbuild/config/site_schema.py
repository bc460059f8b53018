"""JSON Schema of templates: that of datasets, where text may have placeholders."""

from __future__ import annotations

from typing import Any

from stacbuild.config.sites import KEY

NAME = "SiteTemplate"
"""Name of the definition."""

DESCRIPTION = (
    "A template that makes a dataset of each row of a table, such as a list of sites. `{column}` "
    "in a value is replaced by the text of that column, also where a number is needed: "
    '`point: ["{lon}", "{lat}"]`. It has the keys of a dataset, or a list of `datasets`.'
)

_PLACEHOLDER = {"type": "string", "pattern": r"\{[^{}]+\}"}
_SCALARS = ("number", "integer", "boolean")

Json = dict[str, Any]


def add_templates(schema: Json) -> None:
    """Add templates to the JSON Schema of a configuration, which is changed."""
    defs = schema["$defs"]
    kinds = [_open(defs[name], defs) for name in ("SingleDataset", "MultiDataset")]
    for_each: Json = {
        "description": "CSV file in the folder of the configuration, with the names of columns in "
        "its first line.",
        "title": "For Each",
        "type": "string",
    }
    listed: Json = {
        "description": "Datasets of each row, in place of the keys of a single one. One may take "
        'the grid of another: `grid_mapping: "{id}/sen2"`.',
        "items": {"anyOf": kinds},
        "minItems": 1,
        "title": "Datasets",
        "type": "array",
    }
    several = {
        "additionalProperties": False,
        "properties": {KEY: for_each, "datasets": listed},
        "required": [KEY, "datasets"],
        "type": "object",
    }
    singles = [
        kind
        | {"properties": {KEY: for_each} | kind["properties"], "required": [KEY, *kind["required"]]}
        for kind in kinds
    ]
    defs[NAME] = {
        "anyOf": [several, *singles],
        "description": DESCRIPTION,
        "properties": {KEY: for_each, "datasets": listed},
        "required": [KEY],
        "title": NAME,
        "type": "object",
    }
    schema["properties"]["datasets"]["items"]["oneOf"].append({"$ref": f"#/$defs/{NAME}"})


def _open(schema: Any, defs: Json) -> Any:
    """Return a copy of a schema in which every value may be a text with placeholders."""
    if isinstance(schema, list):
        return [_open(each, defs) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        # In place: a definition of its own for each would be twice as many.
        named = defs[schema["$ref"].rpartition("/")[2]]
        return _open(named, defs) | {key: each for key, each in schema.items() if key != "$ref"}
    if schema.get("type") in _SCALARS or "enum" in schema or "const" in schema:
        titles = {key: schema[key] for key in ("title", "description") if key in schema}
        return titles | {"anyOf": [schema, _PLACEHOLDER]}
    return {
        key: {name: _open(each, defs) for name, each in value.items()}
        if key == "properties"
        else _open(value, defs)
        for key, value in schema.items()
        if key != "default"
    }
