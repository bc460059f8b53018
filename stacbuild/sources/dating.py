"""The time of a file, from its name and its header, in a documented order of trust."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rasterio.io import DatasetReader

from stacbuild.config.patterns import Period, period_of
from stacbuild.formats.file_format import apart
from stacbuild.profiles import DataProfile
from stacbuild.stac.raster_item import period_of_header, period_of_profile

TIFF_DATE = "its TIFFTAG_DATETIME"
PROFILE = "its profile"

# A date stands alone between delimiters; a number with another letter or digit beside it is none.
_START, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_YEAR, _MONTH, _DAY = r"(?P<year>(?:19|20)\d\d)", r"(?P<month>\d\d)", r"(?P<day>\d\d)"
_TIME = r"(?:T(?P<hour>\d\d):?(?P<minute>\d\d):?(?P<second>\d\d)Z?)?"
_DATES = tuple(
    re.compile(f"{_START}{text}{_END}", re.ASCII)
    for text in (
        rf"{_YEAR}{_MONTH}{_DAY}{_TIME}",
        rf"{_YEAR}(?P<gap>[-_.]){_MONTH}(?P=gap){_DAY}{_TIME}",
        # 2020-01-31T10-30 and 2020-01-1 are days.
        rf"{_YEAR}(?P<gap>[-_.]){_MONTH}(?!(?P=gap)\d\d?(?:T|{_END}))",
    )
)
# What may be another year, such as that of a version.
_OTHER_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)", re.ASCII)

_TIFF = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Dated:
    """The time of a file.

    Parameters
    ----------
    period
        None if nothing states it.
    where
        What states it.
    differs
        Another statement that contradicts it; empty if there is none.
    """

    period: Period | None = None
    where: str = ""
    differs: str = ""

    @property
    def note(self) -> str:
        """A warning about the contradiction; empty if there is none."""
        if not self.differs or self.period is None:
            return ""
        return (
            f"{self.where} states the time {shown(self.period)}, but {self.differs}; "
            f"{self.where} counts"
        )


def first_of(stated: Sequence[tuple[str, Period | None]]) -> Dated:
    """Return the first period that is stated; the names of statements begin with ``its``."""
    known = [(where, period) for where, period in stated if period is not None]
    if not known:
        return Dated()
    where, period = known[0]
    for other, another in known[1:]:
        if not period.overlaps(another):
            return Dated(period, where, f"{other} states {shown(another)}")
    return Dated(period, where)


def raster_dated(
    raster: DatasetReader, profile: DataProfile, path: str, by_pattern: Period | None
) -> Dated:
    """Return the time of an open raster, from all that can state it.

    Parameters
    ----------
    path
        Path of the file in its store.
    by_pattern
        What the pattern that matched the path states.
    """
    tags = raster.tags()
    return first_of(
        [
            *_stated_without_header(profile, by_pattern),
            ("its netCDF metadata", None if profile.years else period_of_header(raster)),
            ("its tag time_coverage_start", date_of_tags(tags)),
            ("its name", date_in_name(path)),
            (TIFF_DATE, date_of_tiff(tags)),
        ]
    )


def group_dated(
    profile: DataProfile,
    own: tuple[dt.datetime, dt.datetime] | None,
    path: str,
    by_pattern: Period | None,
) -> Dated:
    """Return the time of arrays; *own* is the period that their metadata state."""
    return first_of(
        [
            (PROFILE, period_of_profile(profile)),
            ("its metadata", Period(*own) if own else None),
            ("its name by the pattern", by_pattern),
            ("its name", date_in_name(path)),
        ]
    )


def unread_dated(profile: DataProfile, path: str, by_pattern: Period | None) -> Dated:
    """Return the time of a raster whose header cannot be read yet, as `raster_dated`."""
    stated = _stated_without_header(profile, by_pattern)
    return first_of([*stated, ("its name", date_in_name(path))])


def _stated_without_header(
    profile: DataProfile, by_pattern: Period | None
) -> list[tuple[str, Period | None]]:
    return [(PROFILE, period_of_profile(profile)), ("its name by the pattern", by_pattern)]


def date_in_name(path: str) -> Period | None:
    """Return the date in the name of a file; None unless there is exactly one.

    Dates are ``20200131``, ``20200131T103000``, ``2020-01-31`` and ``2020-01``, also with ``_`` or
    ``.``, from 1900 on. A year alone is none: it may as well be a version, a code or a tile.
    """
    name = PurePosixPath(apart(path)[0]).name
    stem = re.sub(r"(\.zarr)?\.[A-Za-z]\w*$", "", name)
    for regex in _DATES:
        if found := regex.search(stem):
            rest = stem[: found.start()] + " " + stem[found.end() :]
            other = any(each.search(rest) for each in _DATES) or _OTHER_YEAR.search(rest)
            if other:
                return None
            parts = found.groupdict()
            parts.pop("gap", None)
            try:
                return period_of({key: text for key, text in parts.items() if text})
            except ValueError:
                return None
    return None


def date_of_tiff(tags: Mapping[str, str]) -> Period | None:
    """Return the time in ``TIFFTAG_DATETIME`` (TIFF 6.0: of the creation of the image)."""
    text = tags.get("TIFFTAG_DATETIME", "").strip("\0 ")
    for form in _TIFF:
        try:
            when = dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        return Period(when, when)
    return None


def date_of_tags(tags: Mapping[str, str]) -> Period | None:
    """Return the period in tags of ACDD 1.3, ``time_coverage_start`` and ``_end``."""
    found = []
    for name in ("start", "end"):
        key = f"time_coverage_{name}"
        text = tags.get(key) or tags.get(f"NC_GLOBAL#{key}")
        try:
            when = dt.datetime.fromisoformat(text) if text else None
        except ValueError:
            return None
        if when is not None:
            utc = when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
            found.append(utc)
    return Period(found[0], found[-1]) if found and found[0] <= found[-1] else None


def shown(period: Period) -> str:
    """Return a period for messages: its day, or its first and last day."""
    first, last = (f"{each:%Y-%m-%d}" for each in (period.start, period.end))
    return first if first == last else f"{first} to {last}"
