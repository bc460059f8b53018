"""Small GeoTIFFs as people have them in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio import Affine

EAST, NORTH = 600000, 5000000


def raster(
    path: Path, *, column: int = 0, row: int = 0, seed: int = 0, **profile: Any
) -> np.ndarray[Any, Any]:
    """Write a GeoTIFF of 20 x 30 pixels of 10 m, that many tiles from a corner; return its values.

    A third of the values is nodata.
    """
    values = np.random.default_rng(seed).integers(0, 90, (20, 30)).astype("int16")
    values[values < 30] = -1
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "driver": "GTiff",
        "width": 30,
        "height": 20,
        "count": 1,
        "dtype": "int16",
        "crs": "EPSG:32632",
        "transform": Affine(10, 0, EAST + 300 * column, 0, -10, NORTH - 200 * row),
        "nodata": -1,
    }
    with rasterio.open(path, "w", **(options | profile)) as file:
        file.write(values, 1)
    return values
