"""Decoding of coordinates of a foreign Zarr store.

Data are not decoded: packed values stay packed, nodata and dates stay numbers. They are written to
a cube like that, with the attributes that describe them. Coordinates are decoded, as the grid and
the times of a cube follow from them (CF 1.11, 4, 7.1 and 8.1), and so is ``_Unsigned``, without
which values have another order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.coders import CFDatetimeCoder

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_values import values_of

# Attributes with values of the type of the variable (CF 1.11, 2.5.1 and 3.5).
_OF_ITS_TYPE = (
    "_FillValue",
    "missing_value",
    "valid_min",
    "valid_max",
    "valid_range",
    "flag_values",
    "flag_masks",
)
_SCALING = ("scale_factor", "add_offset")
_PACKING = (*_SCALING, "_Unsigned")
# Wrong names of CF's calendars, and the right ones.
_CALENDARS = {"": "standard", "360": "360_day", "365": "365_day", "366": "366_day"}
_COUNTS = re.compile(
    r"\s*(?P<unit>weeks?|months?|mons?|years?|yrs?)\s+since\s+(?P<since>\S.*)", re.IGNORECASE
)
_OF_TIMES = (*_SCALING, "units", "calendar", "_FillValue", "missing_value", "dtype")
_IN_EVERY_MONTH = 28
# Larger numbers of months or weeks are beyond the supported times.
_MOST_COUNTS = 100_000


def decoded(raw: xr.Dataset, zarr_format: int) -> xr.Dataset:
    """Decode the coordinates of a dataset, and the sign of its data.

    Parameters
    ----------
    raw
        Opened with ``mask_and_scale=False`` and ``decode_times=False``.
    zarr_format
        2 or 3. In format 2 a fill value of 0 is the default, and ignored for a coordinate.

    Returns
    -------
    The dataset. Coordinates with a time unit are datetime64: dates of other calendars become the
    same dates of the standard one, as in `xarray.Dataset.convert_calendar`. Missing coordinates are
    NaN or NaT.

    Raises
    ------
    StacbuildError
        Times cannot be decoded, or are not dates of the standard calendar.
    """
    changed: dict[str, xr.Variable] = {}
    bounds = {str(name) for each in raw.coords.values() if (name := each.attrs.get("bounds"))}
    for key, stored in raw.variables.items():
        name, variable = str(key), _with_numbers(stored)
        if variable is not stored:
            changed[name] = variable
        if name in raw.coords and variable.ndim <= 1:
            try:
                changed[name] = _coordinate(name, variable, zarr_format)
            except StacbuildError:
                # Coordinates that are not of a dimension stay undecoded.
                if name in raw.dims:
                    raise
        elif name in bounds:
            _check_packing(name, variable)
            changed[name] = _unpacked(name, variable, zarr_format)
        elif name not in raw.coords and _is_unsigned(variable) is not None:
            changed[name] = _unsigned(name, variable)
    result = raw.assign({name: each for name, each in changed.items() if name not in raw.coords})
    result = result.assign_coords(
        {name: each for name, each in changed.items() if name in raw.coords}
    )
    result.set_close(raw.close)
    return result


def no_number(attrs: Mapping[Any, Any]) -> str | None:
    """Return the first of scale and offset that is not a number, with its value; else None."""
    for key in _SCALING:
        if key in attrs and not _is_number(attrs[key]):
            return f"{key} {attrs[key]!r}"
    return None


def _is_number(value: Any) -> bool:
    try:
        found = np.asarray(value)
    except ValueError:  # of a list of lists
        return False
    return found.size == 1 and found.dtype.kind in "iuf"


@dataclass(frozen=True)
class Count:
    """A unit of time that xarray does not decode: months, or seconds, since a date."""

    months: int
    seconds: float
    since: str


def count_of(unit: str, calendar: Any) -> Count | None:
    """Return the months or seconds of weeks, months or years since a date; None for other units.

    None also for months of the calendar ``360_day``, which are 30 days each.
    """
    found = _COUNTS.fullmatch(unit)
    if found is None:
        return None
    kind = found["unit"][0].lower()
    if kind == "m" and calendar == "360_day":
        return None
    return Count({"y": 12, "m": 1}.get(kind, 0), 7 * 86400.0 if kind == "w" else 0, found["since"])


def is_time_unit(unit: Any) -> bool:
    """Return whether a unit is a time since a date, as ``days since 2000-01-01`` (CF 1.11, 4.4)."""
    return isinstance(unit, str) and " since " in unit


def _with_numbers(variable: xr.Variable) -> xr.Variable:
    """Return the variable with scale and offset converted from text to numbers."""
    texts = {key: text for key in _SCALING if isinstance(text := variable.attrs.get(key), str)}
    numbers: dict[str, float] = {}
    for key, text in texts.items():
        with suppress(ValueError):
            numbers[key] = float(text)
    if not numbers:
        return variable
    found = variable.copy(deep=False)
    found.attrs = variable.attrs | numbers
    return found


def _coordinate(name: str, variable: xr.Variable, zarr_format: int) -> xr.Variable:
    if variable.dtype.kind not in "iuf":
        return variable
    _check_packing(name, variable)
    if not is_time_unit(variable.attrs.get("units")):
        return _unpacked(name, variable, zarr_format)
    plain = _with_known_calendar(_with_one_fill(variable, zarr_format))
    values_of(name, plain)
    numbers = _decode_cf(name, plain, decode_times=False).values
    if (counted := count_of(str(plain.attrs["units"]), plain.attrs.get("calendar"))) is not None:
        return _counted(name, plain, numbers, counted)
    # Decoded in microseconds first: nanoseconds overflow outside of 1678 to 2262. Fractions of a
    # day lose precision in them, so the range is that of the integers around.
    whole = _whole_range(plain, numbers)
    found = _times(name, plain if whole is None else whole, "us")
    if whole is not None:
        if found.dtype.kind == "O":
            found = _times(name, _without_gaps(plain, numbers), "us")
        elif _counted_in_ns(found.values):
            found = _times(name, plain, "ns")
    calendar = variable.attrs.get("calendar", "standard")
    if found.dtype.kind == "O":
        missing = np.isnan(numbers) if numbers.dtype.kind == "f" else np.zeros(numbers.shape, bool)
        labels = found.values.copy()
        labels[missing] = None
        found = xr.Variable(
            found.dims, _standard_dates(name, str(calendar), labels), found.attrs, found.encoding
        )
    if not _counted_in_ns(found.values):
        there = found.values[~np.isnat(found.values)].astype("datetime64[D]")
        raise StacbuildError(
            f"coordinate {name}: reaches from {there.min()} to {there.max()}; only times from 1678 "
            "to 2261 are supported"
        )
    return found if found.dtype == np.dtype("datetime64[ns]") else _times(name, plain, "ns")


def _check_packing(name: str, variable: xr.Variable) -> None:
    if (odd := no_number(variable.attrs)) is not None:
        raise StacbuildError(f"coordinate {name}: has the {odd}, which is not a number")


def _with_known_calendar(variable: xr.Variable) -> xr.Variable:
    """Return a variable of times with CF's name of its calendar."""
    stated = str(variable.attrs.get("calendar", "standard")).strip().lower()
    if "calendar" in variable.attrs and stated in _CALENDARS:
        variable.attrs = variable.attrs | {"calendar": _CALENDARS[stated]}
    return variable


def _counted(name: str, variable: xr.Variable, numbers: NDArray[Any], by: Count) -> xr.Variable:
    """Return the times of whole weeks, months or years since a date.

    Day of the month and time of day are those of the date, which is what is meant in practice; for
    UDUNITS a month is a twelfth of 365.242 days.
    """
    calendar = str(variable.attrs.get("calendar", "standard"))
    if calendar in ("standard", "gregorian"):
        # Dates are the same, also before 1582.
        calendar = "proleptic_gregorian"
    since = xr.Variable((), 0, {"units": f"days since {by.since}", "calendar": calendar})
    start = _times(name, since, "us").values
    if start.dtype.kind == "O":
        start = _standard_dates(name, calendar, start)
    start = start.astype("datetime64[us]")
    there = np.isfinite(numbers) if numbers.dtype.kind == "f" else np.ones(numbers.shape, bool)
    counts = numbers[there]
    month = start.astype("datetime64[M]")
    stated = f"coordinate {name}: times in {variable.attrs['units']!r}"
    if by.months and (start - month) // np.timedelta64(1, "D") >= _IN_EVERY_MONTH:
        raise StacbuildError(
            f"{stated} count from a day that not every month has; write them again"
        )
    if by.months and (counts != np.round(counts)).any():
        raise StacbuildError(
            f"{stated} are fractions, whose length is uncertain; write them again "
            "as days (or, if months of 30 days are meant, with the calendar 360_day)"
        )
    far = (np.abs(counts) > _MOST_COUNTS).any()
    if by.months and not far:
        whole = counts.astype("int64") * by.months
        known = (month + whole).astype("datetime64[us]") + (start - month)
    elif not far:
        known = start + np.round(counts * by.seconds * 1e6).astype("timedelta64[us]")
    if far or not _counted_in_ns(known):
        raise StacbuildError(f"{stated} reach beyond the years 1678 to 2261, which are supported")
    times = np.full(numbers.shape, np.datetime64("NaT", "ns"))
    times[there] = known
    attrs = {key: value for key, value in variable.attrs.items() if key not in _OF_TIMES}
    return xr.Variable(variable.dims, times, attrs)


def _whole_range(variable: xr.Variable, numbers: NDArray[Any]) -> xr.Variable | None:
    """Return the first and last of fractional times as integers; None if times are not floats."""
    if numbers.dtype.kind != "f":
        return None
    there = numbers[~np.isnan(numbers)]
    ends = [np.ceil(there.min()), np.floor(there.max())] if there.size else [0]
    # Larger ones do not fit into integers, and are not valid times.
    if np.abs(ends).max() >= 2.0**63:
        return None
    keys = {"units", "calendar"} & set(variable.attrs)
    return xr.Variable(
        "ends", np.asarray(ends).astype("int64"), {key: variable.attrs[key] for key in keys}
    )


def _without_gaps(variable: xr.Variable, numbers: NDArray[Any]) -> xr.Variable:
    """Return times with NaN replaced by a number, as cftime does not support NaN."""
    missing = np.isnan(numbers)
    there = numbers[~missing]
    dropped = {*_OF_TIMES, "_Unsigned"} - {"units", "calendar"}
    attrs = {key: value for key, value in variable.attrs.items() if key not in dropped}
    filled = np.where(missing, there[0] if there.size else 0, numbers)
    return xr.Variable(variable.dims, filled, attrs)


def _times(name: str, variable: xr.Variable, unit: Any) -> xr.Variable:
    try:
        # Loaded here, as a later error would not name the coordinate.
        return _decode_cf(name, variable, decode_times=CFDatetimeCoder(time_unit=unit)).load()
    except (ValueError, OverflowError, ImportError) as error:
        stated = f"{variable.attrs.get('units')!r} in calendar "
        stated += repr(variable.attrs.get("calendar", "standard"))
        if find_spec("cftime") is None:
            raise StacbuildError(
                f"coordinate {name}: times in {stated} are decoded by the package cftime; "
                "install it: pip install cftime"
            ) from error
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise StacbuildError(
            f"coordinate {name}: times in {stated} cannot be decoded ({reason})"
        ) from error


def _counted_in_ns(times: NDArray[Any]) -> bool:
    there = times[~np.isnat(times)]
    # Compared in their own unit, as nanoseconds would overflow.
    low, high = (np.datetime64(day).astype(there.dtype) for day in ("1678-01-01", "2262-01-01"))
    return bool(((there >= low) & (there < high)).all())


def _standard_dates(name: str, calendar: str, times: NDArray[Any]) -> NDArray[Any]:
    """Return cftime's dates as the same dates of the standard calendar."""
    dates = np.full(times.shape, np.datetime64("NaT", "us"))
    for index, time in np.ndenumerate(times):
        if not hasattr(time, "year"):
            continue
        label = f"{time.year:04d}-{time.month:02d}-{time.day:02d}"
        try:
            day = np.datetime64(label, "us")
        except ValueError:
            raise StacbuildError(
                f"coordinate {name}: is in the calendar {calendar} and has the date {label}, which "
                "does not exist in the standard calendar; convert it with "
                'xarray.Dataset.convert_calendar("standard", align_on=...) and write it again'
            ) from None
        clock = ((time.hour * 60 + time.minute) * 60 + time.second) * 1_000_000 + time.microsecond
        dates[index] = day + np.timedelta64(clock, "us")
    return dates.astype("datetime64[ns]") if _counted_in_ns(dates) else dates


def _unpacked(name: str, variable: xr.Variable, zarr_format: int) -> xr.Variable:
    """Apply ``scale_factor``, ``add_offset`` and ``_FillValue``."""
    plain = _with_one_fill(variable, zarr_format)
    fill = plain.attrs.get("_FillValue", plain.attrs.get("missing_value"))
    packed = any(key in plain.attrs for key in _PACKING)
    plainly = fill is None or variable.ndim > 1
    if not packed and (plainly or not (values_of(name, variable) == fill).any()):
        # Unchanged, so that integers stay integers.
        return variable
    return _decode_cf(name, plain, decode_times=False)


def _with_one_fill(variable: xr.Variable, zarr_format: int) -> xr.Variable:
    """Return a coordinate with at most one fill value, a number."""
    plain = variable.copy(deep=False)
    for key in ("_FillValue", "missing_value"):
        value = plain.attrs.get(key)
        if value is None:
            continue
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or (key == "_FillValue" and zarr_format == 2 and value == 0):
            del plain.attrs[key]
    if "_FillValue" in plain.attrs:
        plain.attrs.pop("missing_value", None)
    if "_Unsigned" in plain.attrs:
        plain.attrs["_Unsigned"] = _lower(plain.attrs["_Unsigned"])
    return plain


def _lower(unsigned: Any) -> str:
    """Return ``_Unsigned`` in xarray's spelling; some stores have ``True``, or a boolean."""
    return str(unsigned).lower()


def _is_unsigned(variable: xr.Variable) -> bool | None:
    """Return ``_Unsigned`` as a boolean; None if it is missing or has no effect."""
    stated = _lower(variable.attrs.get("_Unsigned", ""))
    kind = variable.dtype.kind
    if (stated, kind) == ("true", "i"):
        return True
    return False if (stated, kind) == ("false", "u") else None


def _unsigned(name: str, variable: xr.Variable) -> xr.Variable:
    """Return a data variable with ``_Unsigned`` decoded, lazily."""
    attrs = dict(variable.attrs)
    sign = variable.copy(deep=False)
    sign.attrs = {"_Unsigned": _lower(attrs.pop("_Unsigned"))}
    found = _decode_cf(name, sign, decode_times=False)
    for key in _OF_ITS_TYPE:
        if key in attrs:
            attrs[key] = _as_type(attrs[key], variable.dtype, found.dtype)
    found.attrs = attrs
    found.encoding = variable.encoding | {"dtype": found.dtype}
    return found


def _as_type(value: Any, stored: np.dtype[Any], meant: np.dtype[Any]) -> Any:
    """Return a number, of the stored or the decoded type, in the decoded type."""
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iuf":
        return value
    size = 1 << (8 * stored.itemsize)
    low = int(np.iinfo(meant).min)
    wrapped = [(int(number) - low) % size + low for number in numbers.ravel().tolist()]
    found = np.array(wrapped, meant).reshape(numbers.shape)
    return found[()] if found.ndim == 0 else found


def _decode_cf(name: str, variable: xr.Variable, **options: Any) -> xr.Variable:
    return xr.conventions.decode_cf_variable(name, variable, decode_timedelta=False, **options)
