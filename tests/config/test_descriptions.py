"""What the JSON Schema says of each key comes from the docstring below its field."""

from __future__ import annotations

import pytest

from stacbuild.config.datasets import SingleDataset, SourceVariable
from stacbuild.config.descriptions import descriptions
from stacbuild.config.load import config_schema
from stacbuild.config.models import Config, General, GridMapping


def test_docstrings_of_several_lines_are_whole() -> None:
    found = descriptions(GridMapping)
    assert found["identifier"] == "Name of the grid, which datasets refer to."
    first, second = found["spatial_res"].split("\n")
    assert first.startswith("Length of the sides of a pixel")
    assert second == "[x, y]."


def test_fields_of_parents_are_described_too() -> None:
    own, inherited = descriptions(SourceVariable), descriptions(SingleDataset)
    assert inherited["store"] == own["store"]
    assert "chunksize" in inherited
    assert "chunksize" not in own


@pytest.mark.parametrize("model", [Config, General, GridMapping, SingleDataset])
def test_every_key_is_described_in_the_schema(model: type[Config | General]) -> None:
    schema = config_schema()
    whole = schema if model is Config else schema["$defs"][model.__name__]
    stated = {name: field.get("description") for name, field in whole["properties"].items()}
    assert None not in stated.values(), stated
    known = descriptions(model)
    assert {name: text for name, text in stated.items() if name in known}.items() <= known.items()
