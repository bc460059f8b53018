"""The reference is that of the code, and the schema says of every key what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

import stacbuild
from scripts.docs_run import FOLDER, pages
from stacbuild.cli.program import cli
from stacbuild.config import config_schema

PAGES = pages()


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property of the schema by its path."""
    for name, model in [("", schema), *schema["$defs"].items()]:
        for key, field in model["properties"].items():
            yield f"{name}.{key}", field


def keywords(schema: Any) -> Iterator[str]:
    """Yield the keywords of a schema, at any depth; names of properties are none."""
    if isinstance(schema, list):
        for each in schema:
            yield from keywords(each)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield key
            if key in ("properties", "$defs"):
                for each in value.values():
                    yield from keywords(each)
            elif key not in ("default", "const", "enum", "mapping", "discriminator"):
                yield from keywords(value)


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_current(name: str) -> None:
    path = FOLDER / name
    assert path.exists(), f"{path} is not there: run scripts/docs"
    # Not of the texts themselves: what differs of a thousand lines helps nobody.
    same = path.read_text(encoding="utf-8") == PAGES[name]
    assert same, f"{path} is not what the code says: run scripts/docs"


@pytest.mark.parametrize("name", [each for each in stacbuild.__all__ if each != "__version__"])
def test_every_public_name_is_told(name: str) -> None:
    # Errors are the rows of a table.
    assert f"\n### {name}\n" in PAGES["api.md"] or f"\n| `{name}` |" in PAGES["api.md"]


def test_every_key_says_what_it_means() -> None:
    without = [path for path, field in properties(config_schema()) if not field.get("description")]
    assert without == []


def test_the_schema_is_one_of_2020_12() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    # An unknown keyword is no mistake to that, and says nothing to anybody.
    known = set(jsonschema.Draft202012Validator.VALIDATORS) | {
        "$schema", "$defs", "default", "description", "discriminator", "examples", "format",
        "title", "writeOnly",
    }  # fmt: skip
    assert set(keywords(schema)) <= known


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_summary_of_a_command_fits_on_80_columns(name: str) -> None:
    assert "..." not in cli.commands[name].get_short_help_str(limit=64)


def test_numbers_have_their_bounds() -> None:
    chunks = config_schema()["$defs"]["SingleDataset"]["properties"]["chunksize"]
    assert chunks["additionalProperties"] == {"type": "integer", "minimum": 1}
