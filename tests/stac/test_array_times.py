"""NetCDF files without a time dimension, but with a date, as people have them: one cube."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from numpy.typing import NDArray

import stacbuild
from stacbuild.progress import reported_to
from tests.support.array_files import LAT, LON
from tests.support.zenodo import Told

PATTERN = "prec_{time:%Y%m%d}.nc"
UTM = {"crs": "EPSG:32632", "spatial_res": 50000, "bbox": [300000, 4800000, 900000, 5400000]}


class Folder:
    """A folder of small files of arrays, and one configuration that reads from it."""

    def __init__(self, path: Path) -> None:
        self.path, self.told = path, Told()
        (path / "data").mkdir()

    def file(
        self,
        name: str,
        seed: int = 0,
        time: Any = None,
        columns: slice = slice(None),
        variable: str = "prec",
    ) -> NDArray[Any]:
        """Write values of a seed; *time* is a scalar, or a list along a dimension.

        Numbers are written without a unit.
        """
        lon, is_list = LON[columns], isinstance(time, list)
        count = len(time) if is_list else 1
        numbers = np.random.default_rng(seed).integers(1, 900, (count, LAT.size, lon.size))
        values = numbers.astype("f4")
        values[:, :2, :3] = np.nan
        dims = ("time", "lat", "lon")
        array = (dims, values) if is_list else (dims[1:], values[0])
        dataset = xr.Dataset({variable: array}, {"lat": LAT, "lon": lon})
        if time is not None:
            known = np.array(time)
            known = known.astype("M8[ns]") if known.dtype.kind == "U" else known
            dataset = dataset.assign_coords(time=("time", known) if is_list else known)
        path = self.path / "data" / name
        if ".zarr" in name:
            dataset.to_zarr(
                path.with_suffix("") if name.endswith("zip") else path, consolidated=False
            )
        else:
            dataset.to_netcdf(path, engine="netcdf4")
        if name.endswith("zip"):
            shutil.make_archive(str(path.with_suffix("")), "zip", path.with_suffix(""))
        return values

    def config(self, data_id: Any = PATTERN, **more: Any) -> stacbuild.Config:
        content = {
            "data_stores": [
                {"identifier": "own", "store_id": "file", "store_params": {"root": "data"}},
                {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
            ],
            "grid_mappings": [{"identifier": "utm", "tile_size": 64, **UTM}],
            "datasets": [{"identifier": "p", "store": "own", "data_id": data_id, **more}],
        }
        (self.path / "c.yml").write_text(yaml.safe_dump(content))
        return stacbuild.load_config(self.path / "c.yml")

    def harvest(self, data_id: Any = PATTERN) -> None:
        with reported_to(self.told):
            for result in stacbuild.harvest(self.config(data_id)):
                if result.error:
                    raise result.error

    def cube(self, data_id: Any = PATTERN, **more: Any) -> xr.Dataset:
        """Return the cube, after comparing its shapes with those of the plan."""
        self.harvest(data_id)
        config = self.config(data_id, **more)
        [plan] = stacbuild.plan(config)
        stacbuild.build(config)
        found: xr.Dataset = xr.open_zarr(self.path / "cubes/p.zarr")
        assert plan.expected is not None
        shapes = {each.name: each.shape for each in plan.expected.variables}
        assert shapes == {name: each.shape for name, each in found.data_vars.items()}
        assert [each.action for each in stacbuild.plan(config)] == ["up to date"]
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def days(cube: xr.Dataset) -> list[str]:
    return [str(each)[8:] for each in cube["time"].values.astype("M8[D]")]


def same(cube: xr.Dataset, *steps: NDArray[Any]) -> bool:
    return np.array_equal(cube["prec"].values, np.concatenate(steps), equal_nan=True)


LIST = ["prec_20200131.nc", "prec_20200101.nc"]


@pytest.mark.parametrize("data_id", [PATTERN, "prec_*.nc", LIST])
def test_each_file_is_one_time(folder: Folder, data_id: Any) -> None:
    one, two = (folder.file(name, seed) for seed, name in enumerate(reversed(LIST)))
    cube = folder.cube(data_id)
    assert days(cube) == ["01", "31"]
    assert cube["prec"].dims == ("time", "lat", "lon")
    assert same(cube, one, two)
    assert folder.told.warned == []


@pytest.mark.parametrize("suffix", ["h5", "zarr", "zarr.zip"])
def test_other_formats(folder: Folder, suffix: str) -> None:
    written = [folder.file(f"prec_2020010{day}.{suffix}", day) for day in (1, 2)]
    assert same(folder.cube(f"prec_{{time:%Y%m%d}}.{suffix}"), *written)


def test_a_projected_grid_and_a_range_of_times(folder: Folder) -> None:
    for day in (1, 2, 3):
        folder.file(f"prec_2020010{day}.nc", day)
    wanted = {"grid_mapping": "utm", "spatial_resample_params": {"interp_methods": "nearest"}}
    cube = stacbuild.load(
        folder.config(open_params={"time_range": ["2020-01-02", None]}, **wanted), "p"
    )
    assert days(cube) == ["02", "03"]
    alone = stacbuild.load(folder.config("prec_20200103.nc", **wanted), "p")
    assert "time" not in alone.dims
    assert np.isfinite(alone["prec"]).sum() > 50
    assert alone["prec"].equals(cube["prec"].isel(time=1, drop=True))


def test_times_in_the_files_count_before_their_names(folder: Folder) -> None:
    one = folder.file("prec_20200101.nc", 1, ["2020-01-05"])
    two = folder.file("prec_20200102.nc", 2, "2020-01-07")
    cube = folder.cube()
    assert days(cube) == ["05", "07"]
    assert same(cube, one, two)
    assert "its metadata states the time 2020-01-05" in folder.told.warned[0]
    assert "(so 1 more of its files)" in folder.told.warned[0]


def test_a_time_without_a_unit_is_that_of_the_name(folder: Folder) -> None:
    one, two = (folder.file(f"prec_2020010{day}.nc", day, [0]) for day in (1, 2))
    cube = folder.cube()
    assert days(cube) == ["01", "02"]
    assert same(cube, one, two)


def test_a_profile_counts_before_the_only_time_of_a_file(folder: Folder) -> None:
    profile = {
        "source": "file:data",
        "data": [
            {"match": f"prec_2020010{day}.nc", "start_datetime": f"2020-01-1{day}"}
            for day in (1, 2)
        ],
    }
    (folder.path / "profiles").mkdir()
    (folder.path / "profiles/p.yml").write_text(yaml.safe_dump(profile))
    # All files of some producers have the time 0.
    one, two = (folder.file(f"prec_2020010{day}.nc", day, ["1970-01-01"]) for day in (1, 2))
    cube = folder.cube()
    assert days(cube) == ["11", "12"]
    assert same(cube, one, two)


def test_files_with_and_without_the_dimension(folder: Folder) -> None:
    three = folder.file("prec_20200103.nc", 3)
    both = folder.file("prec_20200101.nc", 1, ["2020-01-01", "2020-01-02"])
    cube = folder.cube()
    assert days(cube) == ["01", "02", "03"]
    assert same(cube, both, three)


@pytest.mark.parametrize("time", [None, ["2020-01-01", "2020-01-02"]])
def test_files_of_one_time_that_lie_side_by_side_are_mosaicked(folder: Folder, time: Any) -> None:
    steps = []
    for month in (1, 2):
        times = [each.replace("2020-01", f"2020-0{month}") for each in time] if time else None
        west, east = (
            folder.file(f"prec_2020{month:02}01_{name}.nc", month + number, times, columns)
            for number, (name, columns) in enumerate(
                (("a", slice(0, 10)), ("b", slice(10, None)))
            )
        )  # fmt: skip
        steps.append(np.concatenate([west, east], axis=2))
    cube = folder.cube("prec_{time:%Y%m%d}_{tile}.nc")
    assert cube.sizes["time"] == 2 * (len(time) if time else 1)
    assert same(cube, *steps)
    assert folder.told.warned == []
    # Between the tiles, other methods combine pixels of both.
    wanted = {"grid_mapping": "utm", "spatial_resample_params": {"interp_methods": "bilinear"}}
    found = stacbuild.load(folder.config("prec_{time:%Y%m%d}_{tile}.nc", **wanted), "p")
    assert not np.isnan(found["prec"].values).any()


def test_tiles_without_any_time(folder: Folder) -> None:
    west = folder.file("dem_a.nc", 1, columns=slice(0, 10))
    east = folder.file("dem_b.nc", 2, columns=slice(10, None))
    cube = folder.cube("dem_*.nc")
    assert cube["prec"].dims == ("lat", "lon")
    assert same(cube, np.concatenate([west, east], axis=2)[0])


def test_of_two_files_of_one_date_the_first_with_data_counts(folder: Folder) -> None:
    first = folder.file("prec_20200101_a.nc", 1)
    second = folder.file("prec_20200101_b.nc", 2)
    # The other file has data where the first has none.
    second[:, :2, :3] = 5
    path = folder.path / "data/prec_20200101_b.nc"
    xr.load_dataset(path).fillna(5).to_netcdf(path, engine="netcdf4")
    cube = folder.cube("prec_*.nc")
    assert same(cube, np.where(np.isnan(first), second, first)[0])
    assert (
        "prec_20200101_b.nc is used only where prec_20200101_a.nc has no" in (folder.told.warned[0])
    )


def test_an_added_file_is_noticed(folder: Folder) -> None:
    one = folder.file("prec_20200101.nc", 1)
    two = folder.file("prec_20200102.nc", 2)
    folder.cube()
    three = folder.file("prec_20200103.nc", 3)
    [plan] = stacbuild.plan(folder.config())
    assert "prec_20200103.nc added" in " ".join(plan.reasons)
    assert same(folder.cube(), one, two, three)


def test_what_cannot_be_joined_is_refused(folder: Folder) -> None:
    folder.file("prec_20200101.nc")
    folder.file("prec_20200102.nc", variable="snow")
    with pytest.raises(stacbuild.StacbuildError, match=r"different variables \(prec, snow\)"):
        folder.harvest()
    folder.file("prec_20200102.nc", columns=slice(5, None))
    with pytest.raises(stacbuild.StacbuildError, match="different grids"):
        folder.harvest()
    folder.file("prec_20200102.nc", time=[0, 1])
    with pytest.raises(stacbuild.StacbuildError, match="time without times that can be decoded"):
        folder.harvest()
    (folder.path / "data/prec_20200102.nc").rename(folder.path / "data/prec.nc")
    folder.file("prec.nc")
    with pytest.raises(stacbuild.StacbuildError, match=r"nothing states the time of prec\.nc"):
        folder.harvest("prec*.nc")


GROUPS = ["prec_{time:%Y%m%d}.nc/a/b", ["prec_20200102.nc/a/b", "prec_20200101.nc/a/b"]]


@pytest.mark.parametrize("data_id", GROUPS)
def test_a_group_of_each_file(folder: Folder, data_id: Any) -> None:
    written = []
    for day in (1, 2):
        written.append(folder.file(f"prec_2020010{day}.nc", day))
        path = folder.path / f"data/prec_2020010{day}.nc"
        content = xr.load_dataset(path)
        xr.Dataset({"other": 1}).to_netcdf(path, engine="netcdf4")
        content.to_netcdf(path, "a", group="a/b", engine="netcdf4")
    assert same(folder.cube(data_id), *written)
    folder.file("prec_20200103.nc", 3)
    with pytest.raises(stacbuild.StacbuildError, match=r"prec_20200103\.nc.* has no group a/b"):
        folder.harvest("prec_*.nc/a/b")


def test_groups_of_one_file_are_files_of_their_own(folder: Folder) -> None:
    written = []
    for year in (2019, 2020):
        written.append(folder.file("x.nc", year, [f"{year}-01-01"]))
        content = xr.load_dataset(folder.path / "data/x.nc")
        content.to_netcdf(folder.path / "data/y.nc", "a", group=f"y{year}", engine="netcdf4")
    assert same(folder.cube(["y.nc/y2020", "y.nc/y2019"]), *written)


def test_packed_alike_or_unpacked(folder: Folder) -> None:
    written = []
    for day, scale in ((1, 0.5), (2, 0.25)):
        values = folder.file(f"prec_2020010{day}.nc", day)
        path = folder.path / f"data/prec_2020010{day}.nc"
        packing = {"dtype": "i2", "scale_factor": scale, "_FillValue": -1}
        xr.load_dataset(path).to_netcdf(path, engine="netcdf4", encoding={"prec": packing})
        written.append(values)
    assert same(folder.cube(), *written)
