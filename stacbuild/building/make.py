"""One cube: load what it is made of on its grid, write, and publish."""

from __future__ import annotations

from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import pystac
import xarray as xr

from stacbuild import loading, progress
from stacbuild.building.cf import add_grid, geozarr_attrs, global_attrs
from stacbuild.building.compute import open_workers
from stacbuild.building.merge import merge
from stacbuild.building.publish import PICTURES, publish
from stacbuild.building.write import Target, chunk_count, kept_chunks, prepare, write
from stacbuild.config import MultiDataset
from stacbuild.errors import BuildError, StacbuildError, failure_of
from stacbuild.loading.custom import comes_from, place
from stacbuild.planning.fingerprint import software
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.ownership import ATTRIBUTE, COLLECTION
from stacbuild.storage.places import Output, Staging, stage

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.pictures.thumbnail import Pictured
    from stacbuild.planning.job import Job


def make_cube(job: Job, *, wait: bool) -> tuple[str, str | None]:
    """Build one cube, whatever there is of it.

    Parameters
    ----------
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
        with loading.using():
            return _make(job, wait)
    except StacbuildError:
        raise
    except (Exception, SystemExit) as error:
        # A user's function can raise anything, late too, and so it can leave the program.
        raise _unforeseen(job.dataset, error) from error


def _make(job: Job, wait: bool) -> tuple[str, str | None]:
    output, catalog = Output(job.place, job.fingerprint), job.place.catalog
    collection = job.place.collection
    with stage(output, wait=wait) as staging:
        item = output.item()
        if item is not None and _is_new(item, job):
            # By the run that this one waited for.
            return item.assets["data"].href, str(catalog.item_path(collection, job.name))
        cube = _described(_lazy(job), job, staging)
        if staging.file is not None:
            from stacbuild.building.netcdf import check_types

            check_types(cube)
        _write(job, cube, staging)
        _finish(job, staging, cube)
        siblings = [
            each for each in catalog.readable_items(collection) if each.id != cube_id(job.name)
        ]
        described, pictured = publish(job, staging, siblings)
        if pictured is not None and staging.catalogued:
            # Before the item: with it the cube is done, and nothing looks at its sources again.
            _picture_sources(job, pictured)
        staging.commit()
        if staging.catalogued:
            catalog.put(described)
    if not staging.catalogued:
        progress.warn(f"{staging.href}: is in memory only, so it is not in the catalog")
        return staging.href, None
    return staging.href, str(catalog.item_path(collection, job.name))


def _described(cube: xr.Dataset, job: Job, staging: Staging) -> xr.Dataset:
    """Return a cube with grid mapping and global attributes, chunked as it is stored."""
    made_by = ", ".join(f"{name} {number}" for name, number in software().items())
    cube = add_grid(cube, job.grid).assign_attrs(
        **global_attrs(job.name, job.collections, made_by, staging.started),
        **{ATTRIBUTE: job.fingerprint, COLLECTION: job.place.collection},
        **geozarr_attrs(job.grid),
    )
    return prepare(cube, job.grid, job.dataset.chunksize)


def _write(job: Job, cube: xr.Dataset, staging: Staging) -> None:
    """Compute a cube and write it to its staging place."""
    with (
        open_workers(job.scheduler, job.items, job.place.storage) as run,
        progress.task(f"{job.name}.zarr", total=chunk_count(cube), unit="chunks") as task,
    ):
        # What draws takes a while to import, which costs nothing beside the work.
        Thread(target=import_module, args=[PICTURES], daemon=True).start()
        _say_going_on(job.name, cube, staging)
        try:
            write(
                cube,
                job.grid,
                Target(staging.store, job.zarr_format, staging.journal),
                run,
                task,
            )
        except BaseException:
            _say_kept(job.name, cube, staging)
            raise


def _say_going_on(name: str, cube: xr.Dataset, staging: Staging) -> None:
    """Report what an earlier run left."""
    kept = kept_chunks(cube, staging.journal) if staging.journal is not None else 0
    if kept:
        since = f"{staging.started:%Y-%m-%d %H:%M} UTC"
        there = f"{kept} of {chunk_count(cube)} chunks are there"
        progress.say(f"{name}: going on with what was begun {since}; {there}")


def _say_kept(name: str, cube: xr.Dataset, staging: Staging) -> None:
    """Report how much the next run need not do again."""
    kept = kept_chunks(cube, staging.journal) if staging.journal is not None else 0
    if kept:
        progress.say(f"{name}: kept: {kept} of {chunk_count(cube)} chunks")


def _finish(job: Job, staging: Staging, cube: xr.Dataset) -> None:
    """Make what a format has beside the cube as one Zarr group, or instead of it."""
    # Imported when used: most cubes are just that.
    if job.dataset.format_id == "levels":
        from stacbuild.building.levels import add_levels

        add_levels(staging.root, cube, job.grid, zarr_format=job.zarr_format)
    elif staging.file is not None:
        from stacbuild.building.netcdf import write_netcdf

        write_netcdf(staging.store, staging.file)


def _picture_sources(job: Job, pictured: Pictured) -> None:
    """Add pictures to collections of sources that have none: of what a cube was made of them.

    To draw them from the sources would fetch what nothing else needs.
    """
    for name in pictured.telling:
        for source in job.sources:
            of = source.variable.identifier
            if of is None or name == of or name.startswith(f"{of}_"):
                for collection in dict.fromkeys(item.collection_id for item in source.items):
                    if collection:
                        job.place.catalog.add_thumbnail(collection, pictured.pngs[name])


def _is_new(item: pystac.Item, job: Job) -> bool:
    """Return whether an item came to be since a job was resolved, of the same inputs."""
    return item.properties.get(FINGERPRINT) == job.fingerprint and (
        job.before is None or job.before.properties.get("created") != item.properties.get("created")
    )


def _lazy(job: Job) -> xr.Dataset:
    """Load every variable and merge them."""
    parts = []
    for source in job.sources:
        parts.append(
            loading.load_variable(
                source.variable,
                source.items,
                job.grid,
                source.storage_options,
                progress.current().warn,
            )
        )
        if left_out := loading.unread(source.variable, source.items):
            progress.warn(f"{job.name}: {left_out}")
    if len(parts) == 1:
        return parts[0]
    assert isinstance(job.dataset, MultiDataset)  # noqa: S101 - the others have one source
    return merge(job.dataset, parts)


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
