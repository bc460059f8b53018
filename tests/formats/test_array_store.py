"""NetCDF and HDF5 files as groups: nested ones, names of times, what is no such file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stacbuild.errors import IntegrityError, MissingError, StacbuildError
from stacbuild.formats.array_file import parts
from stacbuild.formats.array_store import split_href
from stacbuild.formats.zarr_store import group_paths, open_source
from tests.support.array_files import LAT, values, write_groups, write_hdf5


def test_a_group_has_the_coordinates_of_the_groups_above(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.nc")
    with open_source(f"{path}/forecast") as found:
        assert np.array_equal(found["tp"].values, values(), equal_nan=True)
        assert found["tp"].dims == ("time", "latitude", "longitude")
        assert np.allclose(found["latitude"].values, LAT[::-1])
        assert str(found["time"].values[2]).startswith("2024-02-28T12")
    assert group_paths(str(path)) == ["", "forecast", "other/deep"]


def test_groups_are_named_where_one_is_needed_or_does_not_exist(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.nc")
    with pytest.raises(MissingError, match=r"name one of them: a\.nc/forecast, a\.nc/other/deep"):
        open_source(str(path))
    with pytest.raises(MissingError, match=r"has no group hindcast; there are .*a\.nc/forecast"):
        open_source(f"{path}/hindcast")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "is an HTML page"),
        (b"\x0e\x03\x13\x01 and more", "is HDF4, not NetCDF, HDF5 or GRIB"),
        (b"GRIB\0\0\0\2", "is cut off"),
        (b"", "is neither NetCDF, HDF5 nor GRIB"),
        (b"version https://git-lfs.github.com/spec/v1", "is neither NetCDF, HDF5 nor GRIB"),
    ],
)
def test_a_file_that_is_something_else_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(IntegrityError, match=message):
        open_source(str(tmp_path / "a.nc"))


def test_a_file_without_a_suffix_is_read(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "download")
    with open_source(str(path)) as found:
        assert np.array_equal(found["z"].values, values()[0], equal_nan=True)


def test_a_file_is_told_from_the_group_in_it(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.h5")
    assert split_href(f"{path}/b/c") == (str(path), "b/c")
    assert split_href(str(tmp_path / "none.nc")) is None
    assert split_href("https://a.org/b.nc/c/d") == ("https://a.org/b.nc", "c/d")
    assert split_href("https://a.nc/b.zarr") is None
    assert split_href("https://a.org/b.nc/c.zarr") is None
    assert split_href("s3://bucket/b.h5") == ("s3://bucket/b.h5", "")


def test_a_large_array_in_one_piece_is_read_in_parts() -> None:
    assert parts((365, 720, 1440), 4) == (1, 720, 1440)
    assert parts((21600, 43200), 4) == (24, 43200)
    assert parts((5, 20, 30), 2) == (5, 20, 30)
    assert parts((5, 20, 30), 2, whole=1) == (1, 20, 30)
    assert parts((), 8) == ()
    assert parts((0, 4), 8) == (1, 4)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StacbuildError, match=r"none\.nc: "):
        open_source(str(tmp_path / "none.nc"))
