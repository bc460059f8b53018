"""Zarr stores with coordinates, grid mappings and attributes as given, and their cubes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import xarray as xr
import yaml
import zarr

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.formats.zarr_grid import DatasetGrid
from tests.support.raw_zarr import Warned

Json = dict[str, Any]


UTM = "EPSG:32632"


def store(
    path: Path,
    x: Any,
    y: Any,
    attrs: Json | None = None,
    of: Json | None = None,
    dims: tuple[str, str] = ("y", "x"),
    zarr_format: int = 2,
    **variables: Any,
) -> np.ndarray[Any, Any]:
    """Write a store of counted pixels; *of* are attributes of the array. Return the pixels."""
    shape = len(y), len(x)
    values = np.arange(shape[0] * shape[1], dtype="int16").reshape(shape)
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    arrays = {"v": (dims, values, of or {}), **variables}
    for name, dim, coordinate in ((dims[0], dims[0], y), (dims[1], dims[1], x)):
        if not isinstance(coordinate, range):
            arrays.setdefault(name, ((dim,), np.asarray(coordinate), {}))
    for name, (names, content, more) in arrays.items():
        whole = np.asarray(content)
        named = {"dimension_names": list(names)} if zarr_format == 3 else {}
        array = group.create_array(
            name, shape=whole.shape, dtype=whole.dtype, chunks=whole.shape, **named
        )
        array[...] = whole
        array.attrs.update(({} if named else {"_ARRAY_DIMENSIONS": list(names)}) | more)
    group.attrs.update({"time_coverage_start": "2020-01-01"} | (attrs or {}))
    return values


def cube(
    folder: Path, grid: Json | None = None
) -> tuple[CubeResult, xr.Dataset | None, list[str], Json]:
    """Build ``in/s.zarr``, on its own grid if none is named; with its warnings and item."""
    dataset: Json = {"identifier": "out", "store": "src", "data_id": "s.zarr"}
    content: Json = {
        "datasets": [dataset],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "src", "store_id": "file", "store_params": {"root": "in"}},
        ],
    }
    if grid:
        dataset["grid_mapping"] = "g"
        content["grid_mappings"] = [{"identifier": "g", **grid}]
    (folder / "c.yml").write_text(yaml.safe_dump(content))
    reporter = Warned()
    [result] = build(load_config(folder / "c.yml"), folder / "catalogs", reporter=reporter)
    items = list((folder / "catalogs" / "file-in").rglob("s.json"))
    item = json.loads(items[0].read_text()) if items else {}
    made = None
    if result.status == "COMPLETED":
        with xr.open_zarr(folder / "data" / "out.zarr", mask_and_scale=False) as opened:
            made = opened.load()
    return result, made, reporter.warnings, item


X, Y = 500_005 + 10.0 * np.arange(8), 4_999_995 - 10.0 * np.arange(6)


MAPPING = {"spatial_ref": pyproj.CRS(32632).to_wkt()}


def utm(x: Any = X, y: Any = Y, **stated: Any) -> xr.Dataset:
    """A dataset of UTM coordinates, with attributes of its grid mapping."""
    ds = xr.Dataset({"v": (("y", "x"), np.zeros((len(y), len(x))))}, {"y": y, "x": x})
    ds["v"].attrs["grid_mapping"] = "spatial_ref"
    return ds.assign_coords(spatial_ref=xr.DataArray(0, attrs=MAPPING | stated))


def edges(grid: DatasetGrid) -> tuple[float, ...]:
    """The corner of the first pixel and the steps."""
    transform = grid.affine
    return transform.c, transform.f, transform.a, transform.e
