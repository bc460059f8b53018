"""Products of many files, of which only some headers are read.

An item that states CRS, transform, shape, data type and nodata value tells what a header would. Of
more than `READ_ALL` such items that state the same about values, `SAMPLES` headers are read. If
these are as stated, the others are taken from their items, with what no item states (colours,
classes, sampling) from the first header; otherwise every header is read. Each file is compared
with its item when it is opened for a cube.

Of scenes, each asset is a product, and its items need not state data type and nodata value: all
have those of the headers that are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pystac
from affine import Affine

from stacbuild import nodata
from stacbuild.geo.crs import crs_text, identified, same_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.sources.stac.asset import Data, crs_of, crs_statement
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.scaling import scaling_of
from stacbuild.sources.stac.values import stated_values
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.extensions import HEADER

Json = dict[str, Any]

READ_ALL = 64
"""Number of items up to which every header is read."""

SAMPLES = 8
"""Number of headers that are read of more items."""

# Pixels by which a corner may differ from the file's, as when a file is opened
# (`stacbuild.loading.stated_grid`): by the error of their calculation.
_TOLERANCE = 1e-9
# Fields of an asset that are particular to a file, as prefixes, and to a band's pixels.
_OWN: tuple[str, ...] = (
    *("href", "title", "description", "file:", "proj:", "alternate", "storage:", "auth:"),
    *(
        "updated",
        "created",
        "gsd",
        "raster:spatial_resolution",
        "raster:bands",
        "bands",
        "eo:bands",
        "view:",
    ),
)
_OF_PIXELS = frozenset({"statistics", "histogram", "raster:histogram", "percent", "percentage"})
_CLASSES = "classification:classes"
_NOT_SHARED = ("file:", "updated", SERVED)


def stated_grid(found: Found, data: Data) -> PixelGrid | None:
    """Return the grid that an item states for the pixels of its asset; None if it states none."""
    for fields in (data.content, found.content["properties"]):
        if "proj:transform" in fields or "proj:shape" in fields:
            crs = crs_statement(found, data)
            transform = _numbers(fields.get("proj:transform"), 6, 9)
            shape = _numbers(fields.get("proj:shape"), 2)
            if crs is None or transform is None or shape is None or min(shape) < 1:
                return None
            affine = Affine(*transform[:6])
            if affine.is_degenerate or any(n % 1 for n in shape):
                return None
            try:
                return PixelGrid.from_affine(_text(crs), affine, [int(n) for n in shape])
            except ValueError:
                return None
    return None


# By the text that states the CRS: finding a CRS itself in a cache means to write it as WKT.
@lru_cache(maxsize=64)
def _text(statement: str) -> str:
    return crs_text(identified(crs_of(statement)))


def _numbers(value: Any, *lengths: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) not in lengths:
        return None
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in value):
        return None
    numbers = [float(n) for n in value]
    return numbers if np.isfinite(numbers).all() else None


def product_of(found: Found, data: Data, *, scene: bool = False) -> str | None:
    """Return what an item states about the values of its file; None if that is not complete.

    It is the same text for all files of a product. Scenes need not state data type and nodata
    value, as those of whole providers do not.
    """
    if data.kind != "raster" or stated_grid(found, data) is None:
        return None
    values = stated_values(found, data)
    if not scene and (not values or any("nodata" not in each for each in values)):
        return None
    bands = [
        [_without(band, _OF_PIXELS) for band in stated if isinstance(band, Mapping)]
        for key in ("bands", "raster:bands", "eo:bands")
        if isinstance(stated := data.content.get(key), list)
    ]
    rest = {key: value for key, value in data.content.items() if not key.startswith(_OWN)}
    where = found.collection_location, str(found.collection.get("id"))
    if isinstance(classes := rest.get(_CLASSES), list):
        rest[_CLASSES] = [
            _without(each, _OF_PIXELS) for each in classes if isinstance(each, Mapping)
        ]
    packing = [scaling_of(found, data, each) for each in values or [{}]]
    content = [where, data.key, values, bands, rest, packing]
    return json.dumps(content, sort_keys=True, default=str)


def _without(fields: Mapping[str, Any], keys: frozenset[str]) -> Json:
    return {key: value for key, value in fields.items() if key not in keys}


def spread(count: int) -> list[int]:
    """Return the numbers of `SAMPLES` items, evenly spread, with the first and the last."""
    return sorted({round(number) for number in np.linspace(0, count - 1, SAMPLES)})


def pattern_of(
    samples: Sequence[tuple[Found, Data, pystac.Item, str | None]],
) -> pystac.Asset | None:
    """Return an asset for files whose headers are not read; None if headers have to be read.

    Parameters
    ----------
    samples
        Foreign item, asset, our item by the header, and the signature of the header, None if it
        states more than an item can.
    """
    shared: dict[str, pystac.Asset] = {}
    for found, data, item, header in samples:
        if header is None or not _is_as_stated(found, data, item):
            return None
        asset = item.assets["data"]
        fields = {k: v for k, v in asset.extra_fields.items() if not k.startswith(_NOT_SHARED)}
        pattern = pystac.Asset("", media_type=asset.media_type, extra_fields=fields)
        pattern.extra_fields[HEADER] = header
        content = json.dumps([asset.media_type, pattern.extra_fields], sort_keys=True)
        shared.setdefault(content, pattern)
    return next(iter(shared.values())) if len(shared) == 1 else None


def _is_as_stated(found: Found, data: Data, item: pystac.Item) -> bool:
    """Return whether an item is by its file's header what the foreign item states."""
    fields = item.assets["data"].extra_fields
    stated, own = stated_grid(found, data), PixelGrid.from_properties(item.properties)
    if stated is None or not _same_pixels(stated, own):
        return False
    dtype = np.dtype(fields["data_type"]) if not fields["data_type"].startswith("c") else None
    for each in stated_values(found, data):
        if dtype is None or each["data_type"] != fields["data_type"]:
            return False
        if "nodata" not in each:
            continue
        value = nodata.from_json(each["nodata"])
        if "nodata" not in fields or not _equal(value, nodata.from_json(fields["nodata"])):
            return False
    return True


def _equal(one: nodata.Number, other: nodata.Number) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def _same_pixels(one: PixelGrid, other: PixelGrid) -> bool:
    if one.shape != other.shape or not same_crs(one.crs, other.crs):
        return False
    rows, cols = one.shape
    inverse = ~other.affine
    for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows)):
        at = inverse @ (one.affine @ corner)
        if max(abs(at[0] - corner[0]), abs(at[1] - corner[1])) > _TOLERANCE:
            return False
    return True
