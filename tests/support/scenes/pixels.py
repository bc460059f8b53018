"""Scenes in memory, and the small files that they are published as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio import Affine
from rasterio.io import MemoryFile

Json = dict[str, Any]
Pixels = NDArray[Any]

# The upper left corner of tile 32TMT, in metres.
LEFT, TOP = 399960, 5300040


@dataclass(frozen=True)
class Scene:
    """One acquisition, as a provider is to publish it.

    Parameters
    ----------
    name
        Id of its item.
    values
        Pixels of each asset, by the provider's key. Their size follows from the resolution that the
        provider's template states for the asset, such as 10 m for ``red``, 20 m for ``scl``.
    when
        ``datetime`` of the item; by default that of the template.
    epsg, left, top
        UTM zone and upper left corner, in metres.
    nodata
        That of the files; None: they state none.
    properties
        Properties of the item beside those of the template, or instead of them; None removes one.
    assets
        Fields of assets, in the same way.
    """

    name: str
    values: Mapping[str, Pixels]
    when: str | None = None
    epsg: int = 32632
    left: float = LEFT
    top: float = TOP
    nodata: float | None = 0
    properties: Mapping[str, Any] = field(default_factory=dict)
    assets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def transform(self, resolution: float) -> Affine:
        """Return the position of the pixels of an asset."""
        return Affine(resolution, 0, self.left, 0, -resolution, self.top)

    def ring(self, width: float, height: float) -> list[list[float]]:
        """Return the footprint in degrees, for a width and a height in metres."""
        right, bottom = self.left + width, self.top - height
        corners = [(self.left, self.top), (self.left, bottom), (right, bottom), (right, self.top)]
        degrees = Transformer.from_crs(self.epsg, 4326, always_xy=True)
        ring = [list(degrees.transform(*corner)) for corner in corners]
        return [*ring, ring[0]]


def digital(seed: int, shape: tuple[int, int] = (60, 60), low: int = 1, high: int = 9000) -> Pixels:
    """Return random digital numbers of reflectance, uint16."""
    return np.random.default_rng(seed).integers(low, high, shape).astype("uint16")


def classes(seed: int, shape: tuple[int, int] = (30, 30), codes: Any = (4, 5, 8, 9)) -> Pixels:
    """Return random classes, uint8."""
    return np.random.default_rng(seed).choice(np.array(codes, "uint8"), shape)


def encoded(driver: str, pixels: Pixels, epsg: int, place: Affine, nodata: float | None) -> bytes:
    """Return a tiled GeoTIFF (``GTiff``), or a lossless JPEG 2000 (``JP2OpenJPEG``).

    The latter states no nodata value: the format has none.
    """
    tiled: Json = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    own = tiled | {"nodata": nodata}
    if driver == "JP2OpenJPEG":
        own = {"QUALITY": "100", "REVERSIBLE": "YES"}
    height, width = pixels.shape
    with MemoryFile(ext=".tif" if driver == "GTiff" else ".jp2") as memory:
        with memory.open(
            driver=driver, width=width, height=height, count=1, dtype=pixels.dtype,
            crs=f"EPSG:{epsg}", transform=place, **own,
        ) as file:  # fmt: skip
            file.write(pixels, 1)
        return bytes(memory.read())
