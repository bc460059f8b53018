"""Colours of values: those of a legend, or of a colour map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.pictures.coarse import Plane, read_plane
from stacbuild.pictures.colors import OTHER, Legend, Scale, colors_of


def plane(values: Any, dtype: str = "uint8", **attrs: Any) -> Plane:
    array = np.array(values, dtype)
    coords = {"y": np.arange(array.shape[0])[::-1], "x": np.arange(array.shape[1])}
    found = read_plane(xr.DataArray(array, dims=("y", "x"), coords=coords, attrs=attrs))
    assert found is not None
    return found


FLAGS = {"flag_values": [1, 2], "flag_meanings": "forest water", "_FillValue": 255}


def test_a_legend_has_the_colours_that_are_stated() -> None:
    colors = colors_of(plane([[1, 2], [3, 255]], flag_colors="#ff0000 #0000ff", **FLAGS))
    assert isinstance(colors, Legend)
    assert colors.classes == ((1, "forest", (255, 0, 0)), (2, "water", (0, 0, 255)))
    assert colors.colormap() == {"1": [255, 0, 0, 255], "2": [0, 0, 255, 255]}
    rgba = colors.rgba(plane([[1, 2], [3, 255]], **FLAGS))
    # Only nodata is transparent: a value without a class is data.
    assert rgba[..., 3].tolist() == [[255, 255], [255, 0]]
    assert rgba[1, 0].tolist() == [*OTHER, 255]


@pytest.mark.parametrize("stated", ["", "#ff0000", "red nothing"])
def test_colours_that_do_not_fit_are_chosen_apart(stated: str) -> None:
    colors = colors_of(plane([[1, 2]], flag_colors=stated, **FLAGS))
    assert isinstance(colors, Legend)
    assert len({color for _, _, color in colors.classes}) == 2


def test_quantities_are_scaled_between_percentiles() -> None:
    values = np.arange(101).reshape(1, -1)
    assert colors_of(plane(values)) == Scale(2, 98)
    assert colors_of(plane([[5, 5]])) == Scale(5, 5)
    assert colors_of(plane([[np.nan]], "float32")) == Scale(0, 1)


def test_no_data_is_transparent() -> None:
    given = plane([[1, np.nan, 2]], "float32")
    rgba = Scale(1, 2).rgba(given)
    assert rgba[0, :, 3].tolist() == [255, 0, 255]
    assert rgba[0, 0].tolist() != rgba[0, 2].tolist()
    assert len(Scale(0, 1).colormap()) == 256
