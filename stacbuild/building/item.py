"""The STAC item of a staged cube, and the collection of its configuration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pystac
import xarray as xr
import zarr
from pystac.utils import datetime_to_str, str_to_datetime

from stacbuild import loading, progress
from stacbuild.building.assets import data_id, describe_assets
from stacbuild.building.rights import cube_collection, license_links, rights
from stacbuild.config.patterns import Period
from stacbuild.formats.cf_flags import legend_of
from stacbuild.planning.fingerprint import software
from stacbuild.stac.catalog import Harvest, cube_id
from stacbuild.stac.extensions import (
    CONFIGURATION,
    FINGERPRINT,
    INPUTS,
    SKIPPED,
    declare_extensions,
)
from stacbuild.stac.item_time import is_undated, time_fields
from stacbuild.stac.scenes import by_item
from stacbuild.stac.zarr_item import zarr_item

if TYPE_CHECKING:
    from stacbuild.pictures.thumbnail import Pictured
    from stacbuild.planning.job import Job
    from stacbuild.storage.output import Staging

# Most titles of sources in the description of a cube; its links name all.
_MOST_TITLES = 5

PICTURES = "stacbuild.pictures.thumbnail"
"""The module that draws thumbnails; imported late, since it is slow to import."""


def cube_item(
    job: Job, staging: Staging, siblings: Sequence[pystac.Item]
) -> tuple[Harvest, Pictured | None]:
    """Return the item of a staged cube, with the hrefs that it will have once published.

    Parameters
    ----------
    siblings
        Items of the other cubes of the configuration, which the collection summarizes.

    Returns
    -------
    Collection, item and thumbnails for `stacbuild.stac.catalog.Catalog.put`; and the cube's
    pictures, None if it could not be drawn.
    """
    dataset, sources = job.dataset, _sources(job)
    pictured = None
    group = zarr.open_group(staging.store, mode="r")
    # Without dask, which would make a task for every chunk.
    with xr.open_zarr(
        staging.store, chunks=None, mask_and_scale=False, decode_timedelta=False
    ) as cube:
        item = zarr_item(
            group,
            cube,
            item_id=cube_id(dataset.identifier),
            data_id=data_id(dataset),
            store_key=job.output.storage.key,
            href=staging.href,
            datetime=_period(sources),
            properties=_properties(job, cube, sources, staging.started)
            | {FINGERPRINT: job.fingerprint, INPUTS: job.inputs},
        )
        try:
            pictured = import_module(PICTURES).picture(cube)
        except Exception as error:  # noqa: BLE001 - a cube is complete without a thumbnail
            progress.warn(f"{dataset.identifier}: no thumbnail: {' '.join(str(error).split())}")
    if (known := _period(sources)) is not None:
        stated = time_fields(known)
        if len(cube.indexes.get("time", ())) == 0:
            item.properties |= stated
        # The time steps of a cube are starts of periods; the last one ends when its source ends.
        last = max(item.properties["end_datetime"], stated["end_datetime"])
        item.properties["end_datetime"] = last
    describe_assets(item, dataset, staging, group, cube)
    # Once for each scene, whatever the number of its assets.
    for source, *_ in by_item(sources).values():
        title = source.properties.get("title", source.id)
        path = str(Path(source.self_href))
        item.add_link(pystac.Link("derived_from", path, pystac.MediaType.GEOJSON, title))
    item.add_links(license_links(job.collections))
    _add_classes(item, cube)
    thumbnails = {}
    if pictured and pictured.pngs:
        png = pictured.pngs[pictured.telling[0]]
        thumbnails = {item.id: png, job.output.collection: png}
        _add_renders(item, pictured)
    declare_extensions(item)
    if job.output.stated_configuration is not None:
        item.properties[CONFIGURATION] = job.output.stated_configuration
    collection = cube_collection(job.output, [item, *siblings])
    return Harvest(collection, (item,), thumbnails), pictured


def _sources(job: Job) -> list[pystac.Item]:
    """Return the items that the cube is made of, without scenes that lie beneath no pixel."""
    return [
        item
        for source in job.sources
        for item in loading.used_items(source.variable, source.items, job.grid)
    ]


def _properties(
    job: Job, cube: xr.Dataset, sources: Sequence[pystac.Item], now: dt.datetime
) -> dict[str, Any]:
    collections = job.collections
    names = ", ".join(str(name) for name in cube.data_vars)
    titles = "; ".join(collection.title for collection in collections[:_MOST_TITLES])
    if len(collections) > _MOST_TITLES:
        titles += f" and {len(collections) - _MOST_TITLES} more"
    more = f" and {len(collections) - 1} more" if len(collections) > 1 else ""
    count = len(by_item(sources))
    made_from = "1 source item" if count == 1 else f"{count} source items"
    skipped = [asdict(each) for each in job.skipped]
    return {
        **({SKIPPED: skipped} if skipped else {}),
        "title": f"{job.name}: {collections[0].title}{more}",
        "description": f"Cube of {names} on one grid, made from: {titles}.",
        **rights(collections),
        "created": datetime_to_str(now),
        "processing:software": software(),
        "processing:datetime": datetime_to_str(now),
        "processing:lineage": f"{made_from} put on the grid {job.grid.name} by stacbuild",
        "processing:expression": {"format": "stacbuild-config", "expression": job.expression},
    }


def _period(sources: Sequence[pystac.Item]) -> Period | None:
    """Return the period of the sources that have one; None if none has."""
    dated = [item for item in sources if not is_undated(item.properties)]
    if not dated:
        return None
    # Sets, as tiles have few times, and parsing them takes longer than all else.
    starts = map(str_to_datetime, {_time(item, "start_datetime") for item in dated})
    ends = map(str_to_datetime, {_time(item, "end_datetime") for item in dated})
    return Period(min(starts), max(ends))


def _time(item: pystac.Item, key: str) -> str:
    value = item.properties.get(key) or item.properties.get("datetime")
    return str(value) if value else datetime_to_str(item.datetime)  # type: ignore[arg-type]


def _add_renders(item: pystac.Item, pictured: Pictured) -> None:
    """Add how the cube's variables are drawn, and statistics of their values."""
    item.properties["renders"] = pictured.renders
    for name, found in pictured.statistics.items():
        item.properties["cube:variables"][name]["statistics"] = found
    if len(pictured.statistics) == 1:
        item.assets["data"].extra_fields["statistics"] = next(iter(pictured.statistics.values()))


def _add_classes(item: pystac.Item, cube: xr.Dataset) -> None:
    """Add the CF flags of the cube as classes of the STAC classification extension."""
    for name, array in cube.data_vars.items():
        if legend := legend_of(array.attrs):
            classes: list[dict[str, Any]] = [
                {"value": value, "name": meaning} for value, meaning in legend.items()
            ]
            colors = str(array.attrs.get("flag_colors", "")).split()
            for each, color in zip(classes, colors, strict=False):
                each["color_hint"] = color.lstrip("#").upper()
            item.properties["cube:variables"][str(name)]["classification:classes"] = classes
