"""Directories of a TIFF read from its bytes, in either order and size."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from stacbuild.formats.tiff import Layout, Read, directories, has_mask


def reader(content: bytes) -> Read:
    return lambda start, stop: content[start:stop]


def written(path: Path, *, mask: bool = False, **options: Any) -> bytes:
    profile = {"driver": "GTiff", "width": 32, "height": 32, "count": 1, "dtype": "uint8"}
    profile |= {"transform": rasterio.Affine(2, 0, 0, 0, -2, 0), **options}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile) as file,
    ):
        file.write(np.ones((1, 32, 32), "uint8"))
        if mask:
            file.write_mask(np.eye(32, dtype="uint8") * 255)
    return path.read_bytes()


@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
@pytest.mark.parametrize("big", ["YES", "NO"])
def test_widths_and_texts_of_each_kind_of_tiff(tmp_path: Path, order: str, big: str) -> None:
    read = reader(written(tmp_path / "a.tif", ENDIANNESS=order, BIGTIFF=big, nodata=7))
    assert Layout.of(read) == Layout("<" if order == "LITTLE" else ">", big == "YES")
    ((layout, directory),) = directories(read)
    assert layout.number(directory.entries[256]) == 32
    # GDAL's tag of no data is text.
    assert layout.text(read, directory.entries[42113]) == "7"
    assert directory.following == 0


@pytest.mark.parametrize("mask", [True, False])
def test_a_mask_is_a_directory_of_its_own(tmp_path: Path, *, mask: bool) -> None:
    read = reader(written(tmp_path / "a.tif", mask=mask))
    assert has_mask(read) is mask
    assert len(list(directories(read))) == 1 + mask


def test_damaged_directories_are_refused(tmp_path: Path) -> None:
    content = bytearray(written(tmp_path / "a.tif"))
    with pytest.raises(ValueError, match="end of the file"):
        list(directories(reader(bytes(content[:4] + struct.pack("<I", 10**9)))))
    at = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, at)[0]
    circle = bytes(content[: at + 2 + count * 12]) + struct.pack("<I", at)
    with pytest.raises(ValueError, match=f"byte {at}"):
        list(directories(reader(circle)))
    struct.pack_into("<H", content, at, 60_000)
    with pytest.raises(ValueError, match="damaged"):
        list(directories(reader(bytes(content))))
