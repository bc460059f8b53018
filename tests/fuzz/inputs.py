"""What the generators share: chance, places on the earth, and what an input holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

T = TypeVar("T")
Json = dict[str, Any]
# Most traits of an input are plain: one that has all the odd ones would be refused for the first.
PLAIN = 0.65
METRES_A_DEGREE = 111_320.0


class Chance:
    """All randomness of one input, from its seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([20201127, seed])

    def of(self, choices: Sequence[T]) -> T:
        """Return one of *choices*, each as likely."""
        return choices[int(self.rng.integers(len(choices)))]

    def happens(self, probability: float) -> bool:
        """Return True with this *probability*."""
        return bool(self.rng.random() < probability)

    def rarely(self, plain: T, others: Sequence[T], probability: float = 1 - PLAIN) -> T:
        """Return *plain* mostly, else one of the *others*."""
        return self.of(others) if self.happens(probability) else plain

    def between(self, low: float, high: float) -> float:
        """Return a float between two."""
        return float(self.rng.uniform(low, high))


@dataclass(frozen=True)
class Layer:
    """One variable of an input: what is stored, and how it is decoded.

    Parameters
    ----------
    raw
        Stored values, rows and columns last, row 0 and column 0 first.
    missing
        Where there is no data, of the same shape.
    dims
        Of the dimensions before rows and columns.
    scale, offset
        Numbers, or one for each position of the first dimension.
    unit
        None if not stated; a list where each band has its own.
    classes
        Whether values are classes, which are never interpolated.
    """

    raw: NDArray[Any]
    missing: NDArray[np.bool_]
    dims: tuple[str, ...] = ()
    scale: Any = 1.0
    offset: Any = 0.0
    unit: str | list[str] | None = None
    classes: bool = False

    @property
    def decoded(self) -> NDArray[np.float64]:
        """Values as float64, NaN where there is no data."""
        shape = (-1,) + (1,) * (self.raw.ndim - 1) if np.ndim(self.scale) else ()
        scale, offset = (np.asarray(each, "f8") for each in (self.scale, self.offset))
        if shape:
            scale, offset = scale.reshape(shape), offset.reshape(shape)
        values = self.raw.astype("f8") * scale + offset
        return np.where(self.missing, np.nan, values)


@dataclass(frozen=True)
class Input:
    """What lies in ``src`` and what it means.

    Parameters
    ----------
    name
        The data id.
    crs, transform
        Of the pixels; the transform is from column and row of a pixel's corner to x and y.
    layers
        By the name of the variable.
    traits
        What was chosen, for reports.
    times
        Along ``time``; None if there is no such dimension.
    reasons
        Kinds of refusal that are honest for this input; see `tests.fuzz.judge`.
    params
        Keys of the dataset's configuration that this input needs.
    """

    name: str
    crs: pyproj.CRS
    transform: Affine
    layers: dict[str, Layer]
    traits: Json
    times: NDArray[np.datetime64] | None = None
    reasons: frozenset[str] = frozenset()
    params: Json = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        layer = next(iter(self.layers.values()))
        return layer.raw.shape[-2], layer.raw.shape[-1]


@dataclass(frozen=True)
class Place:
    """A CRS and the longitudes and latitudes where it is used."""

    definition: str
    lon: tuple[float, float]
    lat: tuple[float, float]


EARTH = (-170.0, 170.0)
EUROPE = ((2.0, 22.0), (42.0, 58.0))
PLACES = {
    "4326": Place("EPSG:4326", EARTH, (-80, 80)),
    "3035": Place("EPSG:3035", *EUROPE),
    "utm": Place("EPSG:32632", (7, 11), (10, 75)),
    "utm south": Place("EPSG:32755", (145, 149), (-60, -10)),
    "3857": Place("EPSG:3857", EARTH, (-70, 70)),
    "polar north": Place("EPSG:3413", (-180, 180), (62, 90)),
    "polar south": Place("EPSG:3031", (-180, 180), (-90, -62)),
    "etrs89": Place("EPSG:4258", *EUROPE),
    "feet": Place("EPSG:2263", (-74.5, -73.5), (40.2, 41)),
    "lv95": Place("EPSG:2056", (6.5, 9.5), (46, 47.5)),
    "ease": Place("EPSG:6933", EARTH, (-70, 70)),
    "albers": Place("+proj=aea +lat_1=30 +lat_2=60 +lat_0=45 +lon_0=10 +ellps=GRS80", *EUROPE),
    "laea": Place("+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84", *EUROPE),
    "laea km": Place("+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84 +units=km", *EUROPE),
    "mollweide": Place("+proj=moll +lon_0=0 +datum=WGS84", (-120, 120), (-60, 60)),
    "sinusoidal": Place("+proj=sinu +lon_0=0 +R=6371007.181", (-120, 120), (-60, 60)),
    "geographic sphere": Place("+proj=longlat +R=6371229", EARTH, (-70, 70)),
    "paris": Place("+proj=longlat +ellps=clrk80ign +pm=paris", *EUROPE),
    "grads": Place("EPSG:4807", (-3, 7), (43, 50)),
    "ferro": Place("+proj=longlat +datum=WGS84 +pm=ferro", *EUROPE),
    "compound": Place("EPSG:9707", EARTH, (-70, 70)),
    "compound metres": Place("EPSG:25832+5783", (7, 11), (48, 54)),
    "3-D": Place("EPSG:4979", EARTH, (-70, 70)),
}
ROTATED = Place(
    "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84", *EUROPE
)


def horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the part of a CRS that a grid can lie in."""
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    return crs.to_2d() if len(crs.axis_info) == 3 else crs


def unit_length(crs: pyproj.CRS) -> float:
    """Return about how many metres a unit of *crs* is long."""
    first = horizontal(crs).axis_info[0]
    if first.unit_name in ("metre", "kilometre", "US survey foot", "foot"):
        return float(first.unit_conversion_factor)
    return float(np.degrees(first.unit_conversion_factor)) * METRES_A_DEGREE


@dataclass(frozen=True)
class Site:
    """A point of a CRS, and how large a pixel is there."""

    crs: pyproj.CRS
    x: float
    y: float
    step: float


def site(chance: Chance, place: Place) -> Site:
    """Return a point of a *place*."""
    crs = pyproj.CRS.from_user_input(place.definition)
    flat = horizontal(crs)
    to = pyproj.Transformer.from_crs("EPSG:4326", flat, always_xy=True)
    x, y = to.transform(chance.between(*place.lon), chance.between(*place.lat))
    metres = chance.of([1000.0, 5000.0, 20000.0, 50000.0])
    step = float(f"{metres / unit_length(flat):.2g}")
    # On whole pixels mostly, as products are; some lie anywhere.
    if chance.happens(0.7):
        x, y = round(x / step) * step, round(y / step) * step
    return Site(crs, float(f"{x:.9g}"), float(f"{y:.9g}"), step)


def surface(chance: Chance, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a smooth field from 0 to 1 with a little noise, so that neighbours differ."""
    rows, cols = np.meshgrid(np.arange(shape[-2]), np.arange(shape[-1]), indexing="ij")
    a, b = chance.between(0.02, 0.1), chance.between(0.02, 0.1)
    phase = np.arange(int(np.prod(shape[:-2], dtype=int))).reshape(*shape[:-2], 1, 1)
    waves = 0.5 + 0.25 * np.sin(a * rows + phase) + 0.2 * np.cos(b * cols - 2 * phase)
    return np.clip(waves + chance.rng.uniform(-0.05, 0.05, shape), 0, 1)


def scatter(chance: Chance, shape: tuple[int, ...], part: float) -> NDArray[np.bool_]:
    """Return some pixels of a block, and some anywhere."""
    where = chance.rng.random(shape) < part / 2
    top, left = (int(chance.rng.integers(0, n)) for n in shape[-2:])
    where[..., top : top + shape[-2] // 3, left : left + shape[-1] // 3] = True
    return where


def spread(
    chance: Chance, dtype: np.dtype[Any], values: NDArray[np.float64], span: str
) -> NDArray[Any]:
    """Bring values from 0 to 1 to a *dtype*: ``few`` numbers, its ``full`` range, or ``some``."""
    if dtype.kind == "b":
        return np.asarray(values > 0.5)
    if dtype.kind == "c":
        return (values + 1j * values).astype(dtype)
    if dtype.kind == "f":
        low, high = {"few": (0, 8), "full": (-6e4, 6e4), "some": (-50, 300)}[span]
        found = low + values * (high - low)
        return (np.floor(found) if span == "few" else found).astype(dtype)
    info = np.iinfo(dtype)
    if span == "few":
        return np.floor(values * 8).astype(dtype)
    if span == "some":
        low, high = max(info.min, -1000), min(info.max, 10_000) - 1
        return np.floor(low + values * (high - low)).astype(dtype)
    if info.bits == 64:
        # Beyond what a double tells apart.
        found = np.floor(values * 2**40).astype(dtype)
        return found + dtype.type(info.max - 2**41)
    return np.floor(info.min + values * (float(info.max) - info.min)).astype(dtype)


def new_folder(folder: Path) -> Path:
    """Return the folder of sources, made."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    return folder / "src"
