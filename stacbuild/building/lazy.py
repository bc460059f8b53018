"""The lazy dataset of a cube, which a build writes and `load` returns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import xarray as xr

from stacbuild import loading, progress
from stacbuild.building.cf import add_grid, geozarr_attrs, global_attrs
from stacbuild.building.clip import clipped
from stacbuild.building.merge import merge
from stacbuild.building.skipping import with_readable
from stacbuild.building.write import prepare
from stacbuild.config import MultiDataset
from stacbuild.errors import BuildError, StacbuildError, failure_of
from stacbuild.loading.custom import comes_from, error_text
from stacbuild.planning.chunking import Chunking
from stacbuild.planning.fingerprint import software
from stacbuild.planning.names import check_chunksize
from stacbuild.storage.output import ATTRIBUTE, COLLECTION

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.planning.job import Job
    from stacbuild.planning.resolve import Resolver

# Only a built cube has these. A copy that a user writes must not pass for one, since stacbuild
# replaces and removes its own cubes.
_BUILD_ATTRS = ("history", ATTRIBUTE, COLLECTION)


def lazy_cube(job: Job, started: dt.datetime) -> xr.Dataset:
    """Return the dataset that a build writes, with its attributes, chunked for the computation.

    Parameters
    ----------
    started
        Start of the build, for the attribute ``history``.

    Returns
    -------
    Dataset of dask arrays on the job's grid, not decoded: packed values and nodata are those of the
    store. ``encoding["chunks"]`` of each variable are the chunks of the store, and
    ``encoding["shards"]`` its shards if it has any.

    Raises
    ------
    StacbuildError
        If a source cannot be opened, or the variables cannot be merged.
    """
    made_by = ", ".join(f"{name} {number}" for name, number in software().items())
    variables = _variables(job)
    dims = (str(dim) for array in variables.data_vars.values() for dim in array.dims)
    check_chunksize(job.dataset, dims)
    if job.region is not None:
        variables = clipped(variables, job.region, job.grid, job.dataset)
    cube = add_grid(variables, job.grid).assign_attrs(
        **global_attrs(job.name, job.collections, made_by, started),
        **{ATTRIBUTE: job.fingerprint, COLLECTION: job.output.collection},
        **geozarr_attrs(job.grid),
    )
    return prepare(cube, job.grid, job.dataset.chunksize)


def load_cube(resolver: Resolver, dataset: Dataset, *, mask_and_scale: bool) -> xr.Dataset:
    """Return a cube lazily, as it would be opened after a build.

    Parameters
    ----------
    resolver, dataset
        The cube; items that the catalog lacks are harvested first.
    mask_and_scale
        Replace nodata by NaN, and unpack packed values.

    Returns
    -------
    Dataset of dask arrays in the chunks (or shards) of the store, decoded by CF, without the
    attributes that only a build sets: ``history`` and the marks by which stacbuild recognises its
    cubes. Closing it closes the files that were opened to compute it.

    Raises
    ------
    StacbuildError
        As `lazy_cube`, and what harvesting raises; what a user's function raises becomes a
        `BuildError`.
    """
    with errors_of(dataset), loading.using(resolver.memory):
        cube = with_readable(
            resolver.harvested(dataset), lambda job: lazy_cube(job, dt.datetime.now(dt.UTC))
        )
    stored = cube.copy()
    stored.attrs = {name: value for name, value in cube.attrs.items() if name not in _BUILD_ATTRS}
    for name, array in cube.data_vars.items():
        known = Chunking.of(array.encoding)
        chunks = dict(zip(array.dims, known.stored, strict=True))
        attrs = array.attrs | {"grid_mapping": "spatial_ref"}
        if "_FillValue" in array.encoding:
            attrs["_FillValue"] = array.encoding["_FillValue"]
        stored[name] = array.chunk(chunks).assign_attrs(attrs)
        stored[name].encoding = dict(known.encoding)
    # The same decoding as in `stacbuild.formats.cube.open_cube_data`.
    decoded: xr.Dataset = xr.decode_cf(
        stored, mask_and_scale=mask_and_scale, decode_timedelta=False
    )
    decoded.set_close(loading.release)
    return decoded


@contextmanager
def errors_of(dataset: Dataset) -> Iterator[None]:
    """Convert an unexpected exception to an error that names its origin.

    Raises
    ------
    StacbuildError
        Unchanged, if it was raised within. Any other exception becomes one that names the dataset;
        a `BuildError` with file and line if it comes from a user's function, which can raise
        anything, even `SystemExit`.
    """
    try:
        yield
    except StacbuildError:
        raise
    except (Exception, SystemExit) as error:
        raise _unexpected(dataset, error) from error


def _variables(job: Job) -> xr.Dataset:
    """Load all variables and merge them."""
    variables = []
    for source in job.sources:
        variables.append(
            loading.load_variable(
                source.variable,
                source.items,
                job.grid,
                source.storage_options,
                job.memory,
            )
        )
        if unread := loading.unread(source.variable, source.items):
            progress.warn(f"{job.name}: {unread}")
    cube = variables[0]
    if len(variables) > 1:
        assert isinstance(job.dataset, MultiDataset)  # noqa: S101 - the others have one source
        cube = merge(job.dataset, variables)
    return loading.with_band_names(cube, [item for each in job.sources for item in each.items])


def _unexpected(dataset: Dataset, error: BaseException) -> StacbuildError:
    customs = [each.custom_processing for each in dataset.variables if each.custom_processing]
    for custom in customs:
        if comes_from(error, custom.file):
            return BuildError(f"{custom.label} raised {error_text(error, custom.file)}")
    names = ", ".join(each.label for each in customs)
    data_ids = list(dict.fromkeys(variable.label for variable in dataset.variables))
    sources = ", ".join([*data_ids[:3], *(["..."] if data_ids[3:] else [])])
    return failure_of(error, f"after custom_processing by {names}" if names else sources)
