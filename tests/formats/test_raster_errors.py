"""What rasterio and GDAL raise of a file is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from stacbuild.formats.raster_errors import GDAL_ERRORS, said


def test_what_gdal_says_of_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no raster")
    with pytest.raises(GDAL_ERRORS) as caught:
        rasterio.open(tmp_path / "a.tif")
    assert "not recognized" in said(caught.value)


def test_lines_are_joined_and_bytes_of_a_name_are_few() -> None:
    assert said(RuntimeError("one\n  two")) == "one two"
    with pytest.raises(GDAL_ERRORS) as caught:
        (b"x" * 1000 + b"\xe9" + b"y" * 1000).decode()
    assert len(said(caught.value)) < 200
    assert "\\xe9" in said(caught.value)
