"""Variables of Zarr stores with the names of coordinates, and times that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.built import INSIDE, LAT, LON
from tests.support.raw_zarr import GRID, Raw, made, refused, write

NUMBERS = np.arange(120 * 120, dtype="int32").reshape(120, 120)
STACK = np.stack([NUMBERS, NUMBERS + 1])


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_a_variable_with_the_name_of_a_coordinate_of_the_cube(tmp_path: Path, name: str) -> None:
    variables = {
        "v": Raw(["y", "x"], NUMBERS),
        name: Raw(["y", "x"], NUMBERS.astype("float32")),
        "y": Raw(["y"], LAT, {"units": "degrees_north"}),
        "x": Raw(["x"], LON, {"units": "degrees_east"}),
    }
    write(tmp_path / "src" / "one.zarr", variables)
    said = refused(tmp_path)
    assert f"its variable {name} has the name of a coordinate of the cube" in said
    chosen = {"open_params": {"variable_names": ["v"]}}
    assert np.array_equal(made(tmp_path, chosen)["v"].values, NUMBERS[INSIDE])


def test_a_variable_with_the_name_of_the_grid_mapping(tmp_path: Path) -> None:
    write(tmp_path / "src" / "one.zarr", {"spatial_ref": Raw(["lat", "lon"], NUMBERS), **GRID})
    assert "its variable spatial_ref has the name of a coordinate" in refused(tmp_path)


@pytest.mark.parametrize(
    "time",
    [
        Raw(["time"], np.array([20200101, 20200102]), {"units": "day as %Y%m%d.%f"}),
        Raw(["time"], np.array(["2020-01-01", "2020-01-02"])),
        Raw(["time"], np.array([2019, 2020])),
    ],
    ids=["digits", "text", "years"],
)
def test_labels_without_a_unit_of_time_are_no_times(tmp_path: Path, time: Raw) -> None:
    variables = {"v": Raw(["time", "lat", "lon"], STACK), "time": time, **GRID}
    write(tmp_path / "src" / "one.zarr", variables)
    for section in (
        {"open_params": {"time_range": ["2020-01-01", "2020-01-02"]}},
        {"temporal_resample_params": {"frequency": "MS"}},
    ):
        assert "one.zarr: has no times" in refused(tmp_path, section)


@pytest.mark.parametrize("labels", [["2020-01-01", "2020-02-01"], [20200101, 20200201]], ids=str)
def test_times_that_cannot_be_decoded_are_named(tmp_path: Path, labels: list[object]) -> None:
    values = np.zeros((2, 120, 120), "int16")
    variables = {"time": Raw(["time"], np.array(labels)), "v": Raw(["time", "lat", "lon"], values)}
    write(tmp_path / "src" / "one.zarr", variables | GRID)
    told = refused(tmp_path, {"open_params": {"time_range": ["2020-01-01", "2020-01-31"]}})
    assert f"no times that can be decoded, time holds {labels[0]!r}; leave" in told
