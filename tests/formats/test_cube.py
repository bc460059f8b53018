"""A cube is opened whatever its format, and what is none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import LocalStore

from stacbuild.building.zarr_metadata import consolidate
from stacbuild.errors import IntegrityError, MissingError
from stacbuild.formats.cube import level_names, open_cube_data, open_netcdf

CUBE = xr.Dataset({"v": (("y", "x"), np.arange(6, dtype="int16").reshape(2, 3), {"_FillValue": 5})})


def test_the_first_level_stands_for_a_pyramid(tmp_path: Path) -> None:
    path = tmp_path / "cube.zarr"
    root = zarr.open_group(path, mode="w")
    root.attrs["multiscales"] = {"layout": [{"asset": "0"}, {"asset": "1"}]}
    CUBE.drop_attrs(deep=True).to_zarr(path / "0", consolidated=False)
    consolidate(LocalStore(path), 3)
    with open_cube_data(str(path)) as cube:
        np.testing.assert_array_equal(cube["v"], CUBE["v"])


@pytest.mark.parametrize(("least", "columns"), [(0, 8), (1, 2), (2, 2), (3, 4), (5, 8), (99, 8)])
def test_the_coarsest_level_that_suffices(tmp_path: Path, least: int, columns: int) -> None:
    path = tmp_path / "cube.zarr"
    levels = [{"asset": str(number)} for number in range(3)]
    zarr.open_group(path, mode="w").attrs["multiscales"] = {"layout": levels}
    for number, length in enumerate((8, 4, 2)):
        level = xr.Dataset({"v": (("y", "x"), np.zeros((1, length), "uint8"))})
        level.to_zarr(path / str(number), consolidated=False)
    consolidate(LocalStore(path), 3)
    with open_cube_data(str(path), least=least) as cube:
        assert cube.sizes["x"] == columns


@pytest.mark.parametrize(
    "pyramid", [None, 7, {}, {"layout": []}, {"layout": [{"asset": "../other"}]}, {"layout": [{}]}]
)
def test_attributes_that_name_no_level(pyramid: Any) -> None:
    assert level_names({"multiscales": pyramid}) == []


def test_a_netcdf_file_keeps_values_and_chunks(tmp_path: Path) -> None:
    path = tmp_path / "cube.nc"
    CUBE.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 3)}})
    with open_cube_data(str(path)) as cube:
        assert cube["v"].dtype == np.int16
        assert cube["v"].encoding["chunks"] == (1, 3)
    with open_netcdf(path, mask_and_scale=True) as cube:
        assert int(cube["v"].isnull().sum()) == 1


def test_what_is_no_netcdf_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"gone\.nc"):
        open_netcdf(tmp_path / "gone.nc")
    (tmp_path / "text.nc").write_text("no file of HDF5 at all")
    with pytest.raises(IntegrityError, match=r"text\.nc: .*netCDF"):
        open_netcdf(tmp_path / "text.nc")
