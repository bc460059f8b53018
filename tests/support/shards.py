"""Small cubes whose tiles are shards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from rasterio import Affine

import stacbuild as library
from tests.support.cli import Json, configuration

SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
STEP = 0.001
SIZE = 700


def write_source(folder: Path, size: int = SIZE, bands: int = 2) -> None:
    """Write bands of noise, and a hole that is nodata."""
    folder.mkdir(parents=True)
    values = np.random.default_rng(3).integers(0, 200, (bands, size, size), "uint8")
    values[:, 300:600, 100:420] = 255
    profile = {"driver": "GTiff", "width": size, "height": size, "count": bands, "dtype": "uint8"}
    profile |= {"crs": "EPSG:4326", "transform": Affine(STEP, 0, 10, 0, -STEP, 46)}
    profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "nodata": 255}
    with rasterio.open(folder / "codes.tif", "w", **profile) as file:
        file.write(values)


def configured(
    directory: Path,
    shards: Any,
    *,
    tile: int = 256,
    size: int = SIZE,
    scheduler: str = "threads",
    storage: Json | None = None,
    **dataset: Any,
) -> Path:
    """Configure a cube ``c`` of a source in ``src``; by default of nine tiles."""
    if not (directory / "src").exists():
        write_source(directory / "src", size)
    grid = {"identifier": "g", "bbox": [10, 46 - size * STEP, 10 + size * STEP, 46]}
    grid |= {"spatial_res": STEP, "crs": "EPSG:4326", "tile_size": tile, "shards": shards}
    cube = {"identifier": "c", "store": "local", "data_id": "codes.tif", "grid_mapping": "g"}
    general = {"dask_scheduler": scheduler}
    return configuration(
        directory, [cube | dataset], [SOURCE], storage=storage, grids=[grid], general=general
    )


def built(path: Path) -> Path:
    [result] = library.build(library.load_config(path), path.parent / "catalogs")
    assert result.status == "COMPLETED", result.message
    return Path(result.href)


def shards_in(cube: Path) -> dict[str, bytes]:
    files = (path for path in (cube / "c" / "c").rglob("*") if path.is_file())
    return {str(path.relative_to(cube)): path.read_bytes() for path in files}


def opened(path: Path) -> xr.Dataset:
    with xr.open_zarr(path, mask_and_scale=False) as cube:
        return cube.load()


def problems(folder: Path) -> list[str]:
    config = library.load_config(folder / "c_config.yml")
    checks = library.validate(config, deep=True, errors="collect")
    return [str(problem) for check in checks for problem in check.found.problems]


def plain_and_sharded(base: Path) -> dict[str, Path]:
    """Return the folders of the same cube without shards, and with them."""
    built(configured(base / "plain", False))
    shutil.copytree(base / "plain" / "src", base / "sharded" / "src")
    built(configured(base / "sharded", 64))
    return {name: base / name for name in ("plain", "sharded")}
