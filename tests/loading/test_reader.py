"""Files of thousands of bands: several bands are read at a time, each pixel once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.io import DatasetReader

from stacbuild.formats.geotiff import RasterFile
from stacbuild.loading import reader
from tests.support.built import variable_of
from tests.support.rasters import INSIDE, cube, decoded, noise, write

COUNT = 12


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The bands of each read of a file; more than four count as many."""
    found: list[list[int]] = []
    read = RasterFile.read

    def counted(self: RasterFile, dataset: DatasetReader, window: Any, bands: Any, out: Any) -> Any:
        found.append(list(bands))
        return read(self, dataset, window, bands, out)

    monkeypatch.setattr(RasterFile, "read", counted)
    monkeypatch.setattr(reader, "_MANY_BANDS", 4)
    return found


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_many_bands_are_read_together(
    tmp_path: Path, reads: list[list[int]], interleave: str
) -> None:
    path = write(tmp_path / "src" / "one.tif", noise("int16", COUNT), interleave=interleave)
    found = variable_of(cube(tmp_path))
    np.testing.assert_array_equal(found, decoded(path)[:, *INSIDE])
    assert reads == [list(range(1, COUNT + 1))]


def test_few_bytes_of_bands_are_read_together(
    tmp_path: Path, reads: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Five bands of 20 x 20 pixels of two bytes: groups of equal size are four.
    monkeypatch.setattr(reader, "_FEW_BYTES", 5 * 800)
    path = write(tmp_path / "src" / "one.tif", noise("int16", COUNT), nodata=7, interleave="band")
    found = variable_of(cube(tmp_path))
    np.testing.assert_array_equal(found, decoded(path)[:, *INSIDE])
    assert sorted(reads) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]


@pytest.mark.parametrize("grid", ["fine", "coarse"])
def test_many_bands_are_resampled_as_one_by_one(
    tmp_path: Path, reads: list[list[int]], monkeypatch: pytest.MonkeyPatch, grid: str
) -> None:
    for name in ("many", "single"):
        path = tmp_path / name / "src" / "one.tif"
        write(path, noise("float32", COUNT), nodata=7, interleave="band")
    many = variable_of(cube(tmp_path / "many", grid))
    assert len(reads) == 1
    monkeypatch.setattr(reader, "_MANY_BANDS", COUNT)
    single = variable_of(cube(tmp_path / "single", grid))
    assert len(reads) == 1 + COUNT
    np.testing.assert_array_equal(many, single)
