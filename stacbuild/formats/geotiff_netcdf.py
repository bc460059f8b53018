"""Variables, times and other dimensions of bands, from the tags that GDAL's netCDF driver writes.

A GeoTIFF converted from netCDF has ``NETCDF_DIM_EXTRA={time}``, ``NETCDF_DIM_time_DEF={20,6}``
(length and type), ``NETCDF_DIM_time_VALUES={...}``, ``time#units`` and ``time#calendar`` as tags of
the dataset, and ``NETCDF_VARNAME`` and ``NETCDF_DIM_time`` as tags of each band
(https://gdal.org/drivers/raster/netcdf.html#dimension).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import rasterio.io

from stacbuild.errors import StacbuildError
from stacbuild.safe_text import clean

_EXTRA = "NETCDF_DIM_EXTRA"
_DIM = "NETCDF_DIM_"
_NAME = "NETCDF_VARNAME"

# Names that a cube's coordinates have, or that cannot be a variable's.
_RESERVED = frozenset(
    {"band", "lat", "latitude", "lon", "longitude", "spatial_ref", "time", "x", "y"}
)
_VARIABLE = re.compile(r"[A-Za-z_][\w.+-]{0,99}", re.ASCII)

Tags = Mapping[str, str]


@dataclass(frozen=True)
class NetcdfTags:
    """Metadata of bands from the tags.

    Parameters
    ----------
    variables
        Name of each band's variable; empty if not all have one.
    times
        Time of each band, UTC; empty if there are none, or they are inconsistent.
    labels
        Coordinates of each band in dimensions other than time, such as ``depth=10``; may be empty.
    problems
        Lines that explain why tags are not used.
    """

    variables: tuple[str, ...] = ()
    times: tuple[dt.datetime, ...] = ()
    labels: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def netcdf_tags(dataset: rasterio.io.DatasetReader) -> NetcdfTags:
    """Return the metadata in a GeoTIFF's netCDF tags; only its header is read."""
    common: Tags = dataset.tags()
    bands: list[Tags] = [dataset.tags(band) for band in dataset.indexes]
    if not any(key.startswith("NETCDF_") for tags in (common, *bands) for key in tags):
        return NetcdfTags()
    problems: list[str] = []
    variables = _variables(common, bands, problems)
    names = variables or ("",) * len(bands)
    dims = _dims(common, bands)
    try:
        places = _places(dims, common, bands, names)
    except ValueError as error:
        return NetcdfTags(variables, problems=(*problems, _no_times(error)))
    time = _time_dim(dims, common)
    others = [dim for dim in dims if dim != time and len(set(places[dim])) > 1]
    labels = tuple(
        ",".join(f"{clean(dim)}={clean(places[dim][band])[:40]}" for dim in others)
        for band in range(len(bands) if others else 0)
    )
    times: tuple[dt.datetime, ...] = ()
    if time is not None:
        try:
            times = _decoded(time, common, places[time])
            if len(set(zip(names, times, strict=True))) < len(bands):
                also = f"; they differ in {', '.join(others)} too" if others else ""
                msg = f"several have the same{also}"
                raise ValueError(msg)
        except (ValueError, StacbuildError) as error:
            times = ()
            problems.append(_no_times(error))
    return NetcdfTags(variables, times, labels, tuple(problems))


def _no_times(error: Exception) -> str:
    return (
        f"its netCDF tags give its bands no times that can be relied on ({error}); a profile can "
        "date them"
    )


def _variables(common: Tags, bands: Sequence[Tags], problems: list[str]) -> tuple[str, ...]:
    found = [tags.get(_NAME, common.get(_NAME)) for tags in bands]
    stated = [name for name in found if name is not None]
    if not stated:
        return ()
    if len(stated) < len(bands):
        problems.append(f"only {len(stated)} of its {len(bands)} bands have a {_NAME}; not used")
        return ()
    for name in stated:
        if name in _RESERVED or not _VARIABLE.fullmatch(name):
            problems.append(f"its {_NAME} {clean(name)[:60]!r} cannot be a variable's; not used")
            return ()
    return tuple(stated)


def _dims(common: Tags, bands: Sequence[Tags]) -> list[str]:
    if _EXTRA in common:
        return _listed(common[_EXTRA])
    of_bands = [key.removeprefix(_DIM) for tags in bands for key in tags if key.startswith(_DIM)]
    of_all = [
        key.removeprefix(_DIM).removesuffix("_VALUES")
        for key in common
        if key.startswith(_DIM) and key.endswith("_VALUES")
    ]
    return list(dict.fromkeys([*of_bands, *of_all]))


def _places(
    dims: Sequence[str], common: Tags, bands: Sequence[Tags], names: Sequence[str]
) -> dict[str, list[str]]:
    """Return the coordinate of each band in each dimension, as text.

    A band's own tag takes precedence: the dataset's lists are not changed when a file with fewer
    bands is made.

    Raises
    ------
    ValueError
        Tags contradict each other, or are missing for some bands.
    """
    lists = {dim: _values(dim, common) for dim in dims}
    own = {dim: [tags.get(_DIM + dim) for tags in bands] for dim in dims}
    found: dict[str, list[str]] = {}
    for dim in dims:
        values = [value for value in own[dim] if value is not None]
        for value in values:
            if lists[dim] and not any(_same(value, each) for each in lists[dim]):
                msg = f"a band has {dim} {clean(value)[:40]}, which is not in the file's list"
                raise ValueError(msg)
        if len(values) == len(bands):
            found[dim] = values
    if len(found) == len(dims):
        return found
    total = math.prod(len(lists[dim]) for dim in dims)
    if any(names.count(name) != total for name in set(names)):
        sizes = " x ".join(f"{len(lists[dim])} {clean(dim)}" for dim in dims)
        msg = f"it has {len(bands)} bands, but {sizes[:200]} in its tags"
        raise ValueError(msg)
    # For each variable, bands are in the order of the lists, the last dimension fastest.
    every = {name: product(*(lists[dim] for dim in dims)) for name in names}
    rows = [next(every[name]) for name in names]
    for index, dim in enumerate(dims):
        values = [row[index] for row in rows]
        for mine, listed in zip(own[dim], values, strict=True):
            if mine is not None and not _same(mine, listed):
                msg = f"a band has {dim} {clean(mine)[:40]}, but the file's list {listed[:40]}"
                raise ValueError(msg)
        found.setdefault(dim, values)
    return found


def _values(dim: str, common: Tags) -> list[str]:
    values = _listed(common.get(f"{_DIM}{dim}_VALUES", ""))
    size = _listed(common.get(f"{_DIM}{dim}_DEF", ""))[:1]
    if values and size and size[0] != str(len(values)):
        msg = f"{dim} has {clean(size[0])[:20]} values by one tag and {len(values)} by another"
        raise ValueError(msg)
    return values


def _listed(text: str) -> list[str]:
    inner = text.strip().removeprefix("{").removesuffix("}")
    return [entry.strip() for entry in inner.split(",") if entry.strip()]


def _same(one: str, other: str) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-12)
    except ValueError:
        return one == other


def _time_dim(dims: Sequence[str], common: Tags) -> str | None:
    from stacbuild.formats.zarr_decode import is_time_unit

    named = [dim for dim in dims if dim.lower() == "time"]
    counted = [dim for dim in dims if is_time_unit(common.get(f"{dim}#units"))]
    return next(iter([*named, *counted]), None)


def _decoded(dim: str, common: Tags, places: Sequence[str]) -> tuple[dt.datetime, ...]:
    """Return times decoded by `stacbuild.formats.zarr_decode`."""
    import xarray as xr

    from stacbuild.formats.zarr_decode import decoded, is_time_unit

    attrs: dict[str, str | float] = {"units": common.get(f"{dim}#units", "")}
    if not is_time_unit(attrs["units"]):
        msg = f"{dim}#units is {clean(str(attrs['units']))[:60]!r}, no unit since a date"
        raise ValueError(msg)
    if calendar := common.get(f"{dim}#calendar"):
        attrs["calendar"] = calendar
    if fill := common.get(f"{dim}#_FillValue"):
        attrs["_FillValue"] = float(fill)
    numbers = np.array([float(place) for place in places])
    if not np.isfinite(numbers).all():
        msg = f"{dim} has a value that is not a number"
        raise ValueError(msg)
    found = decoded(xr.Dataset(coords={dim: (dim, numbers, attrs)}), 3)[dim].values
    if np.isnat(found).any():
        msg = f"{dim} has a step without a value"
        raise ValueError(msg)
    # Rounded to microseconds, as fractions of a day are not exact in binary.
    micros = (found.astype("datetime64[ns]").astype(np.int64) + 500) // 1000
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return tuple(epoch + dt.timedelta(microseconds=int(each)) for each in micros)
