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


def test_a_time_without_a_dimension_is_told(tmp_path: Path) -> None:
    for name in ("a_20200101.tif", "b_20200101.tif", "b_20200102.tif"):
        raster(tmp_path / name, column=name.startswith("b"))
    store = make_store("file", str(tmp_path))
    for data_id in ("a_20200101.tif", "?_20200101.tif"):
        found = describe(store, data_id)
        assert found["times"][0] == "2020-01-01T00:00:00Z"
        assert "has no dimension time" in found["note"]
    assert "dimension" not in describe(store, "b_*.tif")["note"]
