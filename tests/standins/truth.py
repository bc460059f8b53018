"""What every pixel of the stand-in sources holds, as a function of source row, column and band.

Rows and columns count from the upper left corner of a layer's ``grid``, bands from 1 as in GDAL.
All functions take integer arrays that broadcast against each other, and return the layer's dtype.
The values only look like the real ones: patchy classes, noisy percentages, plausible ages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Box = tuple[float, float, float, float]

FIRST_YEAR = 1985
YEARS = 39


def noise(seed: int, *axes: ArrayLike) -> NDArray[np.uint32]:
    """Evenly spread 32-bit numbers that depend on nothing but the seed and the integer axes."""
    mixed = np.asarray(seed * 0x9E3779B1 & 0xFFFFFFFF, np.uint32)
    with np.errstate(over="ignore"):
        for axis in axes:
            # The finaliser of MurmurHash3, applied after each axis is folded in.
            mixed = (mixed ^ np.asarray(axis).astype(np.uint32)) * np.uint32(0x85EBCA6B)
            mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
            mixed = mixed ^ (mixed >> np.uint32(16))
    return mixed


def _patch(seed: int, size: int, row: ArrayLike, col: ArrayLike) -> NDArray[np.uint32]:
    return noise(seed, np.asarray(row) // size, np.asarray(col) // size)


# --- European Forest Disturbance Atlas -----------------------------------------------------------


def outside(row: ArrayLike, col: ArrayLike) -> NDArray[np.bool_]:
    """Where the atlas has no data (255 in the layers that have a nodata code)."""
    return np.asarray(_patch(1, 64, row, col) % 17 == 0)


def _forest(row: ArrayLike, col: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(_patch(2, 24, row, col) % 100 < 75) & ~outside(row, col)


def _events(row: ArrayLike, col: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Bands of up to two disturbances of a pixel (0: none), and the agent of each."""
    forest = _forest(row, col)
    first = _patch(3, 12, row, col) % 60 + 1
    second = _patch(4, 9, row, col) % 120 + 1
    first = np.where(forest & (first <= YEARS), first, 0)
    second = np.where(forest & (second <= YEARS) & (second != first), second, 0)
    return first, second, _patch(5, 12, row, col) % 3 + 1, _patch(6, 9, row, col) % 3 + 1


def annual_disturbances(row: ArrayLike, col: ArrayLike, band: ArrayLike) -> Array:
    first, second, _, _ = _events(row, col)
    disturbed = (first == band) | (second == band)
    return np.where(outside(row, col), 255, disturbed).astype(np.uint8)


def disturbance_agent(row: ArrayLike, col: ArrayLike, band: ArrayLike) -> Array:
    first, second, agent1, agent2 = _events(row, col)
    agent = np.where(first == band, agent1, np.where(second == band, agent2, 0))
    return np.where(outside(row, col), 255, agent).astype(np.uint8)


def disturbance_probability(row: ArrayLike, col: ArrayLike, band: ArrayLike) -> Array:
    return np.where(outside(row, col), 255, noise(7, row, col, band) % 101).astype(np.uint8)


def disturbance_severity(row: ArrayLike, col: ArrayLike, band: ArrayLike) -> Array:
    first, second, _, _ = _events(row, col)
    disturbed = (first == band) | (second == band)
    severity = np.where(disturbed, noise(8, row, col, band) % 100 + 1, 0)
    return np.where(outside(row, col), 255, severity).astype(np.uint8)


def disturbance_agent_aggregated(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    first, second, agent1, agent2 = _events(row, col)
    both = (first > 0) & (second > 0)
    agent = np.where(first > 0, agent1, np.where(second > 0, agent2, 0))
    agent = np.where(both & (agent1 != agent2), 4, agent)
    return np.where(outside(row, col), 255, agent).astype(np.uint8)


def forest_mask(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    return _forest(row, col).astype(np.uint8)


def greatest_disturbance(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    first, second, _, _ = _events(row, col)
    chosen = np.where(first > 0, first, second)
    return np.where(chosen > 0, chosen + (FIRST_YEAR - 1), 0).astype(np.uint16)


def latest_disturbance(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    first, second, _, _ = _events(row, col)
    chosen = np.maximum(first, second)
    return np.where(chosen > 0, chosen + (FIRST_YEAR - 1), 0).astype(np.int16)


def number_disturbances(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    first, second, _, _ = _events(row, col)
    return ((first > 0).astype(np.uint8) + (second > 0)).astype(np.uint8)


# --- Canopy height and biomass map for Europe ----------------------------------------------------


def _stand(row: ArrayLike, col: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(_patch(20, 40, row, col) % 100 < 80)


def agb(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    """Aboveground biomass in kg a 30 m pixel, in steps of 0.5 that float32 holds exactly."""
    mass = (_patch(21, 8, row, col) % 40000 + noise(22, row, col) % 2000 + 1) * 0.5
    return np.where(_stand(row, col), mass, 0).astype(np.float32)


def canopy_height(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    """Height in m, in steps of 1/16 that float32 holds exactly."""
    height = (_patch(23, 8, row, col) % 500 + noise(24, row, col) % 60 + 16) / 16
    return np.where(_stand(row, col), height, 0).astype(np.float32)


def canopy_cover(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    cover = _patch(25, 8, row, col) % 80 + noise(26, row, col) % 20 + 1
    return np.where(_stand(row, col), cover, 0).astype(np.uint8)


# --- CLMS High Resolution Layers 2015 ------------------------------------------------------------


def tree_cover_density(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    density = _patch(30, 10, row, col) % 70 + noise(31, row, col) % 30 + 1
    density = np.where(_patch(32, 30, row, col) % 3 == 0, 0, density)
    density = np.where(_patch(33, 16, row, col) % 61 == 0, 254, density)
    return np.where(_patch(34, 100, row, col) % 23 == 0, 255, density).astype(np.uint8)


def dominant_leaf_type(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    density = tree_cover_density(row, col)
    leaf = np.where(density > 0, _patch(35, 14, row, col) % 2 + 1, 0)
    return np.where(density >= 254, density, leaf).astype(np.uint8)


def forest_type(row: ArrayLike, col: ArrayLike, band: ArrayLike = 1) -> Array:
    leaf = dominant_leaf_type(row, col)
    # Forest needs more than 10 % of cover.
    sparse = tree_cover_density(row, col) <= 10
    return np.where(sparse, 0, leaf).astype(np.uint8)


# --- GAMI ----------------------------------------------------------------------------------------


def forest_age(
    row: ArrayLike, col: ArrayLike, member: ArrayLike = 0, time: ArrayLike = 0
) -> NDArray[np.int16]:
    """Age in years of ``member`` (0 … 19) at ``time`` (0: 2010, 1: 2020)."""
    age = (_patch(40, 6, row, col) % 270 + 1 + noise(41, row, col, member) % 20).astype(np.int32)
    felled = _patch(42, 5, row, col) % 11 == 0
    later = np.where(felled, _patch(43, 5, row, col) % 10 + 1, age + 10)
    age = np.where(np.asarray(time) == 0, age, later)
    return np.where(_patch(44, 30, row, col) % 6 == 0, -9999, age).astype(np.int16)


# --- where the layers lie ------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """North-up pixel grid of a source."""

    epsg: int
    left: float
    top: float
    res: float
    width: int
    height: int

    @property
    def bounds(self) -> Box:
        """Outer edges (west, south, east, north) in the CRS."""
        right, bottom = self.left + self.width * self.res, self.top - self.height * self.res
        return self.left, bottom, right, self.top

    def rows_cols(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of the pixel that holds each point, given in the grid's CRS."""
        row = np.floor((self.top - np.asarray(y, float)) / self.res).astype(np.int64)
        col = np.floor((np.asarray(x, float) - self.left) / self.res).astype(np.int64)
        return row, col


FRANCE = Grid(3035, 3_210_000, 3_140_010, 30, 36_000, 36_000)
# The published size; the origin is chosen so that the bounds round to the published ones.
EUROPE = Grid(3035, 2_555_100, 5_820_000, 30, 170_397, 149_363)
# The package E30N20: 10 x 10 tiles of 100 km.
E30N20 = Grid(3035, 3_000_000, 3_000_000, 20, 50_000, 50_000)
GLOBE = Grid(4326, -180, 90, 360 / 405_000, 405_000, 202_500)


@dataclass(frozen=True)
class Layer:
    """One variable of one source: where it is found, and what it holds."""

    source: str  # "senf", "liu", "clms" or "gami": the dataset of the demo that uses it
    variable: str
    data_id: str
    grid: Grid
    dtype: str
    bands: int
    nodata: int | None  # as tagged in the file
    value: Callable[..., Array]
    masked: tuple[int, ...] = ()  # codes that mean "no data", tagged or not
    unit: str | None = None

    @property
    def file_name(self) -> str:
        """Last part of the data id, with ``.tif`` or ``.zarr`` as the source has it."""
        return self.data_id.rpartition("/")[2].rpartition("|")[2]

    @property
    def fill(self) -> int:
        """What is read where the source holds no data: the tagged nodata, else 0."""
        return 0 if self.nodata is None else self.nodata

    def value_at(self, x: ArrayLike, y: ArrayLike, *bands: ArrayLike) -> Array:
        """Value of the pixel that holds each point (x, y) of the layer's CRS."""
        row, col = self.grid.rows_cols(x, y)
        return self.value(row, col, *bands)


def _senf(
    name: str, value: Callable[..., Array], dtype: str, nodata: int | None, bands: int = 1
) -> Layer:
    data_id = f"france/{name}_1985_2023_france.tif" if bands > 1 else f"france/{name}_france.tif"
    masked = () if nodata is None else (nodata,)
    return Layer("senf", name, data_id, FRANCE, dtype, bands, nodata, value, masked)


def _liu(
    name: str, value: Callable[..., Array], dtype: str, nodata: int | None, unit: str
) -> Layer:
    masked = () if nodata is None else (nodata,)
    data_id = f"planet_{name}_30m_v0.1.tif"
    return Layer("liu", name, data_id, EUROPE, dtype, 1, nodata, value, masked, unit)


def _clms(name: str, code: str, value: Callable[..., Array], nodata: int | None) -> Layer:
    data_id = f"{name.replace('_', '-')}-2015|{code}_E30N20"
    return Layer("clms", name, data_id, E30N20, "uint8", 1, nodata, value, (254, 255))


LAYERS: tuple[Layer, ...] = (
    _senf("annual_disturbances", annual_disturbances, "uint8", 255, YEARS),
    _senf("disturbance_agent", disturbance_agent, "uint8", 255, YEARS),
    _senf("disturbance_probability", disturbance_probability, "uint8", 255, YEARS),
    _senf("disturbance_severity", disturbance_severity, "uint8", 255, YEARS),
    _senf("disturbance_agent_aggregated", disturbance_agent_aggregated, "uint8", 255),
    _senf("forest_mask", forest_mask, "uint8", None),
    _senf("greatest_disturbance", greatest_disturbance, "uint16", None),
    _senf("latest_disturbance", latest_disturbance, "int16", None),
    _senf("number_disturbances", number_disturbances, "uint8", None),
    _liu("agb", agb, "float32", None, "kg per pixel"),
    _liu("canopy_cover", canopy_cover, "uint8", None, "%"),
    _liu("canopy_height", canopy_height, "float32", 0, "m"),
    _clms("tree_cover_density", "TCD_2015_020m_eu_03035_d05", tree_cover_density, 255),
    _clms("dominant_leaf_type", "DLT_2015_020m_eu_03035_d04", dominant_leaf_type, 255),
    _clms("forest_type", "FTY_2015_020m_eu_03035_d04", forest_type, None),
    Layer(
        "gami",
        "forest_age",
        "collections/GAMI/GAMI_v2.1.zarr",
        GLOBE,
        "int16",
        1,
        -9999,
        forest_age,
        (-9999,),
        "years",
    ),
)


def layer(variable: str) -> Layer:
    """Layer of that variable name."""
    return next(each for each in LAYERS if each.variable == variable)


def layers(source: str) -> tuple[Layer, ...]:
    """Layers of "senf", "liu", "clms" or "gami"."""
    return tuple(each for each in LAYERS if each.source == source)
