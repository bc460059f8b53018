"""Sources whose longitudes count from anywhere: read where they lie, on grids from -180 to 180.

Every value is a smooth function of its place, the same at -10 and at 350 degrees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio import Affine

from stacbuild.building import build
from stacbuild.config import load_config
from tests.support.built import SOURCES, variable_of
from tests.support.cli import configuration

Floats = NDArray[np.float64]


def field(lon: Any, lat: Any) -> Any:
    """Return a value at a place, up to 150."""
    x, y = np.cos(np.radians(lon)), np.sin(np.radians(lon))
    return (100 * x + 50 * y) * np.cos(np.radians(lat))


def source(folder: Path, kind: str, west: float, width: int, step: float = 1.0) -> str:
    """Write values for *width* columns from *west*, and give the data id."""
    (folder / "src").mkdir()
    lon, lat = west + step * (np.arange(width) + 0.5), 90 - step * (np.arange(180 / step) + 0.5)
    values = field(*np.meshgrid(lon, lat)).astype(np.float32)
    if kind == "zarr":
        coords = {"time": pd.DatetimeIndex(["2020-01-01"]), "lat": lat, "lon": lon}
        data = xr.Dataset({"band_data": (("time", "lat", "lon"), values[None])}, coords)
        data.to_zarr(folder / "src" / "one.zarr", zarr_format=2, consolidated=True)
        return "one.zarr"
    with rasterio.open(
        folder / "src" / "one.tif",
        "w",
        driver="GTiff",
        width=width,
        height=len(lat),
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=Affine(step, 0, west, 0, -step, 90),
    ) as file:
        file.write(values, 1)
    return "one.tif"


def outcome(folder: Path, grid: dict[str, Any] | None, **dataset: Any) -> Any:
    entry = {"identifier": "cube", "store": "files", "grid_mapping": grid and "target"} | dataset
    grids = [{"identifier": "target", "crs": "EPSG:4326"} | grid] if grid else []
    config = load_config(configuration(folder, [entry], [SOURCES], grids=grids))
    (result,) = build(config, folder / "catalogs")
    return result


def cube_of(folder: Path, grid: dict[str, Any] | None, **dataset: Any) -> xr.DataArray:
    result = outcome(folder, grid, **dataset)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(folder / "data" / "cube.zarr") as cube:
        return (
            variable_of(cube).squeeze("time", drop=True).load()
            if "time" in cube.dims
            else (variable_of(cube).load())
        )


def places(cube: xr.DataArray, epsg: int) -> tuple[Floats, Floats]:
    x, y = np.meshgrid(cube[cube.dims[1]], cube[cube.dims[0]])
    return pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)


METHODS = {
    "nearest": {"interp_methods": "nearest", "agg_methods": "center"},
    "bilinear": {"interp_methods": "bilinear"},
    "mean": {"agg_methods": "mean"},
}
# From where a source counts; global ones, and one half of the earth about Greenwich.
COUNTS = [
    *((0.0, 360), (-180.5, 360), (-0.5, 361), (330.0, 90)),
    *(pytest.param(west, 360, marks=pytest.mark.slow) for west in (-360.0, 180.0)),
]


@pytest.mark.parametrize("kind", ["tif", "zarr"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("west", "width"), COUNTS)
def test_a_grid_across_greenwich(
    tmp_path: Path, kind: str, method: str, west: float, width: int
) -> None:
    data_id = source(tmp_path, kind, west, width)
    res = {"nearest": 1.0, "bilinear": 0.5, "mean": 2.0}[method]
    grid = {"bbox": [-10, 40, 10, 50], "spatial_res": res, "tile_size": 7}
    resampling = METHODS[method]
    cube = cube_of(tmp_path, grid, data_id=data_id, spatial_resample_params=resampling)
    error = np.abs(cube.values - field(*np.meshgrid(cube.lon, cube.lat)))
    # Half a pixel off at the most where the source's pixels lie so, and no pixel empty.
    assert (error < (1.3 if method == "nearest" else 0.1)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("epsg", "bbox"),
    [
        (3035, [2.7e6, 2.0e6, 4.0e6, 3.0e6]),
        (32631, [-600_000, 4_000_000, 600_000, 5_000_000]),
        (3413, [-1e6, -1e6, 1e6, 1e6]),
        (3832, [3.0e6, -500_000, 3.9e6, 400_000]),
    ],
    ids=["Europe", "UTM", "pole", "antimeridian"],
)
def test_grids_in_metres(tmp_path: Path, epsg: int, bbox: list[float], method: str) -> None:
    data_id = source(tmp_path, "tif", 0.0, 1440, 0.25)
    res = 100_000.0 if method == "mean" else 20_000.0
    grid = {"crs": f"EPSG:{epsg}", "bbox": bbox, "spatial_res": res, "tile_size": 16}
    resampling = METHODS[method]
    cube = cube_of(tmp_path, grid, data_id=data_id, spatial_resample_params=resampling)
    lon, lat = places(cube, epsg)
    assert lon.min() < 0 < lon.max()
    error = np.abs(cube.values - field(lon, lat))
    assert (error < (0.4 if method == "nearest" else 0.3)).all()


@pytest.mark.parametrize("kind", ["tif", "zarr"])
@pytest.mark.parametrize("west", [-180.0, 0.0, 0.5])
def test_bilinear_has_no_edge_where_the_file_has(tmp_path: Path, kind: str, west: float) -> None:
    data_id = source(tmp_path, kind, west, 360)
    grid = {"bbox": [-180, -10, 180, 10], "spatial_res": 0.5, "tile_size": 64}
    resampling = METHODS["bilinear"]
    cube = cube_of(tmp_path, grid, data_id=data_id, spatial_resample_params=resampling)
    error = np.abs(cube.values - field(*np.meshgrid(cube.lon, cube.lat)))
    assert (error < 0.02).all()


@pytest.mark.parametrize("kind", ["tif", "zarr"])
@pytest.mark.parametrize(
    ("west", "width", "ends"),
    [
        (0.0, 360, (-179.5, 179.5)),
        (-0.5, 360, (-180.0, 179.0)),
        (-360.0, 360, (-179.5, 179.5)),
        (200.0, 30, (-159.5, -130.5)),
        (350.0, 20, (-9.5, 9.5)),
        (170.0, 20, (170.5, 189.5)),
    ],
)
def test_the_own_grid_counts_from_the_antimeridian(
    tmp_path: Path, kind: str, west: float, width: int, ends: tuple[float, float]
) -> None:
    cube = cube_of(tmp_path, None, data_id=source(tmp_path, kind, west, width))
    assert (float(cube.lon[0]), float(cube.lon[-1])) == ends
    assert cube.shape == (180, width)
    expected = field(*np.meshgrid(cube.lon, cube.lat))
    np.testing.assert_allclose(cube.values, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["tif", "zarr"])
@pytest.mark.parametrize(
    ("selection", "ends"),
    [
        ({"bbox": [-10, 40, 10, 50]}, (-9.5, 9.5)),
        ({"bbox": [350, 40, 370, 50]}, (-9.5, 9.5)),
        ({"bbox": [-150, 40, -140, 50]}, (-149.5, -140.5)),
        ({"point": [-9.5, 45.5]}, (-9.5, -9.5)),
        ({"point": [-9.5, 45.5], "bbox_width": 400_000}, (-11.5, -7.5)),
    ],
)
def test_selections_of_a_source_that_counts_to_360(
    tmp_path: Path, kind: str, selection: dict[str, Any], ends: tuple[float, float]
) -> None:
    data_id = source(tmp_path, kind, 0.0, 360)
    cube = cube_of(tmp_path, None, data_id=data_id, open_params=selection)
    assert (float(cube.lon[0]), float(cube.lon[-1])) == ends
    expected = field(*np.meshgrid(cube.lon, cube.lat))
    np.testing.assert_allclose(cube.values, expected, atol=1e-4)


def test_what_is_outside_is_told_in_longitudes_to_180(tmp_path: Path) -> None:
    data_id = source(tmp_path, "tif", 200.0, 30)
    grid = {"bbox": [10, 40, 20, 50], "spatial_res": 1}
    said = outcome(tmp_path, grid, data_id=data_id).message
    assert "lies outside the data, which covers [-160, -90, -130, 90]" in said


def test_what_one_turn_lacks_is_empty(tmp_path: Path) -> None:
    data_id = source(tmp_path, "tif", 350.0, 20)
    cube = cube_of(tmp_path, {"bbox": [-20, 40, 20, 50], "spatial_res": 1}, data_id=data_id)
    assert (np.isfinite(cube.values) == (np.abs(cube.lon.values) < 10)).all()
