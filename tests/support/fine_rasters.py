"""One GeoTIFF of pixels half as large as the grid's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio import Affine

from tests.support.cli import NORTH, WEST


def written(directory: Path, values: np.ndarray, transform: Affine, **profile: object) -> None:
    (directory / "src").mkdir()
    rows, cols = values.shape
    with rasterio.open(
        directory / "src" / "one.tif", "w", driver="GTiff", width=cols, height=rows, count=1,
        dtype=values.dtype, crs="EPSG:4326", transform=transform, **profile,
    ) as file:  # fmt: skip
        file.write(values, 1)


FINE = Affine(0.0005, 0, WEST, 0, -0.0005, NORTH)
