"""What rasterio and GDAL raise of a file is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from stacbuild.formats.raster_errors import GDAL_ERRORS, message_of


def test_what_gdal_says_of_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no raster")
    with pytest.raises(GDAL_ERRORS) as caught:
        rasterio.open(tmp_path / "a.tif")
    assert "not recognized" in message_of(caught.value)


def test_lines_are_joined_and_bytes_of_a_name_are_few() -> None:
    assert message_of(RuntimeError("one\n  two")) == "one two"
    with pytest.raises(GDAL_ERRORS) as caught:
        (b"x" * 1000 + b"\xe9" + b"y" * 1000).decode()
    assert len(message_of(caught.value)) < 200
    assert "\\xe9" in message_of(caught.value)
