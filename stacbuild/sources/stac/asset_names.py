"""Assets of a foreign item by the names that people know them by.

Catalogs of the same satellite name its assets differently: ``red`` (Earth Search), ``B04`` (the
Planetary Computer), ``B04_10m`` beside ``B04_20m`` and ``B04_60m`` (CDSE). A name is looked up in
this order, and the first that anything matches decides:

1. the key of an asset;
2. a key in another case (``SCL`` for ``scl``);
3. a key followed by a resolution (``B04_10m``);
4. ``eo:common_name`` of an asset's only band;
5. ``name`` of an asset's only band.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stacbuild.errors import StacbuildError
from stacbuild.safe_text import clean
from stacbuild.sources.stac.asset_kind import is_jpeg2000

Json = dict[str, Any]

_SUFFIX = re.compile(r"(.+?)[_-](\d+(?:\.\d+)?)m", re.IGNORECASE)
_BANDS = ("bands", "eo:bands", "raster:bands")
_PICTURES = frozenset({"thumbnail", "overview", "visual"})


def key_of(assets: Mapping[str, Json], name: str, resolution: float | None = None) -> str | None:
    """Return the key of the asset that a name means; None if nothing matches.

    Parameters
    ----------
    assets
        Assets with data, by key.
    resolution
        Pixel size in metres: of several resolutions of an asset, the nearest to it is taken, the
        finer of two that are equally near; without it, the finest.

    Raises
    ------
    StacbuildError
        The name matches several assets that are not the same at several resolutions.
    """
    if name in assets:
        return name
    wanted = name.casefold()
    for matches in _STEPS:
        found = {key: asset for key, asset in assets.items() if matches(key, asset, wanted)}
        # The original in JPEG 2000 may be beside its copy.
        others = {key: asset for key, asset in found.items() if not is_jpeg2000(asset)}
        if found := others or found:
            return _nearest(found, name, resolution)
    return None


def _nearest(found: Mapping[str, Json], name: str, resolution: float | None) -> str:
    if len(found) == 1:
        return next(iter(found))
    sizes = {key: resolution_of(key, asset) for key, asset in found.items()}
    known = {key: size for key, size in sizes.items() if size is not None}
    if len(set(known.values())) < len(found):
        listed = clean(", ".join(sorted(found)))[:300]
        raise StacbuildError(f"{name!r} matches several assets: {listed}; name one of these")
    if resolution is None:
        return min(known, key=lambda key: known[key])
    return min(known, key=lambda key: (abs(known[key] - resolution), known[key]))


def resolution_of(key: str, asset: Json) -> float | None:
    """Return the pixel size of an asset in metres by its key or what it states."""
    if suffix := _SUFFIX.fullmatch(key):
        return float(suffix[2])
    bands = asset.get("raster:bands")
    band = bands[0] if isinstance(bands, list) and bands else None
    stated = (
        asset.get("raster:spatial_resolution"),
        band.get("spatial_resolution") if isinstance(band, dict) else None,
        asset.get("gsd"),
    )
    for value in stated:
        if isinstance(value, int | float) and 0 < value < math.inf:
            return float(value)
    return None


def _by_case(key: str, _asset: Json, wanted: str) -> bool:
    return key.casefold() == wanted


def _by_suffix(key: str, _asset: Json, wanted: str) -> bool:
    found = _SUFFIX.fullmatch(key)
    return found is not None and found[1].casefold() == wanted


def _by_band(*fields: str) -> Callable[[str, Json, str], bool]:
    def matches(_key: str, asset: Json, wanted: str) -> bool:
        roles = asset.get("roles")
        if isinstance(roles, list) and not _PICTURES.isdisjoint(map(str, roles)):
            return False
        return any(
            str(band.get(field, "")).casefold() == wanted
            for band in only_bands(asset)
            for field in fields
        )

    return matches


_STEPS = (_by_case, _by_suffix, _by_band("eo:common_name", "common_name"), _by_band("name"))


def only_bands(asset: Json) -> Iterator[Json]:
    """Yield what an asset states about its only band; nothing if it has several."""
    stated = [bands for key in _BANDS if isinstance(bands := asset.get(key), list)]
    if all(len(bands) <= 1 for bands in stated):
        yield from (band for bands in stated for band in bands if isinstance(band, dict))
        yield {key: value for key, value in asset.items() if key.startswith("eo:")}
