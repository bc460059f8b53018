"""GeoTIFFs of several times, with several bands and tiles: items by time, assets by band."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine

import stacbuild
from stacbuild.errors import BuildError
from tests.support.built import variable_of
from tests.support.cli import NORTH, WEST, Json, configuration
from tests.support.stac_documents import item
from tests.support.stac_rasters import catalog

FIRST, SECOND = "2018-06-01T10:30:00.25Z", "2018-07-01T00:00:00Z"


def scene(name: str, href: str, date: str) -> Json:
    return item(name, href, properties={"datetime": date, "proj:epsg": 4326})


def tile(path: Path, value: int, left: int = 0, count: int = 2) -> None:
    """Write 120 x 60 pixels, *left* columns from the west; band N is N times *value*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = Affine(0.001, 0, WEST - 0.01 + left * 0.001, 0, -0.001, NORTH + 0.01)
    shape = {"width": 60, "height": 120, "count": count, "dtype": "uint16", "nodata": 0}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=place, **shape) as f:
        for band in range(1, count + 1):
            f.write(np.full((120, 60), value * band, "u2"), band)


def project(folder: Path, *scenes: Json, **dataset: Any) -> Path:
    catalog(folder / "stac", *scenes)
    given = {"identifier": "cube", "store": "scenes", "data_id": "c"} | dataset
    store = {"identifier": "scenes", "store_id": "stac", "store_params": {"root": "stac"}}
    return configuration(folder, [given], [store])


def test_each_time_has_its_own_tiles_and_bands(tmp_path: Path) -> None:
    """A file that is there at two times is read with the other tile of each."""
    for name, value, left in (("west", 1, 0), ("east", 10, 60), ("later", 100, 60)):
        tile(tmp_path / "stac" / f"{name}.tif", value, left)
    path = project(
        tmp_path,
        scene("d", "./later.tif", SECOND),
        scene("a", "./west.tif", FIRST),
        scene("b", "./east.tif", FIRST),
        scene("c", "./west.tif", SECOND),
    )
    array = variable_of(stacbuild.load(path, "cube", mask_and_scale=False))
    assert array.dims == ("time", "band", "lat", "lon")
    times = [np.datetime64("2018-06-01T10:30:00.25"), np.datetime64("2018-07-01")]
    assert array["time"].values.tolist() == np.array(times, "M8[ns]").tolist()
    assert array["band"].values.tolist() == [1, 2]
    west, east = array.isel(lon=slice(0, 50)), array.isel(lon=slice(50, None))
    for time, right in enumerate((10, 100)):
        for band in range(2):
            assert set(np.unique(west[time, band])) == {1 + band}
            assert set(np.unique(east[time, band])) == {right * (1 + band)}


def test_one_band_at_several_times_has_no_dimension_of_bands(tmp_path: Path) -> None:
    for name, value in (("one", 3), ("two", 4)):
        tile(tmp_path / "stac" / f"{name}.tif", value, 20, count=1)
    path = project(tmp_path, scene("a", "./one.tif", FIRST), scene("b", "./two.tif", SECOND))
    array = variable_of(stacbuild.load(path, "cube", mask_and_scale=False))
    assert array.dims == ("time", "lat", "lon")
    assert [set(np.unique(plane)) - {0} for plane in array] == [{3}, {4}]


def test_files_of_several_times_have_the_same_bands(tmp_path: Path) -> None:
    tile(tmp_path / "stac" / "one.tif", 3)
    tile(tmp_path / "stac" / "two.tif", 3, count=3)
    path = project(tmp_path, scene("a", "./one.tif", FIRST), scene("b", "./two.tif", SECOND))
    with pytest.raises(
        BuildError, match=r"c: its files differ in number of bands .* has 2, .* has 3"
    ):
        stacbuild.load(path, "cube")
