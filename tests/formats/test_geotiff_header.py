"""GeoTIFFs whose header is damaged where GDAL goes on: refused, never read without their mask."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp, Resampling

from tests.support.built import built, refused
from tests.support.rasters import noise, write

DATASET = {"grid_mapping": None}
LOCAL = (
    'PROJCS["Hoehe",GEOGCS["of its own",DATUM["of its own",SPHEROID["one",6378137,298.2]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",9],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def written(directory: Path, **profile: object) -> Path:
    """Write a raster with a mask and an overview: four directories, of which the first is whole."""
    path = directory / "src" / "one.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write(path, noise("uint8"), **profile)
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.eye(40, dtype="uint8") * 255)
            file.build_overviews([2], Resampling.nearest)
    return path


def directories(data: bytes) -> list[int]:
    """Return where the directories of a little-endian TIFF lie."""
    found = [struct.unpack_from("<I", data, 4)[0]]
    while following := struct.unpack_from("<I", data, end(data, found[-1]))[0]:
        found.append(following)
    return found


def end(data: bytes, directory: int) -> int:
    """Return where a directory names the next one."""
    return directory + 2 + 12 * int(struct.unpack_from("<H", data, directory)[0])


def entry(data: bytes, directory: int, tag: int) -> int:
    """Return where a directory has its entry of a tag."""
    starts = range(directory + 2, end(data, directory), 12)
    return next(at for at in starts if struct.unpack_from("<H", data, at)[0] == tag)


def spoil(path: Path, how: str) -> None:
    """Damage the second directory, which is the mask's."""
    data = bytearray(path.read_bytes())
    second = directories(data)[1]
    if how == "cut off":
        del data[second + 6 :]
    elif how == "beyond the end":
        struct.pack_into("<I", data, end(data, directories(data)[0]), len(data) + 100)
    elif how == "in a circle":
        struct.pack_into("<I", data, end(data, second), directories(data)[0])
    elif how == "empty":
        struct.pack_into("<H", data, second, 0)
    elif how == "no offsets":
        at = entry(data, second, 273)
        data[at : at + 12] = bytes(12)
    elif how == "unknown compression":
        struct.pack_into("<H", data, entry(data, second, 259) + 8, 60000)
    else:
        struct.pack_into("<H", data, entry(data, second, 258) + 8, 16)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "how",
    [
        "cut off",
        "beyond the end",
        "in a circle",
        "empty",
        "no offsets",
        "unknown compression",
        "of 16 bits",
    ],
)
@pytest.mark.parametrize("meaning", [ColorInterp.gray, ColorInterp.undefined])
def test_no_raster_is_read_without_its_mask(tmp_path: Path, how: str, meaning: ColorInterp) -> None:
    path = written(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [meaning]
    spoil(path, how)
    said = refused(tmp_path, DATASET)
    assert said.startswith(f"{path}: ")
    assert "report it" not in said


def test_of_a_header_that_gdal_cannot_read_in_full(tmp_path: Path) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("uint8"), nodata=7)
    data = bytearray(path.read_bytes())
    # The entry that states the value for no data.
    at = entry(data, directories(data)[0], 42113)
    data[at : at + 12] = bytes(12)
    path.write_bytes(data)
    said = refused(tmp_path, DATASET)
    assert said.startswith(f"{path}: its header is damaged; write it again (")


def test_pixels_of_no_extent_are_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "src" / "one.tif",
        noise("uint8"),
        transform=Affine(1e-300, 0, 10, 0, -0.18, 50),
    )
    said = refused(tmp_path, DATASET)
    assert said.startswith(f"{path}: has no extent in longitude and latitude")


def test_the_largest_doubles_have_no_deviation(tmp_path: Path) -> None:
    values = np.full((1, 40, 40), -1.7e308)
    values[0, :20] = 1.7e308
    write(tmp_path / "src" / "one.tif", values)
    assert built(tmp_path, DATASET).status == "COMPLETED"


def test_a_crs_whose_names_are_not_utf8_is_named(tmp_path: Path) -> None:
    # As older programs write them, in the code page of their users.
    path = write(
        tmp_path / "src" / "one.tif",
        noise("uint8"),
        crs=LOCAL,
        transform=Affine(100, 0, 500_000, 0, -100, 5_500_000),
    )
    path.write_bytes(path.read_bytes().replace(b"Hoehe", b"H\xf6hee"))
    said = refused(tmp_path, DATASET)
    assert said.startswith(f"{path}: cannot be opened as a GeoTIFF (a name in its CRS is not UTF")
    assert "gdal_edit" in said
