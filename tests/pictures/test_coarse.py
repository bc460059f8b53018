"""One plane of a cube, read coarsely, and its statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from stacbuild.pictures.coarse import SAMPLE, read_plane, statistics


def cube(values: np.ndarray, *, ascending: bool = False, **attrs: object) -> xr.DataArray:
    rows, cols = values.shape[-2:]
    lat = np.arange(rows) + 0.5
    return xr.DataArray(
        values,
        dims=("time", "lat", "lon")[-values.ndim :],
        coords={"lat": lat if ascending else lat[::-1], "lon": np.arange(cols) + 0.5},
        attrs=attrs,
    )


def test_every_nth_row_and_column_of_the_last_time() -> None:
    values = np.arange(2 * 10 * 20).reshape(2, 10, 20)
    plane = read_plane(cube(values), side=5)
    assert plane is not None
    assert (plane.step, plane.place) == (4, {"time": 1})
    np.testing.assert_array_equal(plane.values, values[1, 2::4, 2::4])
    assert plane.extent == (0, 20, 0, 10)


def test_the_north_is_up() -> None:
    values = np.arange(6).reshape(3, 2)
    plane = read_plane(cube(values, ascending=True))
    assert plane is not None
    np.testing.assert_array_equal(plane.values, values[::-1])


def test_what_would_decode_too_much_is_not_read() -> None:
    array = cube(np.zeros((2, 4, 4)))
    array.encoding["chunks"] = (10**9, 4, 4)
    assert read_plane(array) is None


def test_a_row_alone_is_as_high_as_a_column_is_wide() -> None:
    plane = read_plane(cube(np.zeros((1, 4))))
    assert plane is not None
    assert plane.extent == (0, 4, 0, 1)


def test_statistics_are_of_valid_values_and_name_the_sample() -> None:
    array = cube(np.array([[[7, 1], [3, 255]]] * 2, "uint8"), _FillValue=255)
    array = array.assign_coords(time=pd.date_range("2020-01-01", periods=2))
    plane = read_plane(array)
    assert plane is not None
    found = statistics(plane)
    assert (found["minimum"], found["maximum"], found["count"]) == (1, 7, 3)
    assert found["valid_percent"] == 75
    assert found[SAMPLE] == "time 2020-01-02"


def test_statistics_of_nothing_and_of_the_largest_numbers() -> None:
    empty = read_plane(cube(np.full((2, 2), np.nan)))
    assert empty is not None
    assert statistics(empty) == {"valid_percent": 0}
    huge = read_plane(cube(np.full((2, 2), np.finfo("float64").max)))
    assert huge is not None
    assert "mean" not in statistics(huge)
