"""First configurations: names that are possible, YAML that is read as it was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stacbuild.errors import ConfigError, ConflictError, LocalError
from stacbuild.sources.first_configuration import (
    SCHEMA,
    Choice,
    as_json,
    first_configuration,
    free_name,
    name_of,
    plain_name,
    short_number,
    write_configuration,
)

BBOX = (10, 45, 10.5, 45.25)


def content(*choices: Choice, **options: Any) -> Any:
    return yaml.safe_load(first_configuration(BBOX, 0.25, choices, **options))


@pytest.mark.parametrize(
    ("data_id", "name"),
    [
        ("maps/Höhe über NN.tif", "Hoehe_ueber_NN"),
        ("año.zarr.zip", "ano"),
        ("a.nc?group=x/y.tif", "a"),
        ("tree-cover|TCD_2018.tif", "TCD_2018"),
        ("archive.zip/inner/a.b.tiff", "a_b"),
        ("lat.tif", "lat_data"),
        # Of several bands it would be that of their coordinate.
        ("band.tif", "band_data"),
        ("\u6811.tif", "data"),
        ("folder/", "folder"),
        ("", "data"),
        (f"{'x' * 80}.tif", "x" * 60),
    ],
)
def test_names_of_data_ids(data_id: str, name: str) -> None:
    assert name_of(data_id) == name


def test_names_are_free() -> None:
    assert free_name("a", set()) == "a"
    # File systems may ignore case, and the storage has its name.
    assert free_name("A", {"a"}) == "A_2"
    assert free_name("a", {"a", "a_2"}) == "a_3"
    assert free_name("storage", set()) == "storage_2"


@pytest.mark.parametrize("name", ["a.b-c", "yes", "null", "12", "1.5", "2020-01-01", "a: b", "ä"])
def test_names_are_read_as_text(name: str) -> None:
    assert yaml.safe_load(plain_name(name)) == name
    assert yaml.safe_load(as_json({"a": name})) == {"a": name}


def test_numbers() -> None:
    assert [short_number(each) for each in (10.0, 0.5, -3)] == [10, 0.5, -3]


def test_a_store_for_each_address_and_a_name_for_each_variable() -> None:
    found = content(
        Choice("file", "maps", "a.tif"),
        Choice("file", "maps", "sub/a.tif"),
        Choice("file", "other", "b.tif", name="height"),
        Choice("zenodo", "123", "c.tif"),
        crs="EPSG:4258",
        name="mine",
    )
    stores = {each["identifier"]: each["store_params"]["root"] for each in found["data_stores"]}
    assert stores == {"storage": "data", "file": "maps", "file_2": "other", "zenodo": "123"}
    [dataset] = found["datasets"]
    variables = [(each["identifier"], each["store"]) for each in dataset["variables"]]
    assert variables == [
        ("a", "file"), ("a_2", "file"), ("height", "file_2"), ("c", "zenodo")
    ]  # fmt: skip
    [grid] = found["grid_mappings"]
    assert (grid["crs"], grid["bbox"], grid["spatial_res"]) == ("EPSG:4258", list(BBOX), 0.25)


def test_mistakes_are_found_at_once() -> None:
    with pytest.raises(ConfigError, match="bbox"):
        first_configuration((10, 45, 10, 45), 0.25, [Choice("file", "maps", "a.tif")])
    with pytest.raises(ConfigError, match="zenodo"):
        content(Choice("zenodo", "no number", "a.tif"))


def test_nothing_of_somebody_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    write_configuration(path, "one\n")
    assert path.read_text() == "one\n"
    with pytest.raises(LocalError, match=r"c\.yml: exists already; .*--force"):
        write_configuration(path, "two\n")
    write_configuration(path, "two\n", force=True)
    assert path.read_text() == "two\n"
    for text in ('{"properties": {}}', "no JSON", "[]"):
        (tmp_path / SCHEMA).write_text(text)
        with pytest.raises(ConflictError, match=SCHEMA):
            write_configuration(tmp_path / "new.yml", "three\n", force=True)
        assert (tmp_path / SCHEMA).read_text() == text
    assert not (tmp_path / "new.yml").exists()
