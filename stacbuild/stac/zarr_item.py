"""Describe a Zarr dataset as a STAC item; only metadata and coordinates are read.

Fields of the Zarr extension 1.1.0, the projection extension 2.0.0 and, by
`stacbuild.stac.datacube`, the datacube extension 2.3.0.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pystac
import xarray as xr
import zarr
from pystac.utils import str_to_datetime

from stacbuild.config.patterns import Period
from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.array_store import ArrayStore
from stacbuild.formats.zarr_grid import grid_of, on_other_grids
from stacbuild.formats.zarr_members import outdated
from stacbuild.formats.zarr_store import HIDDEN, MEDIA_TYPE, NOTES, is_consolidated
from stacbuild.formats.zarr_values import values_of
from stacbuild.geo.outline import footprint
from stacbuild.profiles import DataProfile
from stacbuild.stac.catalog import DATA_ID, STORE
from stacbuild.stac.data_href import GROUP
from stacbuild.stac.datacube import (
    LEFT_OUT,
    OTHER_GRID,
    cube_dimensions,
    cube_variables,
    text_of,
    time_of,
    utc,
)
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.item_time import time_fields
from stacbuild.stac.projection import projection_fields

Json = dict[str, Any]

__all__ = ["cube_dimensions", "cube_variables", "period", "zarr_item"]

_NO_PROFILE = DataProfile()


def zarr_item(
    group: zarr.Group,
    ds: xr.Dataset,
    *,
    item_id: str,
    data_id: str,
    store_key: str,
    href: str,
    profile: DataProfile = _NO_PROFILE,
    datetime: Period | dt.datetime | None = None,
    properties: Json | None = None,
    warn: Callable[[str], None] | None = None,
) -> pystac.Item:
    """Describe a Zarr group as a STAC item with the asset ``data``.

    Parameters
    ----------
    group, ds
        The group and its dataset, from `stacbuild.formats.zarr_store`.
    item_id, data_id, store_key
        Identity of the item in the catalog.
    href
        Href of the asset: a URL without credentials or an absolute local path, of a NetCDF or HDF5
        file without the group in it.
    profile
        Metadata that the store lacks.
    datetime
        Time or period, used if neither profile nor store have one; UTC if naive. Without it, the
        item is undated.
    properties
        More item properties.
    warn
        Called with a line for each contradiction in the metadata of the store or its profile.

    Raises
    ------
    StacbuildError
        If the grid (see `stacbuild.formats.zarr_grid.grid_of`) cannot be determined.
    """
    with naming(ds, href):
        grid = grid_of(ds, profile.bbox)
        geometry, bbox = footprint(grid)
        known = period(ds, profile)
        dimensions = cube_dimensions(ds, grid)
    if warn is not None:
        for note in grid.notes:
            warn(f"{href}: {note}")
        if odd := ds.encoding.get(NOTES):
            more = f"; and {len(odd) - 5} more" if len(odd) > 5 else ""
            warn(f"{href}: left out: its {'; its '.join(odd[:5])}{more}")
        if Path(href).is_absolute() and (
            notes := outdated(group.store, group.metadata.zarr_format)
        ):
            more = f" and {len(notes) - 5} more" if len(notes) > 5 else ""
            warn(
                f"{href}: its consolidated metadata, which are used, {'; '.join(notes[:5])}{more}; "
                "bring them up to date with zarr.consolidate_metadata"
            )
    if isinstance(datetime, dt.datetime):
        datetime = Period(utc(datetime), utc(datetime))
    times = time_fields(Period(*known) if known else datetime)
    variables = cube_variables(ds, profile)
    for name, dims in on_other_grids(ds, grid).items():
        if variables.get(name, {}).get("type") == "data":
            reason = f"{OTHER_GRID} ({dims}) than the one that is taken ({grid.y}, {grid.x})"
            variables[name].setdefault(LEFT_OUT, reason)
    title = profile.title or text_of(ds.attrs, "title", "product_name") or data_id
    item = pystac.Item(
        id=item_id,
        geometry=geometry,
        bbox=bbox,
        datetime=times.pop("datetime") and str_to_datetime(times["start_datetime"]),
        properties={
            "title": title,
            STORE: store_key,
            DATA_ID: data_id,
            **times,
            **projection_fields(grid),
            "cube:dimensions": dimensions,
            "cube:variables": variables,
        },
    )
    if text := profile.description or text_of(ds.attrs, "summary", "description", "comment"):
        item.properties["description"] = text
    if profile.keywords:
        item.properties["keywords"] = list(profile.keywords)
    item.properties |= properties or {}
    asset = pystac.Asset(href, title=title, roles=["data"])
    if isinstance(group.store, ArrayStore):
        asset.media_type = group.store.media_type
        if inner := group.store.group:
            asset.extra_fields[GROUP] = inner
    else:
        asset.media_type = MEDIA_TYPE
        asset.extra_fields |= {
            "zarr:zarr_format": group.metadata.zarr_format,
            "zarr:consolidated": is_consolidated(group),
            "zarr:node_type": "group",
        }
        # The root of the store, which may be above the group (STAC best practices for Zarr).
        root = re.match(r".*?\.zarr(?=/|$)", href)
        item.add_link(pystac.Link("store", root.group() if root else href, MEDIA_TYPE, title))
    if parameters := [
        each for field in variables.values() for each in field.get("cf:parameter", ())
    ]:
        asset.extra_fields["cf:parameter"] = parameters
    item.add_asset("data", asset)
    declare_extensions(item)
    return item


@contextmanager
def naming(ds: xr.Dataset, href: str) -> Iterator[None]:
    """Add the store and the omitted variables to the message of an error in the context."""
    try:
        yield
    except StacbuildError as error:
        hidden = ds.encoding.get(HIDDEN, {}).items()
        also = "".join(f"; {name} {each.reason}" for name, each in hidden)
        # As for rasters: metadata are missing or invalid.
        kind = IntegrityError if type(error) is StacbuildError else type(error)
        raise kind(f"{href}: {error}{also}") from error


def period(
    ds: xr.Dataset, profile: DataProfile = _NO_PROFILE
) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the first and last time of *ds* in UTC, or None if unknown.

    Sources, in order of precedence: the profile; temporal coordinates with at most one dimension
    (missing times are ignored); the attributes ``time_coverage_start`` and ``time_coverage_end``
    (ACDD 1.3).
    """
    if profile.start_datetime:
        return utc(profile.start_datetime), utc(profile.end_datetime or profile.start_datetime)
    times = [
        known
        for name in ds.coords
        if ds[name].ndim <= 1 and np.issubdtype(ds[name].dtype, np.datetime64)
        if len(known := pd.DatetimeIndex(values_of(str(name), ds[name]).ravel()).dropna())
    ]
    if times:
        return min(time_of(index.min()) for index in times), max(
            time_of(index.max()) for index in times
        )
    start = text_of(ds.attrs, "time_coverage_start")
    end = text_of(ds.attrs, "time_coverage_end") or start
    if not start or not end:
        return None
    try:
        ends = pd.Timestamp(start), pd.Timestamp(end)
        if any(pd.isna(each) for each in ends):
            raise ValueError(f"{start}, {end}")
        return time_of(ends[0]), time_of(ends[1])
    except ValueError as error:
        raise StacbuildError(
            f"attribute time_coverage_start or _end is not a time: {error}"
        ) from error


def undecoded_times(ds: xr.Dataset) -> list[str]:
    """Return a line about the dimension ``time`` if it has several numbers that are no dates."""
    if "time" not in ds.coords or any(
        np.issubdtype(each.dtype, np.datetime64) for each in ds.coords.values()
    ):
        return []
    times = ds["time"]
    if times.dims != ("time",) or times.size < 2 or times.dtype.kind not in "iuf":
        return []
    units = text_of(times.attrs, "units")
    stated = f"the unit {units!r}" if units else "no unit"
    return [
        (
            f"time is {times.values[0]}, {times.values[1]}, ... with {stated}, and not one such as "
            "'days since 2000-01-01', so the cube has these numbers and no dates; write dates "
            "into the file, or assign them by custom_processing"
        )
    ]
