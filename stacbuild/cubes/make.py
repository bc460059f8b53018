"""One cube: harvest what is missing, load it on the grid, write, and publish."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

import pystac
import xarray as xr

from stacbuild import load
from stacbuild.catalog import cube_id
from stacbuild.config import MultiDataset, S3Store, StacStore
from stacbuild.cubes.cf import add_grid, geozarr_attrs, global_attrs
from stacbuild.cubes.compute import open_workers
from stacbuild.cubes.estimate import check_space, estimate
from stacbuild.cubes.fingerprint import FINGERPRINT, fingerprint, inputs_of, software
from stacbuild.cubes.forms import check_form
from stacbuild.cubes.grids import Box, find_grid
from stacbuild.cubes.merge import merge
from stacbuild.cubes.own_sources import check_sources
from stacbuild.cubes.ownership import ATTRIBUTE, COLLECTION, CONFIGURATION, check_place
from stacbuild.cubes.plan import collection_id, place_of
from stacbuild.cubes.presence import written_before
from stacbuild.cubes.publish import PICTURES, publish
from stacbuild.cubes.sources import source_collections, variable_items
from stacbuild.cubes.storage import Output, Staging, stage
from stacbuild.cubes.write import chunk_count, kept_chunks, prepare, write
from stacbuild.errors import BuildError, StacbuildError, failure_of
from stacbuild.harvesters import load_profiles
from stacbuild.load.custom import comes_from, place

if TYPE_CHECKING:
    from stacbuild.catalog import Catalog
    from stacbuild.config import Config, Dataset
    from stacbuild.grid import Grid
    from stacbuild.pictures.thumbnail import Pictured
    from stacbuild.progress import Reporter


def make_cube(
    config: Config,
    dataset: Dataset,
    catalog: Catalog,
    *,
    bbox: Box | None,
    wait: bool,
    reporter: Reporter,
) -> tuple[str, str | None]:
    """Build one cube, whatever there is of it.

    Parameters
    ----------
    bbox
        West, south, east, north in the grid's CRS, if only that part of it is meant.
    wait
        Whether to wait for another run that writes this cube.

    Returns
    -------
    Its path or URL, and the file of its item; None for a cube in memory.

    Raises
    ------
    StacbuildError
        If it cannot be built; what a user's function raises becomes a `BuildError`.
    """
    try:
        with load.using():
            return _make(config, dataset, catalog, bbox, wait, reporter)
    except StacbuildError:
        raise
    except (Exception, SystemExit) as error:
        # A user's function can raise anything, late too, and so it can leave the program.
        raise _unforeseen(dataset, error) from error


def _make(
    config: Config,
    dataset: Dataset,
    catalog: Catalog,
    bbox: Box | None,
    wait: bool,
    reporter: Reporter,
) -> tuple[str, str | None]:
    check_form(config, dataset)
    target = place_of(config, dataset, catalog)
    check_place(target)
    profiles = load_profiles(config)
    found = variable_items(config, dataset, dataset.variables, catalog, profiles, reporter)
    sources = [item for items in found for item in items]
    check_sources(target, sources)
    grid = find_grid(config, dataset, catalog, profiles, bbox, reporter)
    collections = source_collections(catalog, sources)
    # Once more, as the plan may have been made before anything was harvested.
    inputs = inputs_of(
        config,
        dataset,
        grid,
        boxed=bbox is not None,
        sources=sources,
        collections=collections,
    )
    cubes, name = collection_id(config), dataset.identifier
    before = catalog.get(cubes, name)
    expected = estimate(config, dataset, grid, found, before=before)
    check_space(config, dataset, expected, written_before(config, catalog, name))
    output = Output(target, fingerprint(inputs))
    with stage(output, wait=wait, reporter=reporter) as staging:
        item = output.item()
        if item is not None and _is_new(item, before, output.fingerprint):
            # By the run that this one waited for.
            return item.assets["data"].href, str(catalog.item_path(cubes, name))
        cube = _lazy(config, dataset, found, grid, reporter)
        made_by = ", ".join(f"{name} {number}" for name, number in software().items())
        cube = add_grid(cube, grid).assign_attrs(
            **global_attrs(name, collections, made_by, staging.started),
            **{ATTRIBUTE: output.fingerprint, COLLECTION: cubes},
            **geozarr_attrs(grid),
        )
        cube = prepare(cube, grid, dataset.chunksize)
        if staging.file is not None:
            from stacbuild.cubes.netcdf import check_types

            check_types(cube)
        with (
            open_workers(config.general.dask_scheduler, sources, config.storage) as run,
            reporter.task(f"{name}.zarr", total=chunk_count(cube), unit="chunks") as task,
        ):
            # What draws takes a while to import, which costs nothing beside the work.
            Thread(target=import_module, args=[PICTURES], daemon=True).start()
            _say_going_on(name, cube, staging, reporter)
            try:
                write(
                    cube,
                    grid,
                    staging.store,
                    zarr_format=config.general.zarr_format,
                    run=run,
                    task=task,
                    journal=staging.journal,
                )
            except BaseException:
                _say_kept(name, cube, staging, reporter)
                raise
        _finish(dataset, staging, cube, grid, config.general.zarr_format, reporter)
        described, pictured = publish(
            config,
            dataset,
            staging,
            sources,
            collections,
            staging.started,
            inputs,
            [item for item in catalog.readable_items(cubes) if item.id != cube_id(name)],
            reporter,
        )
        if target.stated_configuration is not None:
            described.items[0].properties[CONFIGURATION] = target.stated_configuration
        if pictured is not None and staging.catalogued:
            # Before the item: with it the cube is done, and nothing looks at its sources again.
            _picture_sources(catalog, dataset, found, pictured)
        staging.commit()
        if staging.catalogued:
            catalog.put(described)
    if not staging.catalogued:
        reporter.warn(f"{staging.href}: is in memory only, so it is not in the catalog")
        return staging.href, None
    return staging.href, str(catalog.item_path(cubes, name))


def _say_going_on(name: str, cube: xr.Dataset, staging: Staging, reporter: Reporter) -> None:
    """Report what an earlier run left."""
    kept = kept_chunks(cube, staging.journal) if staging.journal is not None else 0
    if kept:
        since = f"{staging.started:%Y-%m-%d %H:%M} UTC"
        there = f"{kept} of {chunk_count(cube)} chunks are there"
        reporter.say(f"{name}: going on with what was begun {since}; {there}")


def _say_kept(name: str, cube: xr.Dataset, staging: Staging, reporter: Reporter) -> None:
    """Report how much the next run need not do again."""
    kept = kept_chunks(cube, staging.journal) if staging.journal is not None else 0
    if kept:
        reporter.say(f"{name}: kept: {kept} of {chunk_count(cube)} chunks")


def _finish(
    dataset: Dataset,
    staging: Staging,
    cube: xr.Dataset,
    grid: Grid,
    zarr_format: int,
    reporter: Reporter,
) -> None:
    """Make what a format has beside the cube as one Zarr group, or instead of it."""
    # Imported when used: most cubes are just that.
    if dataset.format_id == "levels":
        from stacbuild.cubes.levels import add_levels

        add_levels(staging.root, cube, grid, zarr_format=zarr_format, reporter=reporter)
    elif staging.file is not None:
        from stacbuild.cubes.netcdf import write_netcdf

        write_netcdf(staging.store, staging.file, reporter)


def _picture_sources(
    catalog: Catalog,
    dataset: Dataset,
    found: Sequence[Sequence[pystac.Item]],
    pictured: Pictured,
) -> None:
    """Add pictures to collections of sources that have none: of what a cube was made of them.

    To draw them from the sources would fetch what nothing else needs.
    """
    for name in pictured.telling:
        for variable, items in zip(dataset.variables, found, strict=True):
            of = variable.identifier
            if of is None or name == of or name.startswith(f"{of}_"):
                for collection in dict.fromkeys(item.collection_id for item in items):
                    if collection:
                        catalog.add_thumbnail(collection, pictured.pngs[name])


def _is_new(item: pystac.Item, before: pystac.Item | None, fingerprint: str) -> bool:
    """Return whether an item came to be since *before*, with this fingerprint."""
    return item.properties.get(FINGERPRINT) == fingerprint and (
        before is None or before.properties.get("created") != item.properties.get("created")
    )


def _lazy(
    config: Config,
    dataset: Dataset,
    found: Sequence[Sequence[pystac.Item]],
    grid: Grid,
    reporter: Reporter,
) -> xr.Dataset:
    """Load every variable and merge them."""
    parts = []
    for variable, items in zip(dataset.variables, found, strict=True):
        store = config.store(variable.store)
        options: dict[str, Any] = {}
        # A catalog of others may have files that are not on S3.
        if isinstance(store, S3Store | StacStore) and all(map(_is_on_s3, items)):
            options = {} if store.anonymous else store.storage_options
        parts.append(load.load_variable(variable, items, grid, options, reporter.warn))
        if left_out := load.unread(variable, items):
            reporter.warn(f"{dataset.identifier}: {left_out}")
    if len(parts) == 1:
        return parts[0]
    assert isinstance(dataset, MultiDataset)  # noqa: S101 - the others have one source
    return merge(dataset, parts)


def _is_on_s3(item: pystac.Item) -> bool:
    return "s3" in item.assets["data"].extra_fields.get("alternate", {})


def _unforeseen(dataset: Dataset, error: BaseException) -> StacbuildError:
    """Turn what nobody raised on purpose into an error that says whose line it came from."""
    customs = [each.custom_processing for each in dataset.variables if each.custom_processing]
    for custom in customs:
        if comes_from(error, custom.file):
            said = place(error, custom.file)
            return BuildError(f"{custom.file.name}:{custom.function_name} raised {said}")
    names = ", ".join(f"{each.file.name}:{each.function_name}" for each in customs)
    data_ids = list(dict.fromkeys(variable.data_id for variable in dataset.variables))
    read = ", ".join([*data_ids[:3], *(["..."] if data_ids[3:] else [])])
    return failure_of(error, f"after custom_processing by {names}" if names else read)
