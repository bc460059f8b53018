"""GRIB files, written with eccodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.formats.eccodes_library import load_eccodes

LAT = np.linspace(59.5, 40.5, 20)
LON = np.linspace(0.5, 29.5, 30)


def field(seed: int = 0, *, missing: bool = False) -> NDArray[np.float64]:
    """Return values of (lat, lon)."""
    found = np.random.default_rng(seed).normal(280, 10, (LAT.size, LON.size))
    if missing:
        found[3:5, 4:6] = np.nan
    return found


def message(
    values: NDArray[np.float64], sample: str = "regular_ll_sfc_grib2", **keys: Any
) -> bytes:
    """Return a message with keys of eccodes; the grid is that of LAT and LON."""
    eccodes = load_eccodes("test")
    handle = eccodes.codes_grib_new_from_samples(sample)
    grid = {
        "Ni": LON.size,
        "Nj": LAT.size,
        "latitudeOfFirstGridPointInDegrees": LAT[0],
        "latitudeOfLastGridPointInDegrees": LAT[-1],
        "longitudeOfFirstGridPointInDegrees": LON[0],
        "longitudeOfLastGridPointInDegrees": LON[-1],
        "iDirectionIncrementInDegrees": 1.0,
        "jDirectionIncrementInDegrees": 1.0,
        "bitsPerValue": 16,
    }
    for key, value in {**grid, "dataDate": 20200131, "dataTime": 0, **keys}.items():
        eccodes.codes_set(handle, key, value)
    if np.isnan(values).any():
        eccodes.codes_set(handle, "bitmapPresent", 1)
        eccodes.codes_set(handle, "missingValue", 9999.0)
    eccodes.codes_set_values(handle, np.nan_to_num(values, nan=9999.0).ravel())
    found: bytes = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return found


def decoded(data: bytes) -> NDArray[np.float64]:
    """Return the values of one message, missing ones as NaN, by eccodes alone."""
    eccodes = load_eccodes("test")
    handle = eccodes.codes_new_from_message(data)
    eccodes.codes_set(handle, "missingValue", 9999.0)
    found = eccodes.codes_get_values(handle)
    eccodes.codes_release(handle)
    return np.where(found == 9999.0, np.nan, found).reshape(LAT.size, LON.size)


def write_grib(path: Path, *messages: bytes) -> Path:
    """Write messages to a file."""
    path.write_bytes(b"".join(messages))
    return path
