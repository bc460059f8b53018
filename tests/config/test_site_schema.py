"""The JSON Schema takes a template wherever the configuration does, and no unknown keys in it."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from stacbuild.config.load import config_schema
from tests.support.sites import content


def errors(data: dict[str, Any]) -> int:
    return len(list(jsonschema.Draft202012Validator(config_schema()).iter_errors(data)))


def test_templates_of_one_dataset_and_of_several() -> None:
    data = content()
    assert errors(data) == 0
    data["datasets"] = [
        {"for_each": "sites.csv"} | each for each in data["datasets"][0]["datasets"]
    ]
    assert errors(data) == 0


@pytest.mark.parametrize("place", [(), ("open_params",)])
def test_unknown_keys(place: tuple[str, ...]) -> None:
    data = content()
    inner = data["datasets"][0]["datasets"][0]
    for key in place:
        inner = inner[key]
    inner["colour"] = "{id}"
    assert errors(data) == 1


def test_datasets_without_a_template_take_no_placeholders_for_numbers() -> None:
    data = content()
    data["datasets"] = data["datasets"][0]["datasets"][:1]
    assert errors(data) == 1
