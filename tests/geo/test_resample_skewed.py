"""Aggregates where a pixel of the grid is no upright box on the source: rotated and skewed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio import Affine

from tests.fuzz.grids import of_config
from tests.fuzz.inputs import Input, Layer
from tests.fuzz.reference import Aggregate, aggregated
from tests.support.built import made, variable_of
from tests.support.cli import BOX, NORTH, WEST

GRID = {"identifier": "grid", "bbox": list(BOX), "spatial_res": 0.001, "crs": "EPSG:4326"}
# Of MODIS, with its central meridian far to the west: columns lie skewed by 54 degrees there.
SINUSOIDAL = "+proj=sinu +lon_0=-100 +R=6371007.181 +units=m"
# And by 68 degrees here, where rows of the grid are still those of the source.
FARTHER = "+proj=sinu +lon_0=-160 +R=6371007.181 +units=m"


def source(crs: pyproj.CRS, pixel: Affine, count: int) -> Input:
    """Return a field of waves of *count* by *count* pixels around the middle of the grid."""
    rows, cols = np.indices((count, count))
    values = (100 + 40 * np.sin(rows / 5) + 40 * np.cos(cols / 4)).astype("float32")
    to = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = to.transform(WEST + 0.05, NORTH - 0.05)
    transform = Affine.translation(x, y) @ pixel @ Affine.translation(-count / 2, -count / 2)
    layer = Layer(values, np.zeros(values.shape, bool))
    return Input("one.tif", crs, transform, {"cube": layer}, {})


CASES = {
    "skewed": source(pyproj.CRS(SINUSOIDAL), Affine.scale(50, -50), 600),
    "more skewed": source(pyproj.CRS(FARTHER), Affine.scale(50, -50), 800),
    "rotated": source(pyproj.CRS(4326), Affine.rotation(45) @ Affine.scale(0.0004, -0.0004), 400),
}


@pytest.mark.parametrize("method", ["mean", pytest.param("max", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES)
def test_aggregates_look_at_the_pixels_under_each_pixel(
    tmp_path: Path, case: str, method: str
) -> None:
    given = CASES[case]
    values = variable_of(given.layers).raw
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "one.tif", "w", driver="GTiff", width=values.shape[1],
        height=values.shape[0], count=1, dtype="float32", crs=given.crs.to_wkt(),
        transform=given.transform,
    ) as file:  # fmt: skip
        file.write(values, 1)
    cube = made(tmp_path, {"spatial_resample_params": {"agg_methods": method}})
    got = variable_of(cube).values.astype("f8")
    # A corner of a source pixel may be missed where the largest is looked for.
    how = Aggregate(method, rounding=1e-3, spare=0.35 if method == "max" else 0.15)
    wrong = aggregated(given, of_config(GRID), values.astype("f8"), got, how)
    assert not np.isnan(got).any()
    assert not wrong.any(), f"{wrong.sum()} of {wrong.size}"
