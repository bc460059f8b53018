"""Moments, frequencies and lengths of time as a configuration writes them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from stacbuild.config.times import Duration, Frequency, Moment, is_of_one_length, length_of_time

MOMENT, FREQUENCY, DURATION = map(TypeAdapter, (Moment, Frequency, Duration))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2020, "2020"),
        (dt.date(2020, 7, 1), "2020-07-01"),
        (dt.datetime(2020, 7, 1, 12), "2020-07-01T12:00:00"),
        ("2020-07", "2020-07"),
        ("2020-07-01 12:00:00.5Z", "2020-07-01 12:00:00.5Z"),
    ],
)
def test_moments_as_yaml_reads_them(value: Any, text: str) -> None:
    assert MOMENT.validate_python(value) == text


@pytest.mark.parametrize("value", [True, "07/2020", "2020-7", "2020-07-01T12", "now", ""])
def test_what_is_no_moment(value: Any) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(value)


@pytest.mark.parametrize("value", ["YS", "MS", "10D", "all", "12h", "W-SUN", "2QS-FEB", "bh"])
def test_frequencies_of_pandas(value: str) -> None:
    assert FREQUENCY.validate_python(value) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("M", "'M' is deprecated, use 'ME' instead"),
        ("3H", "use 'h' instead"),
        ("ys", "use 'YS' instead"),
        ("A-DEC", "use 'YE' instead"),
        ("fortnight", "frequency of pandas"),
        ("-1D", "goes forward"),
        ("0D", "goes forward"),
    ],
)
def test_what_is_no_frequency_is_told_without_a_warning(value: str, said: str) -> None:
    # Warnings are errors here.
    with pytest.raises(ValidationError, match=said):
        FREQUENCY.validate_python(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("10D", True), ("12h", True), ("MS", False), ("all", False)]
)
def test_steps_of_one_length(value: str, *, expected: bool) -> None:
    assert is_of_one_length(value) is expected


def test_lengths_of_time() -> None:
    assert DURATION.validate_python("-12h") == "-12h"
    assert length_of_time("12h") == dt.timedelta(hours=12)
    with pytest.raises(ValidationError, match="has to be a length of time, such as 12h or 10D"):
        DURATION.validate_python("a while")
