"""Times as stores write them: units, types, packing, values that are missing, calendars."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import cftime
import numpy as np
from numpy.typing import NDArray

from tests.fuzz.inputs import Chance, Json

_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


@dataclass(frozen=True)
class Times:
    """What stands in the array ``time``, and what it means.

    ``values`` are of seconds; ``fill`` is what stands for a missing one, None if there is none.
    """

    values: NDArray[np.datetime64]
    stored: NDArray[Any]
    attributes: Json
    fill: Any = None
    other_calendar: bool = False


def times(chance: Chance, traits: Json) -> Times:
    """Return random times."""
    count = int(chance.rng.integers(1, 6))
    unit = chance.of(list(_SECONDS))
    start = chance.of(["1970-01-01", "1850-01-01 00:00:00", "2000-1-1", "1900-01-01T12:00:00Z"])
    kind = chance.rarely("int64", ["int32", "float64", "float32", "packed", "uint16"], 0.5)
    calendar = chance.rarely(None, ["standard", "proleptic_gregorian", "noleap", "360_day"], 0.3)
    missing = chance.happens(0.1)
    epoch = np.datetime64(
        {"1970": "1970-01-01T00:00:00", "1850": "1850-01-01T00:00:00",
         "2000": "2000-01-01T00:00:00", "1900": "1900-01-01T12:00:00"}[start[:4]], "s"
    )  # fmt: skip
    step = int(chance.of([1, 8, 30])) * (86400 // _SECONDS[unit])
    # Dates of our days where the type reaches so far.
    wanted = (np.datetime64("2015-03-01T00:00:00", "s") - epoch).astype(int) // _SECONDS[unit]
    if kind == "uint16":
        unit, wanted, step = "days", min(int(wanted) // 86400 * 1, 40_000), 8
    if kind == "float32":
        unit, wanted, step = "days", int(chance.rng.integers(1000, 40_000)), 8
    numbers = wanted + step * np.arange(count)
    attributes: Json = {"units": f"{unit} since {start}", "standard_name": "time"}
    if calendar:
        attributes["calendar"] = calendar
    stored, fill = numbers, None
    if kind == "packed":
        scale = 8.0
        numbers = numbers // 8 * 8
        stored = (numbers // 8).astype("int64")
        attributes |= {"scale_factor": scale, "add_offset": 0.0}
    else:
        if kind == "int32" and numbers.max() > 2**31 - 1:
            kind = "int64"
        stored = numbers.astype(kind)
    values = epoch + (numbers * _SECONDS[unit]).astype("m8[s]")
    other = calendar in ("noleap", "360_day")
    if other:
        dates = cftime.num2date(numbers, attributes["units"], calendar)
        # A label that is no date of ours (30 February) is to be refused.
        with contextlib.suppress(ValueError):
            values = np.array([np.datetime64(date.isoformat(), "s") for date in dates])
    if missing and count > 1:
        fill = stored.dtype.type(-999 if stored.dtype.kind != "u" else 65535)
        stored = stored.copy()
        stored[count // 2] = fill
        values = values.copy()
        values[count // 2] = np.datetime64("NaT", "ns")
    traits["times"] = {"kind": kind, "units": attributes["units"], "missing": fill is not None}
    traits["calendar"] = calendar
    return Times(values, stored, attributes, fill, other)
