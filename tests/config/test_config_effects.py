"""The remaining keys of configurations, each by its effect on a cube or on a run."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
import zarr

from tests.standins.demo import Servers
from tests.support.built import INSIDE, made, refused, variable_of, zarr_store
from tests.support.cli import BOX, Json, command, configuration, geotiff, stacbuild

Values = np.ndarray[Any, Any]

COARSE = {"identifier": "coarse", "bbox": list(BOX), "spatial_res": 0.004, "crs": "EPSG:4326"}
FINE = {"identifier": "fine", "bbox": list(BOX), "spatial_res": 0.0005, "crs": "EPSG:4326"}


def raster(directory: Path, dtype: str = "float32") -> Values:
    """Write a raster of noise, some of it no data; return the part on the grid, no data as NaN."""
    path = geotiff(directory / "src" / "one.tif", dtype=dtype, nodata=99)
    random = np.random.default_rng(4)
    values = random.integers(0, 90, (120, 120)).astype(dtype)
    values[random.uniform(size=values.shape) < 0.1] = 99
    # All that lies under one of the coarse pixels.
    values[10:14, 10:14] = 99
    with rasterio.open(path, "r+") as file:
        file.write(values, 1)
    inside = values[INSIDE].astype(np.float64)
    return np.where(inside == 99, np.nan, inside)


def on(directory: Path, grid: Json, params: Json) -> Values:
    """Build the raster on a grid; no data as NaN."""
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif"}
    config = configuration(
        directory,
        [dataset | {"grid_mapping": grid["identifier"], "spatial_resample_params": params}],
        [{"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}],
        grids=[grid],
    )
    stacbuild("cube", config)
    with xr.open_zarr(directory / "data" / "cube.zarr") as cube:
        return np.asarray(variable_of(cube).values, np.float64)


@pytest.mark.parametrize(
    ("method", "reduce"),
    [("max", np.max), ("min", np.min), ("mean", np.mean), ("sum", np.sum)],
)
def test_each_way_to_reduce_floats(
    tmp_path: Path, method: str, reduce: Callable[[Values], float]
) -> None:
    source = raster(tmp_path)
    found = on(tmp_path, COARSE, {"agg_methods": method})
    blocks = source.reshape(25, 4, 25, 4).swapaxes(1, 2).reshape(25, 25, 16)
    expected = np.full((25, 25), np.nan)
    for index in np.ndindex(expected.shape):
        valid = blocks[index][np.isfinite(blocks[index])]
        if len(valid):
            expected[index] = reduce(valid)
    assert np.isnan(expected[0, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_codes_are_reduced_to_the_centre_or_the_most_frequent(tmp_path: Path) -> None:
    source = raster(tmp_path, "uint8")
    # The centre of a pixel of four is the corner of the third one: that belongs to it.
    np.testing.assert_array_equal(on(tmp_path, COARSE, {}), source[2::4, 2::4])
    centre = on(tmp_path, COARSE, {"agg_methods": {"band_data": "center"}})
    np.testing.assert_array_equal(centre, source[2::4, 2::4])
    mode = on(tmp_path, COARSE, {"agg_methods": "mode"})
    median = on(tmp_path, COARSE, {"agg_methods": "median"})
    blocks = source.reshape(25, 4, 25, 4).swapaxes(1, 2).reshape(25, 25, 16)
    for index in np.ndindex(mode.shape):
        valid = blocks[index][np.isfinite(blocks[index])]
        if len(valid):
            found, counts = np.unique(valid, return_counts=True)
            assert mode[index] in found[counts == counts.max()]
            low, high = np.sort(valid)[[(len(valid) - 1) // 2, len(valid) // 2]]
            assert low <= median[index] <= high
        else:
            assert np.isnan(mode[index])


def test_floats_are_enlarged_along_lines_or_to_the_nearest(tmp_path: Path) -> None:
    source = raster(tmp_path)
    nearest = on(tmp_path, FINE, {"interp_methods": "nearest"})
    np.testing.assert_array_equal(nearest, source.repeat(2, 0).repeat(2, 1))
    bilinear = on(tmp_path, FINE, {"interp_methods": "bilinear"})
    np.testing.assert_array_equal(on(tmp_path, FINE, {}), bilinear)
    # Of pixels whose neighbours have data: three quarters of each of the two near ones.
    rows, cols = np.arange(1, 198, 2), np.arange(1, 198, 2)
    a = source[:-1, :-1] * 9 + source[:-1, 1:] * 3 + source[1:, :-1] * 3 + source[1:, 1:]
    found, expected = bilinear[np.ix_(rows, cols)], a / 16
    known = np.isfinite(expected)
    assert known.sum() > 3000
    np.testing.assert_allclose(found[known], expected[known], atol=0.05)


def test_chunks_of_tile_size_and_of_chunksize(tmp_path: Path) -> None:
    values = np.zeros((6, 120, 120), np.float32)
    zarr_store(tmp_path / "src" / "one.zarr", [f"200{year}" for year in range(6)], age=values)
    made(tmp_path, {"chunksize": {"time": 4, "lat": 30}})
    group = zarr.open_group(tmp_path / "data" / "cube.zarr", mode="r")
    assert group["age"].chunks == (4, 30, 100)  # type: ignore[union-attr]
    made(tmp_path, {})
    group = zarr.open_group(tmp_path / "data" / "cube.zarr", mode="r")
    assert group["age"].chunks == (1, 100, 100)  # type: ignore[union-attr]


MODULE = """\
import numpy as np


def one(ds):
    return ds.assign_attrs(note="one", both="same").assign_coords(sensor=("time", [1, 1]))


def two(ds):
    return ds.assign_attrs(note="two", both="same").assign_coords(sensor=("time", [1, 2]))
"""


def merged(directory: Path, **params: str) -> Json:
    values = np.ones((2, 120, 120), np.float32)
    zarr_store(directory / "src" / "one.zarr", ["2000", "2001"], age=values)
    (directory / "mine.py").write_text(MODULE)
    variables = [
        {
            "identifier": name,
            "store": "files",
            "data_id": "one.zarr",
            "custom_processing": {"module_path": "mine", "function_name": name},
        }
        for name in ("one", "two")
    ]
    return {"variables": variables, "xr_merge_params": params}


def test_attributes_that_differ_are_dropped_or_taken_from_the_first(tmp_path: Path) -> None:
    cube = made(tmp_path, merged(tmp_path, compat="override"))
    assert cube.attrs["both"] == "same"
    assert "note" not in cube.attrs
    cube = made(tmp_path, merged(tmp_path, compat="override", combine_attrs="override"))
    assert cube.attrs["note"] == "one"
    told = refused(tmp_path, merged(tmp_path, compat="override", combine_attrs="identical"))
    assert "cube: its variables cannot be merged" in told


def test_coordinates_that_differ_are_refused_or_taken_from_the_first(tmp_path: Path) -> None:
    told = refused(tmp_path, merged(tmp_path))
    assert "cube: its variables cannot be merged" in told
    assert "sensor" in told
    cube = made(tmp_path, merged(tmp_path, compat="override"))
    assert cube["sensor"].values.tolist() == [1, 1]


@pytest.mark.parametrize(
    "where", [pytest.param("general", marks=pytest.mark.slow), "preload_params", ""]
)
def test_what_is_preloaded_again(scs2_config: Path, standins: Servers, where: str) -> None:
    words = ("harvest", scs2_config, "--store", "zenodo_senf")
    stacbuild(*words)
    before = standins.zenodo.bytes_sent
    assert before > 100_000
    content = yaml.safe_load(scs2_config.read_text())
    if where == "general":
        content["general"] = {"force_preload": True}
    elif where:
        for entry in content["preload_datasets"]:
            entry["preload_params"] = {"force_preload": True}
    scs2_config.write_text(yaml.safe_dump(content))
    stacbuild(*words)
    again = standins.zenodo.bytes_sent - before
    assert (again > before / 2) == bool(where), (before, again)


@pytest.mark.parametrize(("visualize", "moves"), [(None, True), (False, False)])
def test_progress_that_moves_or_stands_in_lines(
    tmp_path: Path, visualize: bool | None, moves: bool
) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    config = configuration(
        tmp_path,
        [{"identifier": "cube", "store": "files", "data_id": "one.tif"}],
        [{"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}],
        general={} if visualize is None else {"visualize": visualize},
    )
    # A terminal, as far as the program can tell.
    ours, theirs = pty.openpty()
    terminal = {**os.environ, "TERM": "xterm"}
    words = command("cube", config)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs, env=terminal):
        os.close(theirs)
        shown = ""
        # The other end is gone when the program is.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 1 << 16):
                shown += part.decode(errors="replace")
    os.close(ours)
    assert "cube" in shown
    # Codes that move the cursor up.
    assert ("\x1b[1A" in shown or "\x1b[2K" in shown) == moves
