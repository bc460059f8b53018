"""Scale and offset of scenes as they have to be applied, where items state them wrongly or not.

A physical value is scale times number plus offset. Most items state both (``raster:bands`` in
STAC 1.0, ``raster:scale`` and ``raster:offset`` in 1.1), and these are taken. The rules below, in
this order, are the known exceptions; the first that holds decides, and its reason is recorded in
the field `stacbuild:scaling` of the asset.

Sources: Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD) 14.9 and later: a
quantification value of 10000, an offset of -1000 from processing baseline 04.00 on, 1000 for AOT
and WVP, and 0 as the number of no data; USGS LSDS-1619, Landsat Collection 2 Level-2 Product Guide,
table 6-1; HLS Product User Guide 2.0, tables 9 and 10.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stacbuild.sources.stac.asset import Data
from stacbuild.sources.stac.asset_names import only_bands
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.quality import is_quality
from stacbuild.stac.extensions import MASK

Json = dict[str, Any]

_SCALE, _OFFSET = "raster:scale", "raster:offset"
_SHIFTED = "boa_offset_applied"
_WITH_OFFSET = (4, 0)
_REFLECTANCE = re.compile(r"b(\d\d?|8a)", re.IGNORECASE)
_OPTICAL = frozenset(
    {
        *("coastal", "blue", "green", "green05", "yellow", "red", "nir", "nir08", "nir09"),
        *("rededge", "rededge071", "rededge075", "rededge078", "rededge1", "rededge2"),
        *("rededge3", "cirrus", "swir16", "swir22", "pan"),
    }
)
_THERMAL = re.compile(r"lwir(1[12])?|st_b(6|10)|surface_temperature")
_ANGLES = frozenset({"saa", "sza", "vaa", "vza"})


@dataclass(frozen=True)
class Scaling:
    """What to apply: scale and offset; the nodata value if none is stated; and why.

    ``contradicts`` is true if the item states something else, which is then a warning.
    """

    scale: float
    offset: float
    reason: str
    contradicts: bool = False
    nodata: int | None = None


@dataclass(frozen=True)
class _Layer:
    """An asset as the rules see it; scale and offset are None if the item does not state them."""

    properties: Json
    collection: str
    name: str
    bands: frozenset[str]
    quality: bool
    scale: float | None
    offset: float | None

    @property
    def states_none(self) -> bool:
        return self.scale is None and self.offset is None

    @property
    def reflectance(self) -> bool:
        names = {self.name, *self.bands}
        return any(_REFLECTANCE.fullmatch(each) or each in _OPTICAL for each in names)

    @property
    def baseline(self) -> tuple[int, int] | None:
        """Processing baseline of a Sentinel-2 product; None if it is none."""
        stated = self.properties.get("s2:processing_baseline")
        if stated is None and self._is_sentinel2:
            stated = self.properties.get("processing:version")
        found = re.match(r"(\d{1,2})\.(\d{1,2})(?=\D|$)", str(stated or ""))
        return (int(found[1]), int(found[2])) if found else None

    @property
    def _is_sentinel2(self) -> bool:
        names = (self.properties.get(key) for key in ("constellation", "platform"))
        known = any(re.match(r"sentinel[-_ ]?2", str(name), re.IGNORECASE) for name in names)
        return known and "hls" not in self.collection

    @property
    def shift(self) -> str:
        """Name of the property that states whether the pixels hold the offset already."""
        stated = (key for key in self.properties if key.endswith(f":{_SHIFTED}"))
        return next(stated, _SHIFTED)

    @property
    def shifted(self) -> bool | None:
        """Whether the item states that its pixels hold the offset already; None if it does not."""
        value = self.properties.get(self.shift)
        return value if isinstance(value, bool) else None

    @property
    def landsat(self) -> bool:
        correction = str(self.properties.get("landsat:correction", ""))
        number = str(self.properties.get("landsat:collection_number", "02"))
        level = re.search(r"landsat-c2-?l2", self.collection)
        return number == "02" and (bool(level) or correction in ("L2SP", "L2SR"))


def _quality(layer: _Layer) -> Scaling | None:
    if layer.quality and (layer.scale not in (None, 1) or layer.offset not in (None, 0)):
        return Scaling(1, 0, "its pixels are classes or bits, which have no scale", True)
    return None


def _sentinel2(layer: _Layer) -> Scaling | None:
    baseline = layer.baseline
    if baseline is None:
        return None
    if layer.name == "scl":
        return Scaling(1, 0, "0 is no data of the scene classification", nodata=0)
    if layer.quality:
        return None
    if layer.name in ("aot", "wvp"):
        return _sentinel2_atmosphere(layer)
    if not layer.reflectance:
        return None
    version = f"processing baseline {baseline[0]:02}.{baseline[1]:02}"
    later = baseline >= _WITH_OFFSET
    offset = -0.1 if later and layer.shifted is not True else 0.0
    if layer.states_none:
        why = f"its item states none; this is that of {version}"
        if later and layer.shifted:
            why += f", whose offset its pixels hold already ({layer.shift})"
        return Scaling(0.0001, offset, why, nodata=0)
    if layer.scale is not None and layer.offset:
        if layer.shifted:
            reason = f"its pixels hold the offset already ({layer.shift})"
            return Scaling(layer.scale, 0, reason, True)
        if not later:
            return Scaling(layer.scale, 0, f"pixels of {version} have no offset", True)
    if layer.scale is not None and later and layer.shifted is False and not layer.offset:
        reason = f"its pixels do not hold the offset of {version} ({layer.shift} is false)"
        return Scaling(layer.scale, offset, reason, True)
    if layer.scale is not None and later and layer.offset is None and layer.shifted is None:
        reason = f"its item states no offset, though pixels of {version} have one of -0.1 unless "
        return Scaling(layer.scale, 0, f"{reason}it was removed: none is applied", True)
    return None


def _sentinel2_atmosphere(layer: _Layer) -> Scaling | None:
    if layer.states_none:
        return Scaling(0.001, 0, "its item states none; this is that of the product", nodata=0)
    if layer.offset or layer.scale == 0.0001:
        reason = f"scale and offset of {layer.name.upper()} are 0.001 and 0, not those of bands"
        return Scaling(0.001, 0, reason, True)
    return None


def _shifted(layer: _Layer) -> Scaling | None:
    """Also where the product is not known: the statement is about the pixels."""
    if layer.shifted and layer.offset:
        reason = f"its pixels hold the offset already ({layer.shift})"
        return Scaling(1 if layer.scale is None else layer.scale, 0, reason, True)
    return None


def _landsat(layer: _Layer) -> Scaling | None:
    if not layer.landsat or layer.quality or not layer.states_none:
        return None
    reason = "its item states none; this is that of Collection 2 Level 2"
    if any(_THERMAL.fullmatch(each) for each in (layer.name, *layer.bands)):
        return Scaling(0.00341802, 149.0, reason, nodata=0)
    return Scaling(2.75e-05, -0.2, reason, nodata=0) if layer.reflectance else None


def _hls(layer: _Layer) -> Scaling | None:
    if "hls" not in layer.collection or layer.quality or not layer.states_none:
        return None
    reason = "its item states none; this is that of HLS"
    thermal = "l30" in layer.collection and layer.name in ("b10", "b11")
    if thermal or layer.name in _ANGLES:
        return Scaling(0.01, 0, reason)
    return Scaling(0.0001, 0, reason) if layer.reflectance else None


RULES: tuple[Callable[[_Layer], Scaling | None], ...] = (
    _quality,
    _sentinel2,
    _shifted,
    _landsat,
    _hls,
)
"""The exceptions, in the order in which they are tried."""


def scaling_of(found: Found, data: Data, stated: Json) -> Scaling | None:
    """Return scale and offset that differ from what an item states; None if it is right.

    Parameters
    ----------
    stated
        ``raster:scale`` and ``raster:offset`` that the item states for the asset's only band.
    """
    layer = _Layer(
        found.content["properties"],
        str(found.collection.get("id", "")).casefold(),
        re.sub(r"[_-]\d+m$", "", data.key.casefold()),
        frozenset(_band_names(data)),
        is_quality(data),
        stated.get(_SCALE),
        stated.get(_OFFSET),
    )
    known = next((known for rule in RULES if (known := rule(layer))), None)
    same = known and (known.scale, known.offset) == (layer.scale or 1, layer.offset or 0)
    return None if known and same and not known.contradicts and "nodata" in stated else known


def apply(
    found: Found, data: Data, stated: list[Json], *, dtype: np.dtype[Any], own: Json
) -> tuple[list[Json], str | None, str | None]:
    """Return the values of each band with scale and offset corrected; the reason; and a note.

    Parameters
    ----------
    stated
        Values that the item states: of each band, or one for all.
    own
        What the file itself states; its scale is not replaced.
    """
    entry = stated[0]
    known = scaling_of(found, data, entry) if len(stated) == 1 and dtype.kind in "iu" else None
    if known is None:
        return stated, None, None
    packed = own.get(_SCALE, 1) != 1 or own.get(_OFFSET, 0) != 0
    if packed and not known.contradicts:
        return stated, None, None
    changed = entry | {_SCALE: known.scale, _OFFSET: known.offset}
    if known.nodata is not None and MASK not in own and "nodata" not in own:
        changed.setdefault("nodata", known.nodata)
    before, after = (entry.get(_SCALE, 1), entry.get(_OFFSET, 0)), (known.scale, known.offset)
    note = known.reason if known.contradicts else None
    if note and before != after:
        note += (
            f"; its item states scale {before[0]} and offset {before[1]}, but {after[0]} and "
            f"{after[1]} are used"
        )
    if not note and before == after and changed.get("nodata") == entry.get("nodata"):
        return stated, None, None
    return [changed], known.reason, note


def _band_names(data: Data) -> list[str]:
    keys = ("name", "eo:common_name", "common_name")
    return [
        str(band[key]).casefold()
        for band in only_bands(data.content)
        for key in keys
        if isinstance(band.get(key), str)
    ]
