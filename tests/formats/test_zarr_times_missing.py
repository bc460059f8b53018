"""Times without a value, in every unit and calendar."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from stacbuild.formats.zarr_decode import decoded

A_DAY = {"days": 1, "hours": 24, "minutes": 1440, "seconds": 86400}


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "julian"])
@pytest.mark.parametrize("unit", A_DAY)
def test_a_missing_time_of_another_calendar_is_none(unit: str, calendar: str) -> None:
    numbers = np.array([-999, A_DAY[unit], -999, 3 * A_DAY[unit]])
    attrs = {
        "units": f"{unit} since 2000-01-01", "calendar": calendar, "standard_name": "time",
        "_FillValue": -999,
    }  # fmt: skip
    found = decoded(xr.Dataset(coords={"time": xr.Variable("time", numbers, attrs)}), 2)["time"]
    wanted = np.array(["NaT", "2000-01-02", "NaT", "2000-01-04"], "datetime64[ns]")
    np.testing.assert_array_equal(found.values, wanted)
    assert found.attrs["standard_name"] == "time"
