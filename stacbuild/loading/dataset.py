"""Load the items of a data id as a lazy dataset on the grid, with canonical names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pystac
import xarray as xr

from stacbuild import progress
from stacbuild.config.datasets import RASTER_NAME
from stacbuild.config.stores import kinds_that
from stacbuild.errors import BuildError
from stacbuild.geo.beneath import covers
from stacbuild.geo.coverage import touches
from stacbuild.geo.crs import short_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.area import items_within
from stacbuild.loading.band_names import band_variables, warn_about_band_names
from stacbuild.loading.canonical import canonical, named, set_metadata, with_band_times
from stacbuild.loading.classes import warn_about_range
from stacbuild.loading.custom import run_custom
from stacbuild.loading.differences import (
    unpack_where_needed,
    warn_about_raster,
    warn_about_unpacking,
)
from stacbuild.loading.grouping import grouped
from stacbuild.loading.held import held_blocks
from stacbuild.loading.indexed import run_index
from stacbuild.loading.masks import note_masks, quality_names, scene_asset
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.methods import check_methods, resampling_method, wrapped_grids
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.raster_names import (
    bands_by_name,
    check_labels,
    check_together,
    chosen_bands,
    with_labels,
    with_times,
)
from stacbuild.loading.scene_assets import chosen_assets, merged, names_of, of_asset, usable
from stacbuild.loading.scene_errors import named as of_scene
from stacbuild.loading.select import (
    band_times,
    bands_apart,
    by_time,
    chosen_names,
    refuse_missing_times,
    within_time,
)
from stacbuild.loading.temporal import resample_in_time
from stacbuild.stac.array_times import steps_of
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.data_href import data_href
from stacbuild.stac.files import store_kind
from stacbuild.stac.scenes import DATA

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable
    from stacbuild.geo.grid import Grid

_SEARCHED_BY_TIME = kinds_that(lambda model: model.is_searched_by_time)


def load_variable(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    grid: Grid,
    storage_options: Mapping[str, Any],
    memory: int,
) -> xr.Dataset:
    """Load one variable of the configuration.

    Parameters
    ----------
    variable
        The configured variable; its identifier names the result.
    items
        The items of its data id: one item, or the tiles of one product.
    grid
        The grid of the cube.
    storage_options
        Options for s3fs if the store requires credentials, or those by which https hrefs are
        signed (`stacbuild.net.signing`); otherwise empty.
    memory
        Bytes that what is computed at the same time may use.

    Each loss of information between files and cube is a warning.

    Returns
    -------
    Lazy dataset. Each variable has the grid's dimensions last, the source's dtype (unless a
    custom function changed it), CF attributes, and ``encoding["_FillValue"]`` if it has a nodata
    value.

    Raises
    ------
    BuildError
        If the grid lies outside of the source, or a custom function fails.
    RemoteError, LocalError, IntegrityError
        If a source cannot be read.
    """
    if storage_options:
        items = [through_s3(item) for item in items]
    items = items_within(variable, usable(variable, items))
    check_overlap(variable, items, any_touches(items, grid), grid)
    groups = grouped(variable, items, grid)
    for note in groups.notes:
        progress.say(note)
    items = groups.items
    assets = chosen_assets(variable, items)
    note_masks(variable, next(iter(assets.values()), []))
    # Checked for each time, since files that together cover the grid may have different times.
    laid = {
        tuple(wrapped_grids(tiles, grid))
        for views in (assets or {DATA: items}).values()
        for tiles in by_time(views).values()
    }
    complete = all(covers(grids, grid) for grids in laid)
    inputs = held_blocks(variable, items, len(assets))
    options = LoadOptions(grid, complete, storage_options, memory, inputs)
    opened = _of_assets(variable, assets, options) if assets else _open(variable, items, options)
    dataset, metadata = opened.dataset, opened.metadata
    custom = variable.custom_processing
    if custom and not custom.is_index:
        # A custom function gets bands by number, since its file may have been without names.
        dataset = run_custom(dataset, custom)
    kept = {old: new for old, new in opened.called.items() if old in dataset.data_vars}
    dataset = dataset.rename({old: new for old, new in kept.items() if new not in dataset})
    if custom and custom.is_index:
        dataset = run_index(dataset, custom, metadata, assets, complete=complete)
    dataset = canonical(dataset, grid, opened.spatial, variable.label)
    dataset = with_band_times(dataset, opened.bands)
    dataset = named(dataset, variable.identifier)
    if opened.is_raster and RASTER_NAME in dataset:
        dataset = dataset.rename({RASTER_NAME: variable.cube_name(RASTER_NAME)})
    only = next(iter(metadata.values())) if len(metadata) == 1 else None
    for name, array in dataset.data_vars.items():
        known = only or metadata.get(str(name).removeprefix(f"{variable.identifier}_"))
        set_metadata(array, known, complete)
    if params := variable.temporal_resample_params:
        classes = quality_names(variable, assets)
        dataset = resample_in_time(dataset, params, variable.label, classes)
    return dataset


@dataclass(frozen=True)
class _Opened:
    """A source on the grid, before custom processing.

    Parameters
    ----------
    metadata
        By the name that the variable has in the cube.
    spatial
        Names of the spatial dimensions.
    bands
        Times along the dimension ``band``, if any.
    called
        Names in the cube of variables that custom functions know by another name.
    """

    dataset: xr.Dataset
    metadata: Mapping[str, VariableMetadata]
    spatial: tuple[str, str]
    is_raster: bool
    bands: pd.DatetimeIndex | None = None
    called: Mapping[str, str] = field(default_factory=dict)


def _open(variable: SourceVariable, items: Sequence[pystac.Item], options: LoadOptions) -> _Opened:
    """Open items of one asset each."""
    # A Zarr store may also have a variable `band_data`, which rioxarray writes.
    is_raster = "cube:variables" not in items[0].properties
    found = (_open_raster if is_raster else _open_zarr)(variable, items, options)
    dataset, metadata, spatial = found
    bands = band_times(items[0]) if len(by_time(items)) == 1 else None
    searched = store_kind(items[0]) in _SEARCHED_BY_TIME
    dataset = within_time(variable, dataset, bands, searched=searched)
    refuse_missing_times(variable, dataset)
    if bands is not None and "band" in dataset.dims:
        bands = bands[dataset["band"].values - 1]
    called: Mapping[str, str] = {}
    if is_raster and variable.open_params.band_as_variable:
        dataset = bands_apart(dataset, RASTER_NAME)
        called = band_variables(variable, items[0])
        warn_about_band_names(variable, items[0])
        by_name = {called.get(str(name), str(name)): str(name) for name in dataset.data_vars}
        names = [by_name[name] for name in chosen_names(variable, by_name)]
        dataset = dataset[names].astype({name: metadata[name].cube_dtype for name in names})
        metadata = {called.get(name, name): metadata[name] for name in names}
    return _Opened(dataset, metadata, spatial, is_raster, bands, called)


def _of_assets(
    variable: SourceVariable, assets: Mapping[str, Sequence[pystac.Item]], options: LoadOptions
) -> _Opened:
    """Open the assets of scenes, as variables named by them."""
    parts: dict[str, xr.Dataset] = {}
    metadata: dict[str, VariableMetadata] = {}
    for asset, views in assets.items():
        opened = _open(of_asset(variable, asset, views), views, options)
        dataset = opened.dataset.rename(
            {name: new for name, new in opened.called.items() if name in opened.dataset}
        )
        called = names_of(asset, map(str, dataset.data_vars))
        parts[asset] = dataset.rename(called)
        metadata |= {called.get(name, asset): each for name, each in opened.metadata.items()}
    spatial, is_raster = opened.spatial, opened.is_raster
    return _Opened(merged(variable, parts), metadata, spatial, is_raster)


def unread(variable: SourceVariable, items: Sequence[pystac.Item]) -> str | None:
    """Return a message on unreadable variables; None if there are none or variables are named."""
    params = variable.open_params, variable.spatial_resample_params
    if (
        params[0].variable_names
        or params[1].variables
        or "cube:variables" not in items[0].properties
    ):
        return None
    from stacbuild.loading.zarr_variables import left_out

    reasons = "; ".join(f"{name} {reason}" for name, reason in left_out(items[0]).items())
    return f"{variable.label}: left out: {reasons}" if reasons else None


def any_touches(items: Sequence[pystac.Item], target: PixelGrid) -> bool:
    """Return whether a target grid may intersect the grid of any item."""
    return any(touches(PixelGrid.from_properties(item.properties), target) for item in items)


def through_s3(item: pystac.Item) -> pystac.Item:
    """Return the item with the s3:// URLs of its assets, for access with credentials."""
    urls = {
        key: asset.extra_fields["alternate"]["s3"]["href"]
        for key, asset in item.assets.items()
        if "s3" in asset.extra_fields.get("alternate", {})
    }
    if not urls:
        return item
    copy = item.clone()
    for key, url in urls.items():
        copy.assets[key].href = url
    return copy


def _open_raster(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    options: LoadOptions,
) -> tuple[xr.Dataset, dict[str, VariableMetadata], tuple[str, str]]:
    # Imported late, here and below: Zarr sources do not need GDAL and stackstac, GeoTIFFs do not
    # need Zarr, and each takes half a second to import.
    from stacbuild.loading.raster import load_raster

    chosen = chosen_bands(variable, items)
    by_name = {} if variable.open_params.band_as_variable else bands_by_name(items[0])
    several = len(by_name) > 1
    names = {name: name if several else variable.parameter_name(name) for name in chosen}
    check_methods(variable, list(by_name if several else names.values()))
    arrays, metadata = {}, {}
    sources = wrapped_grids(items, options.grid)
    for name, stated in chosen.items():
        warn_about_raster(variable, items, stated)
        first = next(iter(stated.values()))
        method = resampling_method(variable, names[name], first, sources, options.grid)
        by_band = unpack_where_needed(variable, method, stated)
        warn_about_unpacking(variable, method, stated)
        if variable.open_params.band_as_variable:
            metadata = {f"band_{band}": each for band, each in by_band.items()}
        else:
            metadata[name] = next(iter(by_band.values()))
        array = load_raster(by_time(items), method, by_band, options)
        if by_name:
            array = with_times(array, name, by_name, items)
            array = with_labels(array, items[0], list(by_band))
        arrays[name] = array
    check_together(variable, items, arrays)
    check_labels(variable, items)
    return xr.Dataset(arrays), metadata, ("y", "x")


def _open_zarr(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    options: LoadOptions,
) -> tuple[xr.Dataset, dict[str, VariableMetadata], tuple[str, str]]:
    from stacbuild.loading.pool import zarr_dataset
    from stacbuild.loading.stated_grid import check_zarr, whole_grid
    from stacbuild.loading.zarr_files import attributes_in_common, joined, packed_alike
    from stacbuild.loading.zarr_variables import (
        asked_for,
        attributes_of,
        left_out,
        of_numbers,
        on_grid,
        spatial_dims,
    )

    steps = steps_of(items)
    files = [parts for step in steps for parts in step]
    item = files[0][0]
    spatial = spatial_dims(item)
    for parts in files:
        asset = parts[0].assets["data"]
        href, version = data_href(asset), asset.extra_fields.get(SERVED, "")
        with of_scene(scene_asset(parts[0])):
            check_zarr(
                whole_grid(parts[0].properties),
                zarr_dataset(href, options.storage_options, version),
                spatial,
                href,
            )
    sources = wrapped_grids([part for parts in steps[0] for part in parts], options.grid)
    if variable.open_params.band_as_variable:
        raise BuildError(
            f"{variable.label}: is not a GeoTIFF; leave open_params.band_as_variable out"
        )
    known = list(on_grid(item, asked_for(variable)))
    check_methods(variable, known)
    metadata: dict[str, VariableMetadata] = {}
    chosen: dict[str, list[VariableMetadata]] = {}
    methods = {}
    for name in chosen_names(variable, known, left_out(item)):
        stated = {}
        for number, parts in enumerate(files):
            each = VariableMetadata.of_zarr(parts[0], name).filled(variable.fill_value(name))
            own = attributes_of(parts[0], name, options.storage_options)
            attrs = own | each.attrs
            if variable.open_params.apply_scaling is False:
                attrs = of_numbers(attrs)
            stated[number] = replace(each, attrs=attrs)
        if len(files) > 1 and not packed_alike(name, variable.label, list(stated.values())):
            stated = {number: each.unpack() for number, each in stated.items()}
            progress.warn(
                f"{variable.label}: the files differ in scale or offset of {name}, so the cube "
                "holds unpacked values"
            )
        warn_about_range(variable.label, stated[0].classes, stated[0].dtype)
        methods[name] = resampling_method(variable, name, stated[0], sources, options.grid)
        found = unpack_where_needed(variable, methods[name], stated)
        warn_about_unpacking(variable, methods[name], stated)
        chosen[name] = list(found.values())
        metadata[name] = replace(found[0], attrs=attributes_in_common(chosen[name]))
    if not metadata:
        raise BuildError(f"{variable.label}: no variable has the dimensions {spatial}")
    opened, first = [], 0
    for step in steps:
        numbers = range(first, first + len(step))
        own = {name: [stated[number] for number in numbers] for name, stated in chosen.items()}
        opened.append(_arrays(variable.label, step, methods, own, options))
        first += len(step)
    return joined(variable.label, opened, steps), metadata, spatial


def _arrays(
    label: str,
    files: Sequence[Sequence[pystac.Item]],
    methods: Mapping[str, str],
    chosen: Mapping[str, Sequence[VariableMetadata]],
    options: LoadOptions,
) -> xr.Dataset:
    """Return the variables of the files of one time; *chosen* has the metadata of each file."""
    from stacbuild.loading.zarr import load_zarr
    from stacbuild.loading.zarr_files import check_tiles

    if len(files) > 1:
        check_tiles(label, files, list(chosen), options)
    return xr.Dataset(
        {
            name: load_zarr(list(zip(files, stated, strict=True)), name, methods[name], options)
            for name, stated in chosen.items()
        }
    )


def check_overlap(
    variable: SourceVariable, items: Sequence[pystac.Item], touched: bool, grid: Grid
) -> None:
    """Raise `BuildError` if a grid does not intersect any source, with both bounding boxes."""
    if touched:
        return
    bounds = [round(value, 6) for value in grid.bounds]
    covered = [item.bbox for item in items if item.bbox]
    west, south, east, north = zip(*covered, strict=True)
    # A bbox that crosses the antimeridian has west > east.
    east = tuple(e + 360 if e < w else e for w, e in zip(west, east, strict=True))
    raise BuildError(
        f"{variable.label}: bbox {bounds} ({short_crs(grid.crs)}) lies outside the data, which "
        f"covers [{min(west):.6g}, {min(south):.6g}, {max(east):.6g}, {max(north):.6g}] (lon/lat)"
    )
