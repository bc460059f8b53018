"""Run the job of one cube: load its sources on the grid, write, verify and publish."""

from __future__ import annotations

from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import pystac

from stacbuild import loading, progress
from stacbuild.building.compute import open_workers
from stacbuild.building.item import PICTURES, cube_item
from stacbuild.building.lazy import errors_of, lazy_cube
from stacbuild.building.memory import room_of
from stacbuild.building.skipping import with_readable
from stacbuild.building.write import (
    Target,
    chunk_count,
    chunk_unit,
    finished_chunks,
    write,
)
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.checksums import new_checksums
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.staging import stage

if TYPE_CHECKING:
    import xarray as xr

    from stacbuild.pictures.thumbnail import Pictured
    from stacbuild.planning.job import Job
    from stacbuild.storage.output import Staging


def make_cube(job: Job, *, wait: bool) -> tuple[str, str | None]:
    """Build one cube.

    Parameters
    ----------
    wait
        Wait for another run that is writing this cube, instead of failing.

    Returns
    -------
    Path or URL of the cube, and the file of its item; None for a cube in memory.

    Raises
    ------
    StacbuildError
        If the cube cannot be built; an exception of a user's function becomes a `BuildError`.
    """
    # Around everything, since a user's function may raise when it is computed.
    with errors_of(job.dataset), loading.using(job.memory):
        return with_readable(job, lambda each: _make(each, wait))


def _make(job: Job, wait: bool) -> tuple[str, str | None]:
    catalog, collection = job.output.catalog, job.output.collection
    persistent = job.output.storage.persistent
    with stage(job.output, job.fingerprint, wait=wait) as staging:
        item = job.output.item()
        if item is not None and _is_new(item, job):
            # Built by the run that this one waited for.
            return item.assets["data"].href, str(catalog.item_path(collection, job.name))
        cube = lazy_cube(job, staging.started)
        if staging.file is not None:
            from stacbuild.building.netcdf import check_types

            check_types(cube)
        _write(job, cube, staging)
        _convert(job, staging, cube)
        siblings = [
            each for each in catalog.readable_items(collection) if each.id != cube_id(job.name)
        ]
        described, pictured = cube_item(job, staging, siblings)
        if pictured is not None and persistent:
            # Before the item is written: after that the cube is up to date, and skipped.
            _add_source_thumbnails(job, pictured)
        staging.commit()
        if persistent:
            catalog.put(described)
            catalog.add_checksums(new_checksums(job.items))
    if not persistent:
        progress.warn(f"{staging.href}: is in memory only; it is not added to the catalog")
        return staging.href, None
    return staging.href, str(catalog.item_path(collection, job.name))


def _write(job: Job, cube: xr.Dataset, staging: Staging) -> None:
    def finished() -> int:
        return finished_chunks(cube, staging.journal) if staging.journal is not None else 0

    total, unit = chunk_count(cube), chunk_unit(cube)
    with (
        open_workers(job.scheduler, job.items, job.output.storage, room_of(job, cube)) as workers,
        progress.task(f"{job.name}.zarr", total=total, unit=unit) as task,
    ):
        # Slow to import, so import it while the cube is computed.
        Thread(target=import_module, args=[PICTURES], daemon=True).start()
        if count := finished():
            progress.say(
                f"{job.name}: resuming the run of {staging.started:%Y-%m-%d %H:%M} UTC; "
                f"{count} of {total} {unit} are finished"
            )
        try:
            target = Target(staging.store, job.zarr_format, staging.journal)
            write(cube, job.grid, target, workers, task)
        except BaseException:
            if count := finished():
                progress.say(f"{job.name}: kept {count} of {total} {unit} for the next run")
            raise


def _convert(job: Job, staging: Staging, cube: xr.Dataset) -> None:
    """Make a pyramid or a netCDF file from the staged group, if the format asks for it."""
    # Imported late: most cubes need neither.
    if job.dataset.format_id == "levels":
        from stacbuild.building.levels import add_levels

        add_levels(staging.root, cube, job.grid, zarr_format=job.zarr_format)
    elif staging.file is not None:
        from stacbuild.building.netcdf import write_netcdf

        write_netcdf(staging.store, staging.file)


def _add_source_thumbnails(job: Job, pictured: Pictured) -> None:
    """Add thumbnails of the cube's variables to collections of sources that have none.

    Drawing the sources themselves would fetch data that the cube does not need.
    """
    for name in pictured.telling:
        for source in job.sources:
            of = source.variable.identifier
            if of is None or name == of or name.startswith(f"{of}_"):
                for collection in dict.fromkeys(item.collection_id for item in source.items):
                    if collection:
                        job.output.catalog.add_thumbnail(collection, pictured.pngs[name])


def _is_new(item: pystac.Item, job: Job) -> bool:
    """Return whether an item was made from the same inputs, and after the job was resolved."""
    return item.properties.get(FINGERPRINT) == job.fingerprint and (
        job.previous is None
        or job.previous.properties.get("created") != item.properties.get("created")
    )
