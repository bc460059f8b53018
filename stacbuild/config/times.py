"""Types for times of a configuration: moments, durations and frequencies."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from stacbuild.config.types import Text, show

if TYPE_CHECKING:
    import pandas as pd


def _moment(value: Any) -> Any:
    # YAML parses 2020-01-01 as a date, and 2020 as a number.
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_moment(value: str) -> str:
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?)?)?", value):
        msg = f"has to be a date like 2020, 2020-07 or 2020-07-01T12:00, got {show(value)}"
        raise ValueError(msg)
    return value


# Frequencies that are deprecated in pandas 2 and removed in pandas 3, and their replacements. The
# table is needed because a filter that turns the warning into an error would hold for all threads.
_REPLACEMENTS = {
    "A": "YE",
    "AS": "YS",
    "BA": "BYE",
    "BAS": "BYS",
    "BH": "bh",
    "BM": "BME",
    "BQ": "BQE",
    "BY": "BYE",
    "CBH": "cbh",
    "CBM": "CBME",
    "H": "h",
    "L": "ms",
    "M": "ME",
    "MIN": "min",
    "N": "ns",
    "NS": "ns",
    "Q": "QE",
    "S": "s",
    "SM": "SME",
    "T": "min",
    "U": "us",
    "US": "us",
    "Y": "YE",
}
_LOWER = frozenset({"h", "min", "s", "ms", "us", "ns", "bh", "cbh"})
_UPPER = frozenset(
    {"W", "ME", "SME", "SMS", "BME", "BMS", "CBME", "CBMS", "QE", "QS", "BQE", "BQS", "YE", "YS"}
    | {"BYE", "BYS"}
)


def _deprecated(frequency: str) -> str | None:
    """Return pandas' message about a deprecated frequency; None if it has none."""
    for name in re.findall(r"[A-Za-z]+", frequency.partition("-")[0]):
        upper = name.upper()
        instead = _REPLACEMENTS.get(name)
        if instead is None and name.islower() and name not in _LOWER:
            instead = _REPLACEMENTS.get(upper) or (upper if upper in _UPPER else None)
        if instead is not None:
            return f"{name!r} is deprecated, use {instead!r} instead"
    return None


def _is_frequency(value: str) -> str:
    # Imported when used: it takes half a second.
    import pandas as pd

    if value == "all":
        return value
    reason = _deprecated(value)
    offset = None
    if reason is None:
        try:
            offset = pd.tseries.frequencies.to_offset(value)
        except ValueError as error:
            reason = " ".join(str(error).split()).partition(", failed to parse")[0]
    if reason is not None:
        msg = f"is not a frequency of pandas, such as YS, MS, 10D or all: {reason}"
        raise ValueError(msg)
    if offset is None or offset.n < 1:
        msg = f"has to be a frequency that goes forward, got {show(value)}"
        raise ValueError(msg)
    return value


def is_of_one_length(frequency: str) -> bool:
    """Return whether all steps of a frequency have the same length: days have, months have not."""
    import pandas as pd

    try:
        pd.Timedelta(pd.tseries.frequencies.to_offset(frequency))
    except (ValueError, TypeError):
        return False
    return True


def length_of_time(text: str) -> pd.Timedelta:
    """Return a duration parsed by pandas; raise ValueError if it cannot be parsed."""
    import pandas as pd

    # Not pd.Timedelta: with a string, pandas 2 first makes a timedelta without a unit, for which
    # NumPy 2.5 and later warn.
    return pd.to_timedelta([text])[0]


def _is_duration(value: str) -> str:
    try:
        length_of_time(value)
    except ValueError:
        msg = f"has to be a length of time, such as 12h or 10D, got {show(value)}"
        raise ValueError(msg) from None
    return value


_MOMENT_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "integer"}]}

Moment = Annotated[
    Text,
    BeforeValidator(_moment),
    AfterValidator(_is_moment),
    WithJsonSchema(_MOMENT_SCHEMA),
]
"""A date, or a date and a time in UTC, as in ISO 8601; a year or a month is all of it."""

Frequency = Annotated[Text, AfterValidator(_is_frequency)]
"""A frequency of pandas, such as ``YS`` (starts of years), or ``all``."""

Duration = Annotated[Text, AfterValidator(_is_duration)]
"""A duration in the notation of pandas, such as ``12h``; may be negative."""
