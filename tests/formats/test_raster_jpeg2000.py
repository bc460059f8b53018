"""JPEG 2000 files are read as GeoTIFFs are, by their own driver of GDAL only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

import stacbuild
from stacbuild.errors import IntegrityError
from stacbuild.formats.geotiff import RasterFile
from tests.support.file_server import FileServer

VALUES = (np.arange(120 * 130).reshape(120, 130) % 4000 + 1).astype("u2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "T32UPB.jp2"
    with rasterio.open(
        found, "w", driver="JP2OpenJPEG", width=130, height=120, count=1, dtype="uint16",
        crs="EPSG:32632", transform=from_origin(500000, 5300000, 10, 10),
        QUALITY=100, REVERSIBLE="YES", BLOCKXSIZE=64, BLOCKYSIZE=64,
    ) as file:  # fmt: skip
        file.write(VALUES, 1)
    return found


def test_it_is_listed_and_described(path: Path) -> None:
    (entry,) = stacbuild.list_data("file", str(path.parent))
    assert (entry.data_id, entry.type) == ("T32UPB.jp2", "JPEG 2000")
    found = stacbuild.describe("file", str(path.parent), "T32UPB.jp2")
    assert found["type"] == "JPEG 2000"
    assert found["crs"] == "EPSG:32632"
    assert found["bounds"] == [500000, 5298800, 501300, 5300000]


def test_pixels_are_exact_locally_and_at_a_url(path: Path) -> None:
    local = RasterFile(path)
    with local.open() as dataset:
        assert np.array_equal(local.read(dataset)[0], VALUES)
    with FileServer({"/a.jp2": path.read_bytes()}) as server:
        remote = RasterFile(f"{server.url}/a.jp2")
        with remote.open() as dataset:
            assert np.array_equal(remote.read(dataset)[0], VALUES)


def test_tiles_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    """As if the file had been written so: its boxes end where it ends."""
    path = tmp_path / "a.jp2"
    values = np.random.default_rng(0).integers(1, 9000, (256, 256)).astype("u2")
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", width=256, height=256, count=1, dtype="uint16",
        crs="EPSG:32632", transform=from_origin(500000, 5300000, 10, 10),
        QUALITY=100, REVERSIBLE="YES", BLOCKXSIZE=64, BLOCKYSIZE=64,
    ) as file:  # fmt: skip
        file.write(values, 1)
    content = bytearray(path.read_bytes())
    box = content.find(b"jp2c") - 4
    del content[-5000:]
    content[box : box + 4] = (len(content) - box).to_bytes(4)
    path.write_bytes(content)
    raster = RasterFile(path)
    with raster.open() as dataset, pytest.raises(IntegrityError, match="cannot be decoded"):
        raster.read(dataset)


def test_what_is_cut_off_or_something_else_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(IntegrityError, match=rf"{path}: is cut off, it has \d+ bytes of at least"):
        RasterFile(path).open()
    path.write_bytes(b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    with pytest.raises(IntegrityError, match="begins with b'<VRT'"):
        RasterFile(path).open()
