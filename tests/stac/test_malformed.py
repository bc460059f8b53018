"""Documents of the catalog that somebody edited are refused with their file and a reason."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from stacbuild.config import load_config
from stacbuild.errors import IntegrityError
from stacbuild.sources import harvest
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.malformed import malformed, malformed_projection
from stacbuild.validation.validate import validate
from tests.support.built import SOURCES
from tests.support.cli import configuration, geotiff

ROOT, COLLECTION, ITEM = "catalog.json", "file-src/collection.json", "file-src/one/one.json"

LINKS = [None, "text", 5, {}, [None], ["a"], [{}], [{"rel": "item"}], [{"rel": [], "href": "x"}]]
LINKS += [[{"rel": "item", "href": href}] for href in (None, 5, {}, "")]
FIELDS: list[tuple[str, Any]] = [
    *(("proj:shape", each) for each in ("text", None, [1], ["a", "b"], [-1, 5], [1e300, 2], {})),
    *(("proj:transform", each) for each in ("x", None, [1, 2], [0] * 6, ["a"] * 6)),
    ("proj:transform", [10**400, 0, 10, 0, -1, 45]),
    ("proj:transform", [1e-320, 0, 0, 0, -1e-320, 0]),
    ("proj:code", 5),
    ("proj:code", None),
    ("stacbuild:data_id", []),
    ("stacbuild:store", 5),
    *((key, each) for key in ("datetime", "start_datetime", "end_datetime") for each in (5, [])),
]
WHOLE: list[tuple[str, Any]] = [
    *(("assets", each) for each in (None, [], {}, {"data": None}, {"data": {"href": 5}})),
    *(("properties", each) for each in (None, [], 5)),
    *(("bbox", each) for each in ("0123", 0, {}, [1, 2, 3], [None] * 4, ["0"] * 4)),
    *(("bbox", [each, 0, 1, 1]) for each in (math.nan, math.inf, 10**400, [0])),
]


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harvested")
    geotiff(folder / "src" / "one.tif")
    one = {"identifier": "cube", "store": "files", "data_id": "one.tif"}
    harvest(load_config(configuration(folder, [one], [SOURCES])), folder / "catalogs")
    return folder


def refused(folder: Path, tmp_path: Path, name: str, **changes: Any) -> None:
    shutil.copytree(folder / "catalogs", tmp_path / "catalogs")
    path = tmp_path / "catalogs" / name
    content = json.loads(path.read_text())
    own = changes.pop("properties_of", {})
    content |= changes
    if own:
        content["properties"] |= own
    path.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="remove it, then harvest") as caught:
        list(Catalog(tmp_path / "catalogs").items())
    assert str(caught.value).startswith(f"{path}: ")
    # Reported, not raised.
    config = load_config(folder / "c_config.yml")
    assert str(path) in str(validate(tmp_path / "catalogs", config))


@pytest.mark.parametrize("name", [ROOT, COLLECTION, ITEM])
@pytest.mark.parametrize("links", LINKS)
def test_links_that_are_none(harvested: Path, tmp_path: Path, name: str, links: Any) -> None:
    refused(harvested, tmp_path, name, links=links)


@pytest.mark.parametrize(("key", "value"), FIELDS)
def test_properties_that_cannot_be_used(
    harvested: Path, tmp_path: Path, key: str, value: Any
) -> None:
    refused(harvested, tmp_path, ITEM, properties_of={key: value})


@pytest.mark.parametrize(("key", "value"), WHOLE)
def test_parts_of_another_type(harvested: Path, tmp_path: Path, key: str, value: Any) -> None:
    refused(harvested, tmp_path, ITEM, **{key: value})


def test_what_is_well_formed_is_taken() -> None:
    assert malformed({}) is None
    assert malformed({"links": [{"rel": "a", "href": "b"}], "assets": {"a": {"href": ""}}}) is None
    for transform in ([1, 0, 0, 0, -1, 0], [1, 0, 0, 0, -1, 0, 0, 0, 1], [0, 1, 5, 1, 0, 5]):
        fields = {"proj:shape": [1, 2], "proj:transform": transform, "proj:code": "EPSG:4326"}
        assert malformed_projection(fields) is None
