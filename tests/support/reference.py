"""What a cube must hold, worked out pixel by pixel: every centre through PROJ, then the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import xarray as xr

from tests.standins.truth import Array, Layer, layer


@dataclass(frozen=True)
class Comparison:
    """How a variable of a cube compares with the truth."""

    variable: str
    method: str
    pixels: int
    equal: int
    near_edge: int  # of those that differ, how many lie within 1e-6 of a source pixel's edge
    worst: float  # largest difference, for interpolated values

    @property
    def share(self) -> float:
        """Share of the pixels that are equal."""
        return self.equal / self.pixels

    @property
    def unexplained(self) -> int:
        """Pixels that differ and lie near no edge."""
        return self.pixels - self.equal - self.near_edge


def compare(cube: Path, variable: str, epsg: int = 4326) -> Comparison:
    """Compare all pixels of all bands of a variable with the truth of its layer."""
    truth = layer(variable)
    with xr.open_zarr(cube, mask_and_scale=False) as dataset:
        array = dataset[variable].load()
    y, x = (array[name].values for name in array.dims[-2:])
    row, col = _positions(truth, *np.meshgrid(x, y), epsg)
    fill = array.attrs.get("_FillValue", 0)
    if array.dtype.kind == "f":
        return _compare_bilinear(array, truth, row, col)
    equal = 0
    near = np.minimum(np.abs(row - np.rint(row)), np.abs(col - np.rint(col))) < 1e-6
    near_edge = 0
    rows, cols = np.floor(row).astype(np.int64), np.floor(col).astype(np.int64)
    for index in np.ndindex(array.shape[:-2]):
        expected = truth.value(rows, cols, *_arguments(array, index)).astype(array.dtype)
        expected[np.isin(expected, truth.masked)] = fill
        same = array.values[index] == expected
        equal += int(same.sum())
        near_edge += int((~same & near).sum())
    return Comparison(variable, "nearest", array.size, equal, near_edge, 0.0)


def _arguments(array: xr.DataArray, index: tuple[int, ...]) -> tuple[int, ...]:
    """Turn a position along the leading dimensions into what the truth is a function of."""
    at = dict(zip(array.dims, index, strict=False))
    if "members" in at:
        return at["members"], at["time"]
    return tuple(position + 1 for position in index)


def _positions(truth: Layer, x: Array, y: Array, epsg: int) -> tuple[Array, Array]:
    to_source = pyproj.Transformer.from_crs(epsg, truth.grid.epsg, always_xy=True)
    source_x, source_y = to_source.transform(x, y)
    grid = truth.grid
    return (grid.top - source_y) / grid.res, (source_x - grid.left) / grid.res


def _compare_bilinear(array: xr.DataArray, truth: Layer, row: Array, col: Array) -> Comparison:
    top, left = np.floor(row - 0.5).astype(np.int64), np.floor(col - 0.5).astype(np.int64)
    down, right = row - 0.5 - top, col - 0.5 - left
    total, weights = np.zeros(row.shape), np.zeros(row.shape)
    for i, weight_i in ((0, 1 - down), (1, down)):
        for j, weight_j in ((0, 1 - right), (1, right)):
            value = truth.value(top + i, left + j).astype(float)
            weight = np.where(np.isin(value, truth.masked), 0, weight_i * weight_j)
            total += weight * value
            weights += weight
    # The pixel that the centre lies in decides whether there are data.
    inner = truth.value(np.floor(row).astype(np.int64), np.floor(col).astype(np.int64))
    expected = np.where(
        np.isin(inner, truth.masked) | (weights == 0), np.nan, total / np.where(weights, weights, 1)
    )
    both = np.isnan(expected) & np.isnan(array.values)
    differs = np.where(both, 0, np.abs(expected - array.values))
    worst = float(np.nanmax(differs))
    # GDAL's transformer may be off by a thousandth of a pixel, so by that share of the contrast.
    contrast = float(np.nanmax(expected) - np.nanmin(expected))
    equal = int((differs <= 0.002 * contrast).sum())
    return Comparison(array.name or "", "bilinear", array.size, equal, 0, worst)
