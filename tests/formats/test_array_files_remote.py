"""NetCDF, HDF5 and zipped Zarr on servers: read in place, by ranges, in few requests."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import stacbuild
from stacbuild.errors import IntegrityError, NotFoundError, RemoteError
from stacbuild.formats.zarr_store import open_source
from tests.standins.s3 import S3Server
from tests.support.array_files import LAT, LON, add_hdf5, values, write_groups, write_netcdf
from tests.support.file_server import FileServer


@pytest.mark.parametrize("file_format", ["NETCDF4", "NETCDF3_64BIT_DATA"])
def test_a_url_has_the_values_of_the_file(tmp_path: Path, file_format: str) -> None:
    path = write_netcdf(tmp_path / "a.nc", file_format)
    with FileServer({"/a.nc": path.read_bytes()}) as server:
        with open_source(f"{server.url}/a.nc") as found, open_source(str(path)) as local:
            assert found.load().identical(local.load())
        assert all("Range" in each.headers for each in server.asked)


def test_only_the_chunks_of_a_window_are_fetched(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["time_coverage_start"] = "2020-01-01"
        noise = np.random.default_rng(0).integers(0, 2**31, (800, 1200), "i4")
        data = file.create_dataset("z", data=noise, chunks=(100, 100), compression="gzip")
        for number, (name, axis) in enumerate((("lat", 800), ("lon", 1200))):
            file.create_dataset(name, data=np.arange(axis) / 100).make_scale(name)
            data.dims[number].attach_scale(file[name])
    with FileServer({"/a.h5": path.read_bytes()}) as server:
        with open_source(f"{server.url}/a.h5") as found:
            window = found["z"][150:160, 310:320].values
        assert np.array_equal(window, noise[150:160, 310:320])
        assert server.body_bytes < path.stat().st_size / 5
        assert len(server.asked) < 12


def test_groups_and_missing_files_on_a_server(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.nc")
    page = b"<!DOCTYPE html><html>Log in</html>"
    with FileServer({"/a.nc": path.read_bytes(), "/page.nc": page}) as server:
        found = stacbuild.describe("https", server.url, "a.nc/forecast")
        assert found["href"] == f"{server.url}/a.nc"
        assert found["variables"]["tp"]["shape"] == [3, 20, 30]
        with pytest.raises(NotFoundError, match=r"none\.nc: not found"):
            stacbuild.describe("https", server.url, "none.nc")
        with pytest.raises(NotFoundError, match="has no group hindcast"):
            stacbuild.describe("https", server.url, "a.nc/hindcast")
        with pytest.raises((IntegrityError, RemoteError), match=r"page\.nc: .*HTML page"):
            stacbuild.describe("https", server.url, "page.nc")


def test_an_interrupted_body_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        add_hdf5(file, "z", np.tile(values()[0], (1, 1)))
    with (
        FileServer({"/a.h5": path.read_bytes()}, cuts=[3000]) as server,
        open_source(f"{server.url}/a.h5") as found,
    ):
        assert np.array_equal(found["z"].values, values()[0], equal_nan=True)


def test_a_bucket(s3_server: S3Server, tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.nc")
    s3_server.put("own/a.nc", path.read_bytes(), "files")
    params = {"storage_options": {"anon": True, "endpoint_url": s3_server.url}}
    (entry,) = stacbuild.list_data("s3", "files/own", params=params)
    assert (entry.data_id, entry.type) == ("a.nc", "NetCDF")
    found = stacbuild.describe("s3", "files/own", "a.nc/forecast", params=params)
    assert found["href"] == f"{s3_server.url}/files/own/a.nc"
    assert found["variables"]["tp"]["shape"] == [3, 20, 30]


@pytest.mark.parametrize("fmt", [2, 3])
def test_a_zipped_zarr_at_a_url(tmp_path: Path, fmt: int) -> None:
    data = xr.Dataset(
        {"v": (("time", "lat", "lon"), values())},
        {
            "time": np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]"),
            "lat": LAT,
            "lon": LON,
        },
    )
    data.to_zarr(tmp_path / "a.zarr", zarr_format=fmt, consolidated=fmt == 2)
    shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "a.zarr")
    with FileServer({"/a.zarr.zip": (tmp_path / "a.zarr.zip").read_bytes()}) as server:
        with open_source(f"{server.url}/a.zarr.zip") as found:
            assert np.array_equal(found["v"].values, values(), equal_nan=True)
        assert stacbuild.describe("https", server.url, "a.zarr.zip")["shape"] == [20, 30]
