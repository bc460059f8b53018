"""Files of a record that are no GeoTIFFs, read in place, preloaded, or of an archive."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr

import stacbuild
from stacbuild.net import pace
from stacbuild.sources.describe import describe
from stacbuild.sources.listing import list_data
from stacbuild.stac.catalog import Catalog
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.array_files import write_groups, write_hdf5, write_netcdf
from tests.support.zenodo import Told, contents, store_of


class Files:
    """A record of files of arrays."""

    def __init__(self, server: ZenodoServer, path: Path) -> None:
        self.server, self.path, self.told = server, path, Told()
        made = path / "made"
        made.mkdir()
        write_netcdf(made / "a b.nc")
        write_groups(made / "groups.nc")
        write_hdf5(made / "z.h5", chunks=(6, 7), compression="gzip")
        for year in (2020, 2019):
            _yearly(made / f"t_{year}.nc", year)
        with zipfile.ZipFile(made / "old.zip", "w") as packed:
            packed.write(made / "a b.nc", "in/a.nc")
            packed.write(made / "groups.nc", "groups.nc")
        self.files = {file.name: file for file in made.iterdir()}
        server.records["7"] = Record("7", "Seven", self.files)

    def cube(self, data_id: str, *preload: str, own: bool = True) -> xr.Dataset:
        """Build a cube of a data id of the record, or of the folder of its files."""
        params = {
            "root": "7",
            "endpoint_url": self.server.api,
            "cache_store_params": {"root": "cache"},
        }
        content: dict[str, Any] = {
            "datasets": [
                {"identifier": "c" if own else "d", "store": "z" if own else "f"}
                | {"data_id": data_id}
            ],
            "data_stores": [
                {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
                {"identifier": "z", "store_id": "zenodo", "store_params": params},
                {"identifier": "f", "store_id": "file", "store_params": {"root": "made"}},
            ],
        }
        if preload:
            content["preload_datasets"] = [{"store": "z", "data_ids": list(preload)}]
        config = stacbuild.load_config(content, base_dir=self.path)
        if preload:
            stacbuild.harvest(config, self.path / "catalogs", reporter=self.told)
        [built] = stacbuild.build(config, self.path / "catalogs", reporter=self.told)
        with xr.open_zarr(str(built.href), mask_and_scale=False) as dataset:
            return dataset.load()


def _yearly(path: Path, year: int) -> None:
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 2), ("lat", 3), ("lon", 4)):
            file.createDimension(name, size)
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = np.arange(size)
            unit = {"lat": "degrees_north", "lon": "degrees_east"}
            variable.units = unit.get(name, f"days since {year}-01-01")
        file.createVariable("v", "i2", ("time", "lat", "lon"))[:] = year


@pytest.fixture
def files(zenodo_server: ZenodoServer, tmp_path: Path) -> Files:
    return Files(zenodo_server, tmp_path)


@pytest.mark.parametrize("data_id", ["a b.nc", "groups.nc/forecast", "z.h5"])
def test_a_cube_in_place_is_that_of_the_file(files: Files, data_id: str) -> None:
    cube = files.cube(data_id)
    assert not (files.path / "cache").exists()
    local = files.cube(data_id, own=False)
    assert set(cube.data_vars) == set(local.data_vars)
    for name in cube.data_vars:
        np.testing.assert_array_equal(cube[name].values, local[name].values)
    [item] = Catalog(files.path / "catalogs").find("zenodo:7", data_id)
    asset = item.assets["data"]
    assert asset.href.endswith("/content")
    assert asset.extra_fields["file:size"] == files.files[data_id.split("/")[0]].stat().st_size
    assert asset.extra_fields["file:checksum"].startswith("d50110")


@pytest.mark.parametrize(
    ("data_id", "named", "plain"),
    [
        ("a b.nc", "a b.nc", "a b.nc"),
        ("groups.nc/forecast", "groups.nc", "groups.nc/forecast"),
        ("old/in/a.nc", "old.zip", "a b.nc"),
        ("old/groups.nc/forecast", "old.zip", "groups.nc/forecast"),
    ],
)
def test_a_preloaded_file_is_read_from_the_cache(
    files: Files, data_id: str, named: str, plain: str
) -> None:
    cube = files.cube(data_id, named)
    assert len(contents(files.server)) == 1
    local = files.cube(plain, own=False)
    for name in local.data_vars:
        np.testing.assert_array_equal(cube[name].values, local[name].values)


def test_a_member_is_preloaded_for_a_cube(files: Files) -> None:
    assert "packed" in files.cube("old/in/a.nc")
    assert "tp" in files.cube("old/groups.nc/forecast")


def test_files_of_a_pattern_are_joined_along_time(files: Files) -> None:
    cube = files.cube("t_*.nc")
    assert [str(time)[:10] for time in cube["time"].values] == [
        "2019-01-01", "2019-01-02", "2020-01-01", "2020-01-02",
    ]  # fmt: skip
    assert cube["v"].values[:, 0, 0].tolist() == [2019, 2019, 2020, 2020]


def test_requests_are_paced(files: Files) -> None:
    polite = pace.pace_of("zenodo", files.server.url.removeprefix("http://"))
    assert polite is not None
    # Time passes only when somebody waits.
    waited = [0.0]
    polite.limits = ((1, 1.0),)
    polite.clock, polite.sleep = (lambda: sum(waited)), waited.append
    files.cube("z.h5")
    assert len(waited) == files.server.requests > 3


def test_groups_are_named(files: Files) -> None:
    with pytest.raises(stacbuild.StacbuildError, match="groups and no arrays; name one of them"):
        files.cube("groups.nc")
    with pytest.raises(stacbuild.StacbuildError, match="has no group none; there are"):
        files.cube("groups.nc/none")


def test_a_member_is_described_before_it_is_here(files: Files) -> None:
    store = store_of(files.server, "7", files.path / "cache")
    assert "once that is preloaded" in describe(store, "old/in/a.nc")["note"]
    assert "variables" in describe(store, "groups.nc/forecast")


def test_jpeg_2000_is_read_in_place(files: Files) -> None:
    path = files.path / "made" / "j.jp2"
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", count=1, dtype="uint8", width=64, height=64,
        crs="EPSG:32632", transform=rasterio.Affine(10, 0, 600000, 0, -10, 5000000),
        QUALITY="100", REVERSIBLE="YES",
    ) as file:  # fmt: skip
        file.write(np.arange(64 * 64, dtype="uint8").reshape(1, 64, 64))
    files.files["j.jp2"] = path
    [array] = files.cube("j.jp2").data_vars.values()
    [local] = files.cube("j.jp2", own=False).data_vars.values()
    np.testing.assert_array_equal(array.values, local.values)
    assert array.values.ravel()[:3].tolist() == [0, 1, 2]


def test_they_are_listed(files: Files) -> None:
    store = store_of(files.server, "7", files.path / "cache")
    listed = {each.data_id: each.type for each in list_data(store)}
    assert (listed["a b.nc"], listed["z.h5"]) == ("NetCDF", "HDF5")
    inside = {each.data_id: each.type for each in list_data(store, match="old/*")}
    assert inside["old/in/a.nc"] == "NetCDF in a zip"
