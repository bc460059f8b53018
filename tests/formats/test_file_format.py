"""Which format names and first bytes state, and what is said of those that are not read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from stacbuild.errors import IntegrityError
from stacbuild.formats.file_format import Format, format_of, format_of_file, refuse


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.TIF", Format.GEOTIFF),
        ("https://a.org/b.tiff", Format.GEOTIFF),
        ("b.zarr", Format.ZARR),
        ("b.zarr/", Format.ZARR),
        ("b.zarr/group", Format.ZARR),
        ("b.zarr.zip", Format.ZIPPED_ZARR),
        ("data.nc", Format.NETCDF),
        ("data.nc/forecast/hourly", Format.NETCDF),
        ("data.nc/maps.tif", Format.GEOTIFF),
        ("d.he5", Format.HDF5),
        ("d.grb2", Format.GRIB),
        ("d.grib", Format.GRIB),
        ("T32.jp2", Format.JPEG2000),
        ("all.vrt", Format.VRT),
        ("MOD13.A2020.hdf", Format.HDF4),
        ("readme.txt", Format.OTHER),
        ("forest/2020", Format.OTHER),
        ("nc", Format.OTHER),
        ("tif/2020", Format.OTHER),
    ],
)
def test_a_name_states_its_format(path: str, expected: Format) -> None:
    assert format_of(path) is expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\x89HDF\r\n\x1a\n0000", Format.HDF5),
        (b"CDF\x05" + bytes(8), Format.NETCDF),
        (b"\x0e\x03\x13\x01" + bytes(8), Format.HDF4),
        (b"GRIB\0\0\0\2", Format.GRIB),
        (struct.pack("<2sHI", b"II", 42, 8), Format.GEOTIFF),
        (b"<html>", Format.OTHER),
        (b"", Format.OTHER),
    ],
)
def test_a_file_without_a_suffix_is_known_by_its_first_bytes(
    tmp_path: Path, start: bytes, expected: Format
) -> None:
    path = tmp_path / "download"
    path.write_bytes(start)
    assert format_of_file(path) is expected


def test_hdf_may_be_either_and_a_folder_is_a_group(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert format_of_file(path) is Format.HDF5
    (tmp_path / "b.nc").mkdir()
    assert format_of_file(tmp_path / "b.nc") is Format.ZARR
    assert format_of_file(tmp_path / "missing.hdf") is Format.HDF4


def test_a_format_that_is_not_read_is_named() -> None:
    with pytest.raises(IntegrityError, match=r"a\.hdf: is HDF4, which is not read; convert it"):
        refuse("a.hdf", Format.HDF4)
    refuse("a.zarr", Format.ZARR)
    refuse("any/name", Format.OTHER)
