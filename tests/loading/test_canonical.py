"""Dimensions, names and fill values that a loaded dataset gets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.geo.grid import Grid, PixelGrid
from stacbuild.loading.canonical import canonical, named, set_metadata, with_band_times
from stacbuild.loading.metadata import VariableMetadata
from tests.support.items import raster_item

GRID = Grid.from_pixels(PixelGrid("EPSG:4326", (1.0, 0.0, 10.0, 0.0, -1.0, 50.0), (2, 3)), (2, 2))


def dataset(*names: str) -> xr.Dataset:
    values = np.zeros((2, 3, 4), "uint8")
    return xr.Dataset(dict.fromkeys(names, (("y", "x", "band"), values)))


def test_spatial_dimensions_are_last_and_on_the_grid() -> None:
    found = canonical(dataset("a"), GRID, ("y", "x"), "one")
    assert found["a"].dims == ("band", "lat", "lon")
    np.testing.assert_array_equal(found["lat"], GRID.coords()[0])


def test_a_variable_called_as_a_coordinate_is_refused() -> None:
    with pytest.raises(BuildError, match="its variable lat has the name of a coordinate"):
        canonical(dataset("lat"), GRID, ("y", "x"), "one")


def test_names() -> None:
    assert list(named(dataset("a"), "one").data_vars) == ["one"]
    assert list(named(dataset("a", "b"), "one").data_vars) == ["one_a", "one_b"]
    assert list(named(dataset("a"), None).data_vars) == ["a"]


def test_dated_bands_become_times() -> None:
    times = pd.date_range("2020", periods=4, freq="YS")
    assert with_band_times(dataset("a"), times).sizes["time"] == 4
    assert "band" in with_band_times(dataset("a"), times[:3]).dims


def test_a_fill_value_is_declared_where_it_can_occur() -> None:
    metadata = VariableMetadata.of_raster(raster_item(nodata=-1))
    array = xr.DataArray(np.zeros((2, 3), "int16"))
    set_metadata(array, metadata, complete=True)
    assert array.encoding == {"fill_value": -1, "_FillValue": -1}
    set_metadata(array, VariableMetadata.of_raster(raster_item()), complete=True)
    assert "_FillValue" not in array.encoding
