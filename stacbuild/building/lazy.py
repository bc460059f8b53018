"""The lazy dataset of a cube: what a build writes, and what `load` returns without writing it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import xarray as xr

from stacbuild import loading, progress
from stacbuild.building.cf import add_grid, geozarr_attrs, global_attrs
from stacbuild.building.merge import merge
from stacbuild.building.write import prepare
from stacbuild.config import MultiDataset
from stacbuild.errors import BuildError, StacbuildError, failure_of
from stacbuild.loading.custom import comes_from, place
from stacbuild.planning.fingerprint import software
from stacbuild.storage.place import ATTRIBUTE, COLLECTION

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.planning.job import Job
    from stacbuild.planning.resolve import Resolver

# What a dataset says only once it was built. Nobody may take a copy that a user writes for a cube
# of stacbuild's own, which would be replaced or removed.
_OF_BUILDS = ("history", ATTRIBUTE, COLLECTION)


def lazy_cube(job: Job, started: dt.datetime) -> xr.Dataset:
    """Return the dataset that a build writes, with its attributes, chunked as it is computed.

    Parameters
    ----------
    started
        When its build began, as its ``history`` says.

    Returns
    -------
    Dataset of dask arrays on the job's grid, not decoded: packed values and "no data" as they are
    stored. ``encoding["chunks"]`` of each variable are the chunks of the store.

    Raises
    ------
    StacbuildError
        If a source cannot be opened, or the variables do not fit together.
    """
    made_by = ", ".join(f"{name} {number}" for name, number in software().items())
    cube = add_grid(_variables(job), job.grid).assign_attrs(
        **global_attrs(job.name, job.collections, made_by, started),
        **{ATTRIBUTE: job.fingerprint, COLLECTION: job.place.collection},
        **geozarr_attrs(job.grid),
    )
    return prepare(cube, job.grid, job.dataset.chunksize)


def load_cube(resolver: Resolver, dataset: Dataset, *, mask_and_scale: bool) -> xr.Dataset:
    """Return a cube as it would be when opened after a build; none of it is computed.

    Parameters
    ----------
    resolver, dataset
        Which cube; what the catalog lacks for it is harvested first.
    mask_and_scale
        Whether "no data" becomes NaN, and packed values are unpacked.

    Returns
    -------
    Dataset of dask arrays in the chunks of the store, decoded by CF, without the attributes that
    only a build gives: ``history`` and the marks by which stacbuild knows its cubes. Closing it
    closes the files that were opened to compute it.

    Raises
    ------
    StacbuildError
        As `lazy_cube`, and what harvesting raises; what a user's function raises becomes a
        `BuildError`.
    """
    with errors_of(dataset), loading.using():
        cube = lazy_cube(resolver.harvested(dataset), dt.datetime.now(dt.UTC))
    stored = cube.copy()
    stored.attrs = {name: value for name, value in cube.attrs.items() if name not in _OF_BUILDS}
    for name, array in cube.data_vars.items():
        chunks = dict(zip(array.dims, array.encoding["chunks"], strict=True))
        attrs = array.attrs | {"grid_mapping": "spatial_ref"}
        if "_FillValue" in array.encoding:
            attrs["_FillValue"] = array.encoding["_FillValue"]
        stored[name] = array.chunk(chunks).assign_attrs(attrs)
        stored[name].encoding = {"chunks": array.encoding["chunks"]}
    # As `stacbuild.formats.cube.open_cube_data` decodes what is stored.
    decoded: xr.Dataset = xr.decode_cf(
        stored, mask_and_scale=mask_and_scale, decode_timedelta=False
    )
    decoded.set_close(loading.release)
    return decoded


@contextmanager
def errors_of(dataset: Dataset) -> Iterator[None]:
    """Turn what nobody raised on purpose into an error that names the line it came from.

    Raises
    ------
    StacbuildError
        As it is; a `BuildError` of anything else that comes from a user's function, which can
        raise whatever it likes and even leave the program.
    """
    try:
        yield
    except StacbuildError:
        raise
    except (Exception, SystemExit) as error:
        raise _unforeseen(dataset, error) from error


def _variables(job: Job) -> xr.Dataset:
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
    customs = [each.custom_processing for each in dataset.variables if each.custom_processing]
    for custom in customs:
        if comes_from(error, custom.file):
            said = place(error, custom.file)
            return BuildError(f"{custom.file.name}:{custom.function_name} raised {said}")
    names = ", ".join(f"{each.file.name}:{each.function_name}" for each in customs)
    data_ids = list(dict.fromkeys(variable.data_id for variable in dataset.variables))
    read = ", ".join([*data_ids[:3], *(["..."] if data_ids[3:] else [])])
    return failure_of(error, f"after custom_processing by {names}" if names else read)
