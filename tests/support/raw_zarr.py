"""Zarr stores as other programs write them: every value and attribute as it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.errors import StacbuildError
from stacbuild.progress import Silent
from tests.support.built import LAT, LON, SOURCES
from tests.support.cli import BOX, Json, configuration


@dataclass(frozen=True)
class Raw:
    """A variable: dimensions, stored values, attributes, and the array's own fill value."""

    dims: Sequence[str]
    values: Any
    attrs: Mapping[str, Any] = field(default_factory=dict)
    fill: Any = None


GRID = {
    "lat": Raw(["lat"], LAT, {"units": "degrees_north"}),
    "lon": Raw(["lon"], LON, {"units": "degrees_east"}),
}
"""The coordinates of `tests.support.built`."""


def write(path: Path, variables: Mapping[str, Raw], zarr_format: int = 2) -> None:
    """Write a group, without consolidated metadata."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    group.attrs["time_coverage_start"] = "2020-01-01"
    for name, raw in variables.items():
        values = np.asarray(raw.values)
        named: dict[str, Any] = {} if zarr_format == 2 else {"dimension_names": list(raw.dims)}
        none = None if zarr_format == 2 else np.zeros((), values.dtype)[()]
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(max(1, length) for length in values.shape),
            fill_value=none if raw.fill is None else raw.fill,
            **named,
        )
        array[...] = values
        dims = {"_ARRAY_DIMENSIONS": list(raw.dims)} if zarr_format == 2 else {}
        array.attrs.update(dims | dict(raw.attrs))


class Warned(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """Keep one."""
        self.warnings.append(message)


def result(
    directory: Path,
    dataset: Json | None = None,
    grid: Json | None = None,
    *,
    warned: Warned | None = None,
) -> CubeResult:
    """Build the dataset ``cube`` of ``src/one.zarr``, on the tests' grid with changes."""
    other = {"identifier": "other", "crs": "EPSG:4326", "bbox": list(BOX), "spatial_res": 0.001}
    one = {"identifier": "cube", "store": "files", "data_id": "one.zarr", "grid_mapping": "other"}
    path = configuration(
        directory, [one | (dataset or {})], [SOURCES], grids=[other | (grid or {})]
    )
    [found] = build(load_config(path), directory / "catalogs", reporter=warned)
    return found


def made(directory: Path, dataset: Json | None = None, grid: Json | None = None) -> xr.Dataset:
    """Build as `result` does, and open the cube as it is stored."""
    found = result(directory, dataset, grid)
    assert found.status == "COMPLETED", found.message
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=False) as cube:
        return cube.load()


def refused(directory: Path, dataset: Json | None = None, grid: Json | None = None) -> str:
    """Return what is said of a dataset that cannot be built."""
    found = result(directory, dataset, grid)
    assert isinstance(found.error, StacbuildError), found
    assert "report it" not in found.message
    return found.message
