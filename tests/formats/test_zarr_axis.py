"""Which dimensions of a Zarr store are x and y, where names and attributes say it differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.built import INSIDE, LAT, LON
from tests.support.cli import Json
from tests.support.raw_zarr import Raw, made, write

VALUES = np.arange(120 * 120, dtype="int16").reshape(120, 120)


@pytest.mark.parametrize(
    ("of_rows", "of_columns"),
    [
        ({"units": "degrees_north"}, {"units": "degrees_east"}),
        ({"standard_name": "latitude", "units": "degrees"}, {"standard_name": "longitude",
                                                             "units": "degrees"}),
        ({"axis": "Y", "units": "degrees_north"}, {"axis": "X", "units": "degrees_east"}),
    ],
    ids=["units", "standard_name", "axis"],
)  # fmt: skip
def test_attributes_count_before_names(tmp_path: Path, of_rows: Json, of_columns: Json) -> None:
    write(
        tmp_path / "src" / "one.zarr",
        {
            "x": Raw(["x"], LAT, of_rows),
            "y": Raw(["y"], LON, of_columns),
            "v": Raw(["x", "y"], VALUES),
        },
    )
    cube = made(tmp_path)
    assert cube["v"].dims == ("lat", "lon")
    assert np.array_equal(cube["v"].values, VALUES[INSIDE])
