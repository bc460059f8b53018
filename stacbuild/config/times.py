"""Times of a configuration: moments, lengths of time, and frequencies."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from stacbuild.config.types import Text, show


def _moment(value: Any) -> Any:
    # YAML reads 2020-01-01 as a date, and 2020 as a number.
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_moment(value: str) -> str:
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?)?)?", value):
        msg = f"has to be a date like 2020, 2020-07 or 2020-07-01T12:00, got {show(value)}"
        raise ValueError(msg)
    return value


def _is_frequency(value: str) -> str:
    # Imported when used: it takes half a second.
    import pandas as pd

    if value == "all":
        return value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            offset = pd.tseries.frequencies.to_offset(value)
        except (ValueError, Warning) as error:
            said = " ".join(str(error).split()).partition(", failed to parse")[0]
            msg = f"is no frequency of pandas, such as YS, MS, 10D or all: {said}"
            raise ValueError(msg) from None
    if offset is None or offset.n < 1:
        msg = f"has to be a frequency that goes forward, got {show(value)}"
        raise ValueError(msg)
    return value


def is_of_one_length(frequency: str) -> bool:
    """Tell whether all steps of a frequency are equally long, as days are and months are not."""
    import pandas as pd

    try:
        pd.Timedelta(pd.tseries.frequencies.to_offset(frequency))
    except (ValueError, TypeError):
        return False
    return True


def _is_duration(value: str) -> str:
    import pandas as pd

    try:
        pd.Timedelta(value)
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
"""A date, or a date and a time in UTC, as in ISO 8601; a year or a month stands for all of it."""

Frequency = Annotated[Text, AfterValidator(_is_frequency)]
"""A frequency of pandas, such as ``YS`` (beginnings of years), or ``all``."""

Duration = Annotated[Text, AfterValidator(_is_duration)]
"""A length of time as pandas reads it, such as ``12h``; may be negative."""
