"""What the tests validate catalogs with finds what is wrong in one."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pystac
import pytest

from stacbuild.stac.extensions import EXTENSIONS
from tests.support.stac_schemas import FOLDER, stac_problems


@pytest.fixture
def item(tmp_path: Path) -> Path:
    catalog = pystac.Catalog("c", "A catalog.")
    place = {"type": "Point", "coordinates": [0, 0]}
    one = pystac.Item("i", place, [0, 0, 0, 0], dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {})
    catalog.add_item(one)
    catalog.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path / "i" / "i.json"


def test_a_sound_catalog_has_no_problem(item: Path) -> None:
    assert stac_problems(item.parents[1] / "catalog.json") == []


def test_each_problem_is_named(item: Path) -> None:
    content = json.loads(item.read_text())
    content["properties"]["datetime"] = 7
    content["assets"]["data"] = {"href": "./gone.tif"}
    item.write_text(json.dumps(content))
    found = "\n".join(stac_problems(item.parents[1] / "catalog.json"))
    assert "properties/datetime: 7 is not of type" in found
    assert "asset ./gone.tif is not there" in found


@pytest.mark.parametrize("uri", EXTENSIONS.values(), ids=EXTENSIONS)
def test_the_schema_of_each_extension_is_there(uri: str) -> None:
    schema = json.loads((FOLDER / uri.removeprefix("https://")).read_text())
    assert schema["$id"].rstrip("#") == uri


@pytest.mark.parametrize(
    ("extension", "properties", "problem"),
    [
        ("proj", {"proj:code": 4326}, "4326 is not of type 'string', 'null'"),
        ("storage", {"storage:schemes": {"s3": {"type": "custom-s3"}}}, "storage:schemes"),
        ("proj", {"proj:projjson": {"type": "GeographicCRS"}}, "proj:projjson"),
        ("sci", {"sci:doi": "doi:10"}, "'doi:10' does not match"),
    ],
)
def test_fields_of_extensions_are_validated(
    item: Path, extension: str, properties: dict[str, object], problem: str
) -> None:
    content = json.loads(item.read_text())
    content["properties"] |= properties
    content["stac_extensions"] = [EXTENSIONS[extension]]
    item.write_text(json.dumps(content))
    assert problem in "\n".join(stac_problems(item.parents[1] / "catalog.json"))
