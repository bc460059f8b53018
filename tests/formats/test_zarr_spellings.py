"""Attributes of Zarr stores in other spellings than the usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.support.built import INSIDE, LAT, LON
from tests.support.cli import Json
from tests.support.raw_zarr import GRID, Raw, Warned, made, refused, result, write

NUMBERS = np.arange(120 * 120, dtype="int16").reshape(120, 120)
STEPS = np.arange(120, dtype="int16")


def store(folder: Path, attrs: Json | None = None, **more: Raw) -> Path:
    """Write ``src/one.zarr`` with counted pixels ``v`` on the tests' grid."""
    write(
        folder / "src" / "one.zarr",
        {"v": Raw(["lat", "lon"], NUMBERS, attrs or {}), **GRID, **more},
    )
    return folder


@pytest.mark.parametrize("kind", [str, float, lambda number: [number]])
def test_scale_and_offset_of_a_variable_are_numbers_in_the_cube(tmp_path: Path, kind: Any) -> None:
    made(store(tmp_path, {"scale_factor": kind(0.5), "add_offset": kind(3)}))
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert np.array_equal(cube["v"].values, NUMBERS[INSIDE] * 0.5 + 3)


def test_scale_and_offset_of_coordinates_as_text(tmp_path: Path) -> None:
    packed: Json = {"units": "degrees_north", "scale_factor": "-0.001", "add_offset": str(LAT[0])}
    time = {"units": "days since 2020-01-01", "scale_factor": "8", "add_offset": "1.0"}
    stack = np.stack([NUMBERS, NUMBERS + 1])
    store(
        tmp_path,
        lat=Raw(["lat"], STEPS, packed),
        v=Raw(["time", "lat", "lon"], stack),
        time=Raw(["time"], np.arange(2, dtype="int16"), time),
    )
    cube = made(tmp_path)
    assert np.array_equal(cube["v"].values, stack[(slice(None), *INSIDE)])
    assert [str(each)[:10] for each in cube["time"].values] == ["2020-01-02", "2020-01-10"]


ODD = {"scale_factor": "none"}


def test_a_variable_whose_scale_is_no_number_is_left_out(tmp_path: Path) -> None:
    store(tmp_path, ODD, w=Raw(["lat", "lon"], NUMBERS))
    warned = Warned()
    assert result(tmp_path, warned=warned).status == "COMPLETED"
    assert any("left out: v has the scale_factor 'none'" in each for each in warned.warnings)
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert list(cube.data_vars) == ["w"]


def test_a_coordinate_whose_scale_is_no_number_is_refused(tmp_path: Path) -> None:
    store(tmp_path, lat=Raw(["lat"], STEPS, {"units": "degrees_north"} | ODD))
    assert "coordinate lat: has the scale_factor 'none', which is not a number" in refused(tmp_path)


@pytest.mark.parametrize(
    ("north", "east"),
    [
        ("degree_north", "degree_east"),
        ("degree_N", "degree_E"),
        ("degrees_N", "degrees_E"),
        ("degreeN", "degreeE"),
        ("degreesN", "degreesE"),
        ("Degrees North", "Degrees East"),
    ],
)
@pytest.mark.parametrize("dims", [("Y", "X"), ("nlat", "nlon")])
def test_units_tell_latitude_and_longitude(
    tmp_path: Path, north: str, east: str, dims: tuple[str, str]
) -> None:
    y, x = dims
    write(
        tmp_path / "src" / "one.zarr",
        {
            "v": Raw(dims, NUMBERS),
            y: Raw([y], LAT, {"units": north}),
            x: Raw([x], LON, {"units": east}),
        },
    )
    assert np.array_equal(made(tmp_path)["v"].values, NUMBERS[INSIDE])


@pytest.mark.parametrize("unit", ["degrees_west", "degrees_W", "degree_south"])
def test_degrees_that_count_backwards_are_refused(tmp_path: Path, unit: str) -> None:
    name = "lat" if "south" in unit else "lon"
    store(tmp_path, **{name: Raw([name], -LAT if name == "lat" else -LON, {"units": unit})})
    assert f"coordinate {name} is in {unit}, which CF does not have" in refused(tmp_path)
