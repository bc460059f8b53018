"""What is shown of a data id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import xarray as xr

from stacbuild.sources.describe import describe
from stacbuild.sources.listing_base import make_store
from tests.support.own_files import raster
from tests.support.rasters import noise, write


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


def test_description_and_classes_of_a_raster_are_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "land.tif", noise("uint8"), nodata=0)
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, "Land cover of  2020")
        file.write_colormap(1, {1: (255, 0, 16, 255), 2: (0, 0, 255, 255)})
    names = "".join(f"<Category>{name}</Category>" for name in ("Sea", "Pine forest", "Lake"))
    (tmp_path / "land.tif.aux.xml").write_text(
        f'<a><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand></a>'
    )
    found = describe(make_store("file", str(tmp_path)), "land.tif")
    assert (found["title"], found["long_name"]) == ("land.tif", "Land cover of 2020")
    assert found["classes"] == ["0 Sea #000000 (nodata)", "1 Pine forest #ff0010", "2 Lake #0000ff"]


def test_classes_and_packing_of_a_variable_are_shown(tmp_path: Path) -> None:
    attrs = {"flag_values": np.array([1, 2], "i1"), "flag_meanings": "dry wet"}
    coords = {"lat": np.arange(3, 0, -1.0), "lon": np.arange(4.0)}
    kinds = xr.DataArray(np.ones((3, 4), "i1"), coords, ("lat", "lon"), attrs=attrs)
    packed = kinds.astype("i2").drop_attrs(deep=False).assign_attrs(scale_factor=0.5)
    xr.Dataset({"kinds": kinds, "packed": packed}).to_zarr(tmp_path / "a.zarr", consolidated=False)
    found = describe(make_store("file", str(tmp_path)), "a.zarr")["variables"]
    assert found["kinds"]["classes"] == ["1 dry", "2 wet"]
    assert found["packed"]["scale"] == 0.5
    assert "classes" not in found["packed"]
