"""Files in a folder: which of them are one data id, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rasterio import Affine

from stacbuild.errors import LocalError
from stacbuild.sources.own_files import find_files
from tests.support.own_files import raster

UNALIGNED = "pixels are not aligned with those of the others"


def data_ids(*paths: Path) -> list[str | tuple[str, ...]]:
    return [group.data_id for group in find_files(paths).groups]


def test_dates_and_tiles_are_series_and_mosaics(tmp_path: Path) -> None:
    for month in ("2019_11", "2019_12", "2020_01"):
        raster(tmp_path / f"ndvi_{month}.tif")
        raster(tmp_path / f"evi_{month}.tif")
    for index in range(4):
        raster(tmp_path / f"dem_{index}.tif", column=index % 2, row=index // 2)
        raster(tmp_path / f"lai/2020/h{index}.tif", column=index)
        raster(tmp_path / f"lai/2021/h{index}.tif", column=index)
    for index, name in enumerate(("north", "south")):
        raster(tmp_path / f"slope_{name}.tif", row=index)
        raster(tmp_path / f"soil_{name}.tif")  # at one place, so they are two
    assert data_ids(tmp_path) == [
        "dem_*.tif",
        "evi_{time:%Y_%m}.tif",
        "lai/{time:%Y}/h*.tif",
        "ndvi_{time:%Y_%m}.tif",
        "slope_*.tif",
        "soil_north.tif",
        "soil_south.tif",
    ]


def test_files_of_different_kinds_are_apart(tmp_path: Path) -> None:
    raster(tmp_path / "a_2019_01.tif")
    raster(tmp_path / "a_2020_01.tif")
    raster(tmp_path / "a_2021_01.tif", crs="EPSG:32633")
    raster(tmp_path / "a_2022_01.tif", transform=Affine(20, 0, 600000, 0, -20, 5000000))
    # A pattern would match the others, too.
    pair = "a_2019_01.tif", "a_2020_01.tif"
    assert data_ids(tmp_path) == [pair, "a_2021_01.tif", "a_2022_01.tif"]
    # A year alone in the names of a list is no date, so these are never taken for one.
    raster(tmp_path / "c/a_2019.tif")
    raster(tmp_path / "c/a_2020.tif")
    raster(tmp_path / "c/a_2021.tif", crs="EPSG:32633")
    assert data_ids(tmp_path / "c") == ["a_2019.tif", "a_2020.tif", "a_2021.tif"]
    # Off by half a pixel: no mosaic.
    raster(tmp_path / "b/t_1.tif")
    raster(tmp_path / "b/t_2.tif", transform=Affine(10, 0, 600305, 0, -10, 5000000))
    assert data_ids(tmp_path / "b") == ["t_1.tif", "t_2.tif"]


def test_files_that_others_do_not_fit_are_named(tmp_path: Path) -> None:
    for year in (2019, 2020, 2021, 2022):
        raster(tmp_path / f"crs_{year}_01.tif", crs="EPSG:32633" if year == 2021 else "EPSG:32632")
        raster(tmp_path / f"nodata_{year}_01.tif", nodata=0 if year > 2020 else -1)
    for name, column in (("east", 1), ("west", 0)):
        raster(tmp_path / f"dem_{name}.tif", column=column, nodata=-column)
        raster(tmp_path / f"soil_{name}.tif", dtype="int16" if column else "int32")
    raster(tmp_path / "off_2020_01.tif")
    raster(tmp_path / "off_2020_02.tif", transform=Affine(10, 0, 600305, 0, -10, 5000000))
    found = find_files([tmp_path])
    assert [line.replace(": not one cube with", ",") for line in found.apart] == [
        "crs_2021_01.tif, crs_2019_01.tif, as its CRS is EPSG:32633, not EPSG:32632",
        "nodata_2021_01.tif and 1 more, nodata_2019_01.tif, as its nodata value is 0, not -1",
        f"off_2020_02.tif, off_2020_01.tif, as its {UNALIGNED}",
        "dem_west.tif, dem_east.tif, as its nodata value is 0, not -1",
    ]
    tiles = [group.data_id for group in found.groups if group.label.startswith("dem")]
    assert tiles == ["dem_east.tif", "dem_west.tif"]


def test_one_unaligned_file_leaves_the_series(tmp_path: Path) -> None:
    for month in (1, 2, 3, 4):
        west = 600005 if month == 1 else 600000
        raster(tmp_path / f"lai_2020_0{month}.tif", transform=Affine(10, 0, west, 0, -10, 5000000))
    found = find_files([tmp_path])
    series = tuple(f"lai_2020_0{month}.tif" for month in (2, 3, 4))
    assert [group.data_id for group in found.groups] == ["lai_2020_01.tif", series]
    assert found.apart == (
        f"lai_2020_01.tif: not one cube with lai_2020_02.tif, as its {UNALIGNED}",
    )


def test_files_whose_variables_differ_in_unit_are_apart(tmp_path: Path) -> None:
    # As cube would refuse them.
    for day, unit in enumerate(("mm", "mm", "m"), 1):
        values = xr.DataArray(np.ones((4, 5)), dims=("lat", "lon"), attrs={"units": unit})
        ds = xr.Dataset({"rain": values}, {"lat": 40.5 + np.arange(4), "lon": 5.5 + np.arange(5)})
        ds.to_netcdf(tmp_path / f"rain_2020010{day}.nc", engine="h5netcdf")
    found = find_files([tmp_path])
    pair = "rain_20200101.nc", "rain_20200102.nc"
    assert [group.data_id for group in found.groups] == [pair, "rain_20200103.nc"]
    assert found.apart == (
        "rain_20200103.nc: not one cube with rain_20200101.nc, as its unit is m, not mm",
    )


def test_files_and_zarr_stores_can_be_named(tmp_path: Path) -> None:
    raster(tmp_path / "a" / "one_2019.tif")
    raster(tmp_path / "a" / "two.tif")
    axes = {"lat": 45 - 0.1 * np.arange(4), "lon": 8 + 0.1 * np.arange(5)}
    ds = xr.Dataset({"t": (("lat", "lon"), np.zeros((4, 5), "float32"))}, axes)
    ds.to_zarr(tmp_path / "b" / "climate.zarr", consolidated=False)
    (tmp_path / "b" / "linked.tif").symlink_to(tmp_path / "a" / "two.tif")
    assert data_ids(tmp_path / "b") == ["climate.zarr", "linked.tif"]
    (tmp_path / "b" / "linked.tif").unlink()
    assert data_ids(tmp_path / "b" / "climate.zarr") == ["climate.zarr"]
    paths = tmp_path / "a" / "two.tif", tmp_path / "b"
    found = find_files(paths)
    assert found.root == tmp_path
    assert [group.data_id for group in found.groups] == ["a/two.tif", "b/climate.zarr"]


def test_what_cannot_be_read_is_named_in_one_line_each(tmp_path: Path) -> None:
    raster(tmp_path / "good.tif")
    (tmp_path / "bad.tif").write_bytes(b"II*\0 and no more")
    (tmp_path / "empty.tif").touch()
    raster(tmp_path / "a{b}.tif")
    (tmp_path / "list.hdf").write_bytes(b"\x0e\x03\x13\x01")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden").mkdir()
    raster(tmp_path / ".hidden" / "x.tif")
    found = find_files([tmp_path])
    assert [group.data_id for group in found.groups] == ["good.tif"]
    unreadable = sorted(found.unreadable)
    assert [line.partition(":")[0] for line in unreadable] == [
        "a{b}.tif",
        "bad.tif",
        "empty.tif",
        "list.hdf",
    ]
    assert unreadable[0].endswith("rename it")
    assert "is empty" in unreadable[2]
    assert not any("\n" in line or str(tmp_path) in line for line in found.unreadable)
    with pytest.raises(LocalError, match=r"bad.tif"):
        find_files([tmp_path / "bad.tif"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(LocalError, match="has no data that stacbuild reads"):
        find_files([tmp_path / "empty"])
    with pytest.raises(LocalError, match="there is no such folder or file"):
        find_files([tmp_path / "gone"])
