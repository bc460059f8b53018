"""Formats of foreign assets, by the many spellings of media types and by names."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.sources.stac.asset_kind import is_array_file, kind_of


@pytest.mark.parametrize(
    ("media", "href", "kind"),
    [
        ("image/tiff; application=geotiff; profile=cloud-optimized", "a", "raster"),
        ("image/TIFF", "a", "raster"),
        ("image/vnd.stac.geotiff", "a", "raster"),
        ("application/geotiff", "a", "raster"),
        ("image/png", "a.tif", None),
        ("application/json", "a.tif", None),
        ("application/vnd+zarr", "a", "zarr"),
        ("application/vnd.zarr; version=3", "a", "zarr"),
        ("application/zip", "a.zarr.zip", "zarr"),
        ("application/zip", "a.zip", None),
        ("application/x-netcdf", "a", "zarr"),
        ("application/wmo-GRIB2", "a", "zarr"),
        ("application/octet-stream", "a.grib2", "zarr"),
        (None, "https://host.example/a.TIF?token=x", "raster"),
        (None, "https://host.example/a.zarr/", "zarr"),
        (None, "s3://bucket/a.nc", "zarr"),
        ("", "a.txt", None),
        (7, "a.tif", None),
        (None, "http://[bad", None),
        (None, None, None),
    ],
)
def test_kinds(media: Any, href: Any, kind: str | None) -> None:
    assert kind_of({"type": media, "href": href}) == kind


def test_files_of_arrays_are_not_zarr_stores() -> None:
    assert is_array_file({"type": "application/x-hdf5", "href": "a"})
    assert is_array_file({"href": "a.h5"})
    # A media type counts more than a name.
    assert not is_array_file({"type": "application/json", "href": "a.h5"})
    assert not is_array_file({"href": "a.zarr"})
