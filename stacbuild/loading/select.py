"""Select variables, times and bands of a dataset by ``open_params``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pystac
import xarray as xr
from numpy.typing import NDArray

from stacbuild.config.stores import kinds_that
from stacbuild.errors import BuildError
from stacbuild.stac.files import store_kind
from stacbuild.stac.item_time import FILE, is_undated
from stacbuild.stac.scenes import is_acquisition

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

_TILED = kinds_that(lambda model: model.is_tiled)


def chosen_names(
    variable: SourceVariable, known: Iterable[str], left_out: Mapping[str, str] | None = None
) -> list[str]:
    """Return the names of the selected variables, in the source's order.

    Parameters
    ----------
    known
        Readable variables.
    left_out
        Unreadable variables, with the reason.

    Raises
    ------
    BuildError
        If ``open_params`` or ``spatial_resample_params`` name an unknown or unreadable variable,
        or if no variable is readable.
    """
    names = list(known)
    for section in ("open_params.variable_names", "spatial_resample_params.variables"):
        key, _, field = section.partition(".")
        wanted = getattr(getattr(variable, key), field)
        if wanted is None:
            continue
        for name in wanted:
            if name in (left_out or {}):
                raise BuildError(
                    f"{variable.label}: {section} names {name!r}, which {(left_out or {})[name]}"
                )
        check_names(variable, section, wanted, names)
        names = [name for name in names if name in wanted]
    if left_out and not names:
        reasons = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
        raise BuildError(f"{variable.label}: has no variable that can be read: {reasons}")
    return names


def refuse_missing_times(variable: SourceVariable, dataset: xr.Dataset) -> None:
    """Raise a `BuildError` if a time is missing, since a cube cannot have such a step."""
    for dim, index in dataset.indexes.items():
        if isinstance(index, pd.DatetimeIndex) and index.hasnans:
            known = index.dropna()
            steps = ", ".join(str(step + 1) for step in np.flatnonzero(index.isna())[:5])
            hint = ""
            if dim == "time" and len(known):
                first, last = (f"{time:%Y-%m-%d}" for time in (known.min(), known.max()))
                hint = f"; take the others by open_params.time_range: [{first}, {last}]"
            raise BuildError(
                f"{variable.label}: {dim} has no value (NaT) at step {steps} of {len(index)}{hint}"
            )


def check_names(
    variable: SourceVariable, section: str, wanted: Iterable[str], known: Iterable[str]
) -> None:
    """Raise a `BuildError` if *section* of the configuration names an unknown variable."""
    names = sorted(known)
    for name in wanted:
        if name not in names:
            raise BuildError(
                f"{variable.label}: {section} names {name!r}, which is not a variable of it; "
                f"there are: {', '.join(names)}"
            )


def by_time(items: Sequence[pystac.Item]) -> dict[pd.Timestamp, list[pystac.Item]]:
    """Return the tiles of each time (UTC), in order.

    They are all together if they have no times, or the kind of store is tiled and they are not the
    files that a data id names.

    Raises
    ------
    BuildError
        If a time is not between the years 1677 and 2262, the range of nanoseconds in NumPy.
    """
    if all(is_undated(item.properties) for item in items) or any(
        store_kind(item) in _TILED and FILE not in item.properties for item in items
    ):
        return {pd.Timestamp(0): list(items)}
    found: dict[pd.Timestamp, list[pystac.Item]] = {}
    for item in items:
        stated = item.properties.get("start_datetime") or item.properties.get("datetime")
        try:
            time = _utc_time(stated)
        except pd.errors.OutOfBoundsDatetime as error:
            raise BuildError(
                f"item {item.id}: its time {stated} is not between the years 1677 and 2262, to "
                "which times of cubes are limited; select other items"
            ) from error
        found.setdefault(time, []).append(item)
    return dict(sorted(found.items()))


def has_time(items: Sequence[pystac.Item]) -> bool:
    """Return whether GeoTIFFs have a dimension ``time``, by their items and not by their bands.

    Those of several times have it, and scenes even if there is one only.
    """
    times = by_time(items)
    is_dated = list(times) != [pd.Timestamp(0)] and band_times(items[0]) is None
    return len(times) > 1 or (is_dated and any(map(is_acquisition, items)))


@lru_cache(maxsize=1024)
def _utc_time(stated: str) -> pd.Timestamp:
    # Cached, since the tiles of a product have few times, and are asked for them several times.
    return pd.to_datetime(stated, utc=True).tz_localize(None).as_unit("ns")


def band_times(item: pystac.Item) -> pd.DatetimeIndex | None:
    """Return the times (UTC) of a GeoTIFF's bands; None if they have none."""
    bands = item.assets["data"].extra_fields.get("bands", [])
    starts = [band["start_datetime"] for band in bands if "start_datetime" in band]
    if not starts or len(starts) != len(bands):
        return None
    return utc_times(starts)


def utc_times(texts: Sequence[str]) -> pd.DatetimeIndex:
    """Return times of items, of which some may have fractions of a second, without time zone."""
    return pd.to_datetime(texts, utc=True, format="ISO8601").tz_localize(None).as_unit("ns")


def within_time(
    variable: SourceVariable,
    dataset: xr.Dataset,
    bands: pd.DatetimeIndex | None,
    *,
    searched: bool,
) -> xr.Dataset:
    """Return the times of ``open_params.time_range``, both ends included.

    Parameters
    ----------
    bands
        Times along the dimension ``band``, if any.
    searched
        Whether the items were found by searching this range; then they need no times of their own.

    Raises
    ------
    BuildError
        If there are no times, or none in the range.
    """
    limits = variable.open_params.time_range
    if limits is None:
        return dataset
    if "band" in dataset.dims and bands is not None:
        dim: str | None = "band"
        times = bands
    elif (found := _times_of(variable, dataset)) is not None and not (searched and not found.ndim):
        dim = str(found.dims[0]) if found.ndim else None
        times = pd.DatetimeIndex(found.values.ravel())
    elif "time" in dataset.indexes:
        raise BuildError(
            f"{variable.label}: has no times that can be decoded, time holds "
            f"{str(dataset['time'].values[:1].tolist())[1:40].rstrip(']')}; leave open_params."
            "time_range out, or write them as CF has it (days since 2000-01-01)"
        )
    elif searched:
        return dataset
    else:
        raise BuildError(
            f"{variable.label}: has no times; leave open_params.time_range out, or date its "
            "bands in a profile"
        )
    inside = positions_within(times, limits)
    if not len(inside):
        raise BuildError(
            f"{variable.label}: open_params.time_range {_span(limits)} holds none of its times, "
            f"{times.min().isoformat()} to {times.max().isoformat()}"
        )
    return dataset if dim is None else dataset.isel({dim: inside})


def positions_within(
    times: pd.DatetimeIndex, limits: tuple[str | None, str | None]
) -> NDArray[np.intp]:
    """Return the positions of the times of ``open_params.time_range``, ascending."""
    # As in pandas, an end that is a year or a month includes all of it.
    whole = pd.Series(np.arange(len(times)), times)[times.notna()].sort_index()
    first, last = (_naive(limit) for limit in limits)
    return np.sort(whole.loc[first:last].to_numpy())


def _times_of(variable: SourceVariable, dataset: xr.Dataset) -> xr.DataArray | None:
    """Return the times that a range selects from; None if there are none.

    In this order: a dimension coordinate, a coordinate along a dimension of another name
    (``valid_time`` along ``step``), a scalar time. Of several, the one named ``time``, or with
    that CF standard name.

    Raises
    ------
    BuildError
        If there are several and none is identified as the time.
    """
    times: list[xr.DataArray] = [
        each for each in dataset.coords.values() if each.dtype.kind == "M" and each.ndim < 2
    ]
    for kind in (
        [each for each in times if each.dims == (each.name,)],
        [each for each in times if each.ndim and each.dims != (each.name,)],
        [each for each in times if not each.ndim],
    ):
        called = [each for each in kind if each.name == "time"]
        by_cf = [each for each in kind if each.attrs.get("standard_name") == "time"]
        for several in (called, by_cf, kind):
            if len(several) == 1:
                return several[0]
        if kind:
            names = ", ".join(sorted(str(each.name) for each in kind))
            raise BuildError(
                f"{variable.label}: has several times ({names}), and none is called time; leave "
                "open_params.time_range out"
            )
    return None


def bands_apart(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Return the bands of the variable *name* as variables ``band_1``, ``band_2``, ..."""
    array = dataset[name]
    if "band" not in array.dims:
        return dataset.rename({name: "band_1"})
    return xr.Dataset(
        {f"band_{int(band)}": array.sel(band=band, drop=True) for band in array["band"].values}
    )


def _naive(limit: str | None) -> str | None:
    # pandas takes strings without an offset for the time zone of the index, which is UTC.
    return limit.removesuffix("Z") if limit else None


def _span(limits: Sequence[str | None]) -> str:
    return "/".join(limit or ".." for limit in limits)
