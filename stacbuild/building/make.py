"""One cube: load what it is made of on its grid, write, and publish."""

from __future__ import annotations

from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import pystac

from stacbuild import loading, progress
from stacbuild.building.compute import open_workers
from stacbuild.building.lazy import errors_of, lazy_cube
from stacbuild.building.publish import PICTURES, publish
from stacbuild.building.write import Target, chunk_count, kept_chunks, write
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.staging import stage

if TYPE_CHECKING:
    import xarray as xr

    from stacbuild.pictures.thumbnail import Pictured
    from stacbuild.planning.job import Job
    from stacbuild.storage.place import Staging


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
    # Of all of it: a user's function can raise late, too.
    with errors_of(job.dataset), loading.using():
        return _make(job, wait)


def _make(job: Job, wait: bool) -> tuple[str, str | None]:
    catalog, collection = job.place.catalog, job.place.collection
    persistent = job.place.storage.persistent
    with stage(job.place, job.fingerprint, wait=wait) as staging:
        item = job.place.item()
        if item is not None and _is_new(item, job):
            # By the run that this one waited for.
            return item.assets["data"].href, str(catalog.item_path(collection, job.name))
        cube = lazy_cube(job, staging.started)
        if staging.file is not None:
            from stacbuild.building.netcdf import check_types

            check_types(cube)
        _write(job, cube, staging)
        _finish(job, staging, cube)
        siblings = [
            each for each in catalog.readable_items(collection) if each.id != cube_id(job.name)
        ]
        described, pictured = publish(job, staging, siblings)
        if pictured is not None and persistent:
            # Before the item: with it the cube is done, and nothing looks at its sources again.
            _picture_sources(job, pictured)
        staging.commit()
        if persistent:
            catalog.put(described)
    if not persistent:
        progress.warn(f"{staging.href}: is in memory only, so it is not in the catalog")
        return staging.href, None
    return staging.href, str(catalog.item_path(collection, job.name))


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
