"""Attributes of foreign Zarr stores that are of other types than CF gives them."""

from __future__ import annotations

import gc
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from stacbuild.building.zarr_metadata import consolidate
from stacbuild.formats.zarr_store import open_source
from tests.support.built import INSIDE, LAT
from tests.support.raw_zarr import GRID, Raw, Warned, made, refused, result, write

VALUES = np.arange(2 * 120 * 120, dtype="int16").reshape(2, 120, 120)
STORE = {
    **GRID,
    "time": Raw(["time"], np.array([0, 31], "int32"), {"units": "days since 2020-01-01"}),
    "v": Raw(["time", "lat", "lon"], VALUES),
    "crs": Raw([], np.int32(0), {"grid_mapping_name": "latitude_longitude"}),
}
BOUNDS = {
    "lat": replace(GRID["lat"], attrs={"units": "degrees_north", "bounds": "lat_bnds"}),
    "lat_bnds": Raw(["lat", "nv"], np.stack([LAT - 0.0005, LAT + 0.0005], -1)),
}


def stored(
    directory: Path, name: str, attrs: Any, zarr_format: int, *, whole: bool = False
) -> Path:
    """Write the store with other attributes of a variable; *whole* consolidates its metadata."""
    path = directory / "src" / "one.zarr"
    known = STORE | BOUNDS
    given = known[name]
    write(path, known | {name: replace(given, attrs={**given.attrs, **attrs})}, zarr_format)
    if whole and zarr_format == 3:
        consolidate(LocalStore(path), 3)
    elif whole:
        zarr.consolidate_metadata(LocalStore(path), zarr_format=2)
    return path


def attributes(path: Path, name: str, value: Any, zarr_format: int) -> None:
    """Put *value* where the attributes of a variable are."""
    if zarr_format == 2:
        (path / name / ".zattrs").write_text(json.dumps(value))
        return
    file = path / name / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"attributes": value}))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("lat", "standard_name", ["x", "y"]),
        ("lon", "standard_name", {"name": "longitude"}),
        ("v", "grid_mapping", 7),
        ("v", "coordinates", {"lat": "lat"}),
        ("crs", "coordinates", True),
        ("lat", "bounds", [[]]),
        ("time", "calendar", ["x", "y"]),
        ("time", "axis", 1.5),
        ("v", "long_name", {"en": "values"}),
    ],
)
def test_what_is_no_text_is_left_out(tmp_path: Path, name: str, key: str, value: Any) -> None:
    stored(tmp_path, name, {key: value}, 3)
    warned = Warned()
    found = result(tmp_path, warned=warned)
    assert found.status == "COMPLETED", found.message
    told = f"left out: its attribute {key} of {name} is {json.dumps(value)}, no text"
    assert [line for line in warned.warnings if line.endswith(told)]


@pytest.mark.parametrize(("zarr_format", "whole"), [(2, False), (2, True), (3, True)])
def test_what_is_no_text_in_any_kind_of_metadata(
    tmp_path: Path, *, zarr_format: int, whole: bool
) -> None:
    stored(tmp_path, "lat", {"standard_name": ["x", "y"]}, zarr_format, whole=whole)
    warned = Warned()
    assert result(tmp_path, warned=warned).status == "COMPLETED"
    told = 'its attribute standard_name of lat is ["x", "y"], no text'
    assert [line for line in warned.warnings if line.endswith(told)]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("name", "attrs", "text"),
    [
        ("time", {"units": ["days since 2020-01-01"]}, None),
        ("lat", {"units": ["degrees_north"], "standard_name": []}, None),
        ("v", {"units": 1, "standard_name": None}, "1"),
        ("v", {"units": ["m"], "coordinates": ["time", "lat", "lon"]}, "m"),
        ("v", {"units": "m", "_FillValue": [], "missing_value": None}, "m"),
    ],
)
def test_what_is_meant_is_taken(
    tmp_path: Path, name: str, attrs: Any, text: str | None, zarr_format: int
) -> None:
    stored(tmp_path, name, attrs, zarr_format)
    cube = made(tmp_path)
    np.testing.assert_array_equal(cube["v"], VALUES[:, *INSIDE])
    assert cube["time"].dt.month.values.tolist() == [1, 2]
    if text is not None:
        assert cube["v"].attrs["units"] == text


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_numbers_in_a_list_of_one_are_numbers(tmp_path: Path, zarr_format: int) -> None:
    attrs = {"scale_factor": [0.5], "add_offset": [1], "_FillValue": [7]}
    stored(tmp_path, "v", attrs, zarr_format)
    cube = made(tmp_path)
    assert (cube["v"].attrs["scale_factor"], cube["v"].attrs["add_offset"]) == (0.5, 1)
    assert cube["v"].attrs["_FillValue"] == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [("v", [1, 2]), ("v", True), ("lat", {}), ("lat_bnds", {}), ("lat_bnds", [[]]), ("time", "x")],
)
def test_a_scale_that_is_no_number_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    stored(tmp_path, name, {"scale_factor": value}, 3)
    said = refused(tmp_path)
    assert "one.zarr" in said
    assert f"{name}" in said
    assert "which is not a number" in said


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_no_data_that_is_no_number_is_told(tmp_path: Path, zarr_format: int) -> None:
    stored(tmp_path, "v", {"_FillValue": {"value": 7}}, zarr_format)
    warned = Warned()
    assert result(tmp_path, warned=warned).status == "COMPLETED"
    told = 'left out: its attribute _FillValue of v is {"value": 7}, no number'
    assert [line for line in warned.warnings if line.endswith(told)]


@pytest.mark.parametrize("value", ["NaN", [0], True, 7])
def test_attributes_that_are_no_object_are_left_out(tmp_path: Path, value: Any) -> None:
    path = stored(tmp_path, "crs", {}, 3)
    attributes(path, "crs", value, 3)
    warned = Warned()
    assert result(tmp_path, warned=warned).status == "COMPLETED"
    told = f"left out: its attributes of crs are {json.dumps(value)}, no object"
    assert [line for line in warned.warnings if line.endswith(told)]


def test_attributes_that_are_no_object_name_no_dimensions(tmp_path: Path) -> None:
    path = stored(tmp_path, "lat", {}, 2)
    attributes(path, "lat", [0], 2)
    assert "lat names no dimensions" in refused(tmp_path)


@pytest.mark.parametrize("name", ["lat", "lat_bnds", "time"])
@pytest.mark.parametrize("content", [b"", b"noise that is no chunk"])
def test_a_coordinate_that_cannot_be_decoded_is_named(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = stored(tmp_path, name, {}, 3)
    [chunk] = [file for file in (path / name / "c").rglob("*") if file.is_file()]
    chunk.write_bytes(content)
    said = refused(tmp_path)
    assert said.startswith(f"{path}: array {name} cannot be decoded (")


def test_no_traceback_of_members_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "src" / "one.zarr"
    write(path, STORE | {f"bad_{index}": Raw([], np.int32(0)) for index in range(5)}, 3)
    for file in path.glob("bad_*/zarr.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"fill_value": "x"}))
    with caplog.at_level(logging.ERROR, "asyncio"), open_source(str(path)) as ds:
        assert "v" in ds
        assert "bad_0" not in ds
    gc.collect()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v/zarr.json", b"", "is not JSON ("),
        ("zarr.json", b'{"zarr_format": 3, ', "is not JSON ("),
        ("lat/zarr.json", b"\xef\xff noise", "is not JSON ("),
        ("lat/zarr.json", b"[" * 100_000, "is not JSON ("),
        (
            "v/zarr.json",
            b"[1, 2]",
            "is not a JSON object; fetch the store again, or write it again",
        ),
    ],
)
def test_metadata_that_are_no_json_are_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = stored(tmp_path, "v", {}, 3)
    (path / name).write_bytes(content)
    assert refused(tmp_path).startswith(f"{path / name}: {said}")


def test_consolidated_metadata_that_are_no_objects_are_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, "v", {}, 2, whole=True)
    document = json.loads((path / ".zmetadata").read_text())
    document["metadata"]["v/.zarray"] = str(document["metadata"]["v/.zarray"])
    (path / ".zmetadata").write_text(json.dumps(document))
    assert refused(tmp_path).startswith(f"{path}/.zmetadata: v/.zarray is not a JSON object")


def test_a_time_of_coverage_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "src" / "one.zarr"
    write(path, {**GRID, "v": Raw(["lat", "lon"], VALUES[0])})
    zarr.open_group(path, mode="r+").attrs["time_coverage_start"] = "NaN"
    said = refused(tmp_path)
    assert said.startswith(f"{path}: attribute time_coverage_start or _end is not a time")
