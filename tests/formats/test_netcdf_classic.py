"""NetCDF classic files are read as netCDF's own library reads them."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_store import open_source
from tests.support.array_files import write_netcdf

FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")


@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize("file_format", [*FORMATS, "NETCDF4"])
def test_values_and_attributes(tmp_path: Path, file_format: str, records: bool) -> None:
    path = write_netcdf(tmp_path / "a.nc", file_format, records=records)
    with open_source(str(path)) as found, netCDF4.Dataset(path) as expected:
        expected.set_auto_maskandscale(False)
        for name in ("packed", "still", "lat", "lon", *(["flag"] if records else [])):
            assert np.array_equal(found[name].values, expected[name][:], equal_nan=True), name
            assert found[name].dtype == expected[name].dtype
            assert found[name].dims == expected[name].dimensions
        assert found["packed"].attrs["_FillValue"] == -32768
        assert found["packed"].attrs["scale_factor"] == 0.01
        assert found["packed"].attrs["units"] == "K"
        assert found.attrs["title"] == "Temperature"
        if records:
            # Of the calendar noleap.
            days = found["time"].values.astype("datetime64[D]").astype(str)
            assert list(days) == ["2020-01-30", "2020-01-31", "2020-02-01"]


def test_texts_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("time", None)
        file.createDimension("station", 2)
        file.createDimension("length", 5)
        rows = np.array([list("Jena "), list("Rom\0\0")], "S1")
        file.createVariable("name", "S1", ("station", "length"))[:] = rows
        file.createVariable("label", "S1", ("time", "length"))[:] = rows
        file.createVariable("odd", "i1", ("time", "length"))[:] = np.arange(10).reshape(2, 5)
    with open_source(str(path)) as found:
        assert list(found["name"].values) == ["Jena", "Rom"]
        assert list(found["label"].values) == ["Jena", "Rom"]
        assert np.array_equal(found["odd"].values, np.arange(10).reshape(2, 5))


@pytest.mark.parametrize(("keep", "reason"), [(-700, "is cut off"), (100, "header is damaged")])
@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_cut_off(tmp_path: Path, file_format: str, keep: int, reason: str) -> None:
    path = write_netcdf(tmp_path / "a.nc", file_format)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(IntegrityError, match=rf"a\.nc: .*{reason}"):
        open_source(str(path))


def test_a_length_that_is_too_long_takes_no_memory(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", "NETCDF3_CLASSIC")
    content = bytearray(path.read_bytes())
    content[12:16] = b"\x7f\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="header is damaged"):
        open_source(str(path))
