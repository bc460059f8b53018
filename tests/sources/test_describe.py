"""What is shown of a data id."""

from __future__ import annotations

from pathlib import Path

from stacbuild.sources.describe import describe
from stacbuild.sources.listing_base import make_store
from tests.support.own_files import raster


def test_what_is_that_of_the_first_of_several_files_is_marked(tmp_path: Path) -> None:
    raster(tmp_path / "dem_east.tif")
    raster(tmp_path / "dem_west.tif", column=1)
    store = make_store("file", str(tmp_path))
    assert "are those of the first file" in describe(store, "dem_*.tif")["note"]
    assert "note" not in describe(store, "dem_east.tif")
