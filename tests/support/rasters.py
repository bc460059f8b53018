"""What tests of GeoTIFFs as others write them share: one written, its values by rasterio."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
import yaml
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.progress import Silent
from tests.support.built import SOURCES
from tests.support.cli import Json, configuration

# Of rasters of 40 x 40 pixels, and of grids on them: the same pixels, and two by two of them.
TRANSFORM = Affine(0.01, 0, 10, 0, -0.01, 50)
SAME = {"identifier": "same", "crs": "EPSG:4326", "bbox": [10.1, 49.7, 10.3, 49.9]}
INSIDE = (slice(10, 30), slice(10, 30))
GRIDS: list[Json] = [
    SAME | {"spatial_res": 0.01},
    SAME | {"identifier": "coarse", "spatial_res": 0.02},
    SAME | {"identifier": "fine", "spatial_res": 0.004},
    SAME | {"identifier": "wide", "spatial_res": 0.01, "bbox": [9.9, 49.5, 10.5, 50.1]},
]

Values = NDArray[Any]


class Recorder(Silent):
    """A reporter that keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """Keep the message."""
        self.warnings.append(message)


def noise(dtype: str, bands: int = 1, low: int = 0, high: int = 100) -> Values:
    """Return whole numbers, at random, of shape (bands, 40, 40)."""
    random = np.random.default_rng(11)
    return random.integers(low, high, (bands, 40, 40)).astype(dtype)


def write(path: Path, values: Values, *, nodata_tag: str | None = None, **profile: Any) -> Path:
    """Write a GeoTIFF of (band, row, column).

    Parameters
    ----------
    nodata_tag
        Text of the tag ``GDAL_NODATA``, as other programs may have written it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    fixed = {"driver": "GTiff", "count": count, "height": height, "width": width}
    own = {"dtype": values.dtype.name, "crs": "EPSG:4326", "transform": TRANSFORM}
    with rasterio.open(path, "w", **(fixed | own | profile)) as file:
        file.write(values)
        if nodata_tag is not None:
            file.update_tags(TIFFTAG_SOFTWARE=nodata_tag)
    if nodata_tag is not None:
        _rename_tag(path, old=305, new=42113)
    return path


def _rename_tag(path: Path, old: int, new: int) -> None:
    """Renumber a tag of the first directory of a little-endian TIFF."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = [bytes(content[start + 2 + 12 * i : start + 14 + 12 * i]) for i in range(count)]
    renamed = [
        struct.pack("<H", new) + entry[2:] if entry[:2] == struct.pack("<H", old) else entry
        for entry in entries
    ]
    renamed.sort(key=lambda entry: struct.unpack("<H", entry[:2])[0])
    content[start + 2 : start + 2 + 12 * count] = b"".join(renamed)
    path.write_bytes(content)


def decoded(path: Path, bands: Sequence[int] | None = None) -> Values:
    """Return the values as rasterio masks them, scaled, float64, NaN where masked."""
    with rasterio.open(path) as file:
        bands = list(bands or file.indexes)
        values = file.read(bands, masked=True).astype("float64").filled(np.nan)
        scale, offset = (
            np.array([each[band - 1] for band in bands])[:, None, None]
            for each in (file.scales, file.offsets)
        )
    return np.asarray(values * scale + offset)


def warped(path: Path, grid: Json, method: Resampling) -> Values:
    """Return the first band on a grid as GDAL resamples it, NaN where masked."""
    west, south, east, north = grid["bbox"]
    resolution = grid["spatial_res"]
    shape = [round((high - low) / resolution) for low, high in ((south, north), (west, east))]
    values = decoded(path, [1])
    with MemoryFile() as memory:
        plain = {"driver": "GTiff", "count": 1, "dtype": "float64", "nodata": np.nan}
        size = {"height": values.shape[1], "width": values.shape[2]}
        place = {"crs": "EPSG:4326", "transform": TRANSFORM}
        with memory.open(**plain, **size, **place) as file:
            file.write(values)
        with (
            memory.open() as file,
            WarpedVRT(
                file,
                crs=grid["crs"],
                transform=Affine(resolution, 0, west, 0, -resolution, north),
                height=shape[0],
                width=shape[1],
                resampling=method,
                tolerance=0.001,
            ) as vrt,
        ):
            return np.asarray(vrt.read(1))


def build_raster(
    directory: Path, grid: str | None = "same", **dataset: Any
) -> tuple[CubeResult, Recorder]:
    """Build ``src/one.tif`` on one of `GRIDS`, or on its own grid; return also what was told."""
    one = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": grid}
    one = {key: value for key, value in (one | dataset).items() if value is not None}
    path = configuration(directory, [one], [SOURCES], grids=GRIDS)
    if grid is None:
        content = yaml.safe_load(path.read_text())
        del content["datasets"][0]["grid_mapping"]
        path.write_text(yaml.safe_dump(content))
    told = Recorder()
    [result] = build(load_config(path), directory / "catalogs", reporter=told)
    return result, told


def cube(
    directory: Path, grid: str | None = "same", *, raw: bool = False, **dataset: Any
) -> xr.Dataset:
    """Build ``src/one.tif`` and open the cube, decoded unless *raw*."""
    result, _ = build_raster(directory, grid, **dataset)
    assert result.error is None, result.message
    with xr.open_zarr(directory / "data" / "cube.zarr", mask_and_scale=not raw) as opened:
        return opened.load()
