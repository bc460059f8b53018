"""Describe a GeoTIFF as a STAC item; only its header is read.

Fields of STAC 1.1 and of the extensions projection 2.0.0, raster 2.0.0, classification 2.0.0 and
CF 0.2.0. A profile adds metadata: names, units, classes, and the years of bands.
"""

from __future__ import annotations

import copy
import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyproj
import pystac
import rasterio.crs
import rasterio.errors
import rasterio.io
from pyproj.exceptions import CRSError

from stacbuild.config.patterns import Period
from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.geotiff_classes import FileClasses, file_classes
from stacbuild.formats.geotiff_header import check_placed
from stacbuild.formats.geotiff_netcdf import netcdf_tags
from stacbuild.formats.geotiff_sidecars import georeference_hint
from stacbuild.geo.bbox import unskewed
from stacbuild.geo.crs import METRES_PER_DEGREE, crs_text, identified
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.outline import footprint
from stacbuild.profiles import DataProfile
from stacbuild.stac.catalog import DATA_ID, STORE
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.item_time import UNDATED
from stacbuild.stac.projection import projection_fields
from stacbuild.stac.raster_values import (
    band_fields,
    class_fields,
    only_description,
    value_fields,
    year_of,
)

Json = dict[str, Any]

MEDIA_TYPE = "image/tiff; application=geotiff"
JPEG_2000 = "image/jp2"
CLOUD_OPTIMIZED = f"{MEDIA_TYPE}; profile=cloud-optimized"

_CONFIDENCE = 90


def raster_item(
    dataset: rasterio.io.DatasetReader,
    *,
    item_id: str,
    data_id: str,
    store_key: str,
    href: str,
    profile: DataProfile,
    datetime: dt.datetime | None = None,
    period: Period | None = None,
    title: str | None = None,
    asset_fields: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    classes: FileClasses | None = None,
) -> pystac.Item:
    """Describe an open GeoTIFF as an item with the asset ``data``.

    Parameters
    ----------
    dataset
        Open; see `stacbuild.formats.geotiff.open_raster`.
    href
        Href of the asset: a URL, or an absolute local path.
    profile
        Metadata that the file lacks; an empty profile if there is none.
    datetime
        Used if neither profile nor header have a time, for example the time of publication; UTC if
        naive. Without it, the item is undated.
    period
        The period of the item, if it was determined already.
    title
        Title of item and asset if the profile has none; by default the data id. The description of
        a single band has precedence as title of the asset.
    asset_fields, properties
        More asset fields and item properties.
    classes
        Classes of the file and of those beside it; by default those of the file itself.

    Returns
    -------
    pystac.Item
        Without links; ``stac_extensions`` are set.

    Raises
    ------
    IntegrityError
        If the file has no CRS or geotransform, or contradicts its profile.
    """
    times = _of_period(period) if period else _times(dataset, profile, datetime)
    found = file_classes(dataset) if classes is None else classes
    names = Names(item_id, data_id, store_key, href)
    item = _item(names, grid_of(dataset, href), profile, times, title)
    item.properties |= dict(properties or {})
    asset = item.assets["data"]
    asset.title = profile.title or only_description(dataset) or asset.title
    asset.media_type = media_type(dataset)
    asset.extra_fields = {
        **value_fields(dataset, profile),
        **sampling_fields(dataset),
        **class_fields(dataset, profile, found),
        **band_fields(dataset, profile, href, found),
        **(asset_fields or {}),
    }
    declare_extensions(item)
    return item


@dataclass(frozen=True)
class Names:
    """What an item of a source is called, and where its file is."""

    item_id: str
    data_id: str
    store_key: str
    href: str


def stated_item(
    names: Names,
    grid: PixelGrid,
    profile: DataProfile,
    datetime: dt.datetime | None,
    pattern: pystac.Asset,
) -> pystac.Item:
    """Return the item of a GeoTIFF whose header is not read.

    Parameters
    ----------
    grid
        The grid of its pixels, as another catalog states it.
    datetime
        Used if the profile has no time, as in `raster_item`.
    pattern
        The asset of a file of the same product, which has what is not particular to a file.

    Raises
    ------
    IntegrityError
        If the grid is not on the earth.
    """
    item = _item(names, grid, profile, item_times(profile, datetime))
    asset = item.assets["data"]
    asset.media_type = pattern.media_type
    asset.extra_fields = copy.deepcopy(pattern.extra_fields)
    declare_extensions(item)
    return item


def _item(
    names: Names,
    grid: PixelGrid,
    profile: DataProfile,
    times: Mapping[str, dt.datetime | None],
    title: str | None = None,
) -> pystac.Item:
    """Return the item of a raster, with an asset that lacks the metadata of its values."""
    geometry, bbox = _footprint(grid, names.href)
    name = profile.title or title or names.data_id
    item = pystac.Item(
        id=names.item_id,
        geometry=geometry,
        bbox=bbox,
        datetime=times["datetime"],
        start_datetime=times.get("start_datetime"),
        end_datetime=times.get("end_datetime"),
        properties={"title": name, STORE: names.store_key, DATA_ID: names.data_id},
    )
    if profile.description:
        item.properties["description"] = profile.description
    if profile.keywords:
        item.properties["keywords"] = list(profile.keywords)
    item.properties |= _projection(grid)
    asset = pystac.Asset(
        href=names.href, title=name, description=profile.description, roles=["data"]
    )
    item.add_asset("data", asset)
    return item


def item_times(
    profile: DataProfile, published: dt.datetime | None
) -> dict[str, dt.datetime | None]:
    """Return ``datetime`` and, if a period is known, ``start_datetime`` and ``end_datetime``.

    If neither the profile nor *published* gives a time, the item is undated.
    """
    if known := period_of_profile(profile):
        return _of_period(known)
    return _of_period(UNDATED) if published is None else {"datetime": _utc(published)}


def period_of_profile(profile: DataProfile) -> Period | None:
    """Return the period that a profile states: its years, or its start and end."""
    start, end = profile.start_datetime, profile.end_datetime
    if profile.years:
        start, _ = year_of(profile.years.first)
        _, end = year_of(profile.years.first + profile.years.count - 1)
    return Period(_utc(start), _utc(end or start)) if start is not None else None


def _of_period(period: Period) -> dict[str, dt.datetime | None]:
    return {
        "datetime": None if period == UNDATED else period.start,
        "start_datetime": period.start,
        "end_datetime": period.end,
    }


def period_of_header(dataset: rasterio.io.DatasetReader) -> Period | None:
    """Return the period of a GeoTIFF's bands by its netCDF tags; None if they have no times."""
    times = netcdf_tags(dataset).times
    return Period(min(times), max(times)) if times else None


def _times(
    dataset: rasterio.io.DatasetReader, profile: DataProfile, published: dt.datetime | None
) -> dict[str, dt.datetime | None]:
    """Return the times of the profile, else of the header, else *published*."""
    known = period_of_profile(profile) or period_of_header(dataset)
    return _of_period(known) if known else item_times(profile, published)


def grid_of(dataset: rasterio.io.DatasetReader, href: str) -> PixelGrid:
    """Return the grid of an open raster.

    Raises
    ------
    IntegrityError
        If the file has no CRS or geotransform.
    """
    return PixelGrid.from_affine(_crs(dataset, href), dataset.transform, dataset.shape)


def _projection(grid: PixelGrid) -> Json:
    """Return the ``proj:`` fields, with a skew that is only a rounding error removed."""
    fields = projection_fields(grid)
    transform = unskewed(grid.transform, grid.shape) or grid.affine
    return fields | {
        "proj:transform": [_number(value) for value in transform[:6]],
        "proj:bbox": [_number(value) for value in grid.bounds],
    }


def _footprint(grid: PixelGrid, href: str) -> tuple[Json, list[float]]:
    try:
        return footprint(grid)
    except StacbuildError as error:
        raise IntegrityError(f"{href}: {error}") from error


def sampling_fields(dataset: rasterio.io.DatasetReader) -> Json:
    """Return ``raster:sampling`` and ``raster:spatial_resolution`` (approximate for degrees)."""
    point = dataset.tags().get("AREA_OR_POINT", "Area").lower() == "point"
    height = math.hypot(dataset.transform.b, dataset.transform.e)
    factor = METRES_PER_DEGREE if dataset.crs.is_geographic else dataset.crs.linear_units_factor[1]
    return {
        "raster:sampling": "point" if point else "area",
        "raster:spatial_resolution": _number(round(height * factor, 3)),
    }


def media_type(dataset: rasterio.io.DatasetReader) -> str:
    """Return the media type, with the COG profile if the file states that it is one."""
    if dataset.driver == "JP2OpenJPEG":
        return JPEG_2000
    layout = dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
    return CLOUD_OPTIMIZED if layout == "COG" else MEDIA_TYPE


def _crs(dataset: rasterio.io.DatasetReader, href: str) -> str:
    check_placed(dataset, href)
    if not dataset.crs:
        raise IntegrityError(f"{href}: has no coordinate reference system{georeference_hint(href)}")
    if dataset.transform.is_identity:
        raise IntegrityError(f"{href}: has no georeferencing (transform){georeference_hint(href)}")
    try:
        return _identified(_Declared(dataset.crs.to_wkt(version="WKT2_2019"), dataset.crs))
    except (ValueError, CRSError, rasterio.errors.CRSError) as error:
        raise IntegrityError(f"{href}: {' '.join(str(error).split())[:300]}") from error


@dataclass(frozen=True)
class _Declared:
    """A CRS of a file, equal to others with the same text only: rasterio's are if GDAL says so."""

    wkt: str
    crs: rasterio.crs.CRS = field(compare=False)


# Cached, as identifying a CRS takes longer than opening its file, and tiles have few of them.
@lru_cache(maxsize=64)
def _identified(declared: _Declared) -> str:
    # GDAL's search recognises CRS names of other programs; `identified` checks its result.
    code = declared.crs.to_epsg(confidence_threshold=_CONFIDENCE)
    return crs_text(identified(pyproj.CRS.from_wkt(declared.wkt), code))


def _number(value: float) -> int | float:
    """Return a whole number as an integer, for JSON."""
    return int(value) if float(value).is_integer() else float(value)


def _utc(time: dt.datetime) -> dt.datetime:
    return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)
