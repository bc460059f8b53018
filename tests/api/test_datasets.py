"""`stacbuild.load`: the dataset that a build would write, without writing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from dask.callbacks import Callback

import stacbuild
from stacbuild.errors import BuildError, ConfigError, LocalError
from stacbuild.loading import pool
from stacbuild.storage.output import ATTRIBUTE, COLLECTION
from tests.support.built import SOURCES, variable_of, zarr_store
from tests.support.cli import BOX, Json, configuration, geotiff

TILES = {"identifier": "tiles", "bbox": list(BOX), "spatial_res": 0.001, "crs": "EPSG:4326"}
OF_BUILDS = {"history", ATTRIBUTE, COLLECTION}


def project(directory: Path, *datasets: Json, **sections: Any) -> Path:
    sections.setdefault("grids", [TILES | {"tile_size": 40}])
    given = [{"store": "files", "grid_mapping": "tiles"} | each for each in datasets]
    return configuration(directory, given, [SOURCES], **sections)


def days(directory: Path) -> None:
    values = np.arange(3 * 120 * 120, dtype="u1").reshape(3, 120, 120)
    real = values.astype("f4") / 7
    zarr_store(directory / "src/one.zarr", ["2020", "2021", "2022"], age=values, height=real)


def filled(path: Path, value: int) -> None:
    """Write a raster of one value, of the same size in bytes whatever the value."""
    geotiff(path, compress=None)
    with rasterio.open(path, "r+") as file:
        file.write(np.full((120, 120), value, "u1"), 1)


class Computed(Callback):  # type: ignore[misc]
    """Counts the tasks that dask runs."""

    def __init__(self) -> None:
        super().__init__(pretask=self._count)
        self.tasks = 0

    def _count(self, *_: Any) -> None:
        self.tasks += 1


def outline(cube: xr.Dataset) -> Json:
    """Everything but the values and what only a build gives."""
    return {
        "sizes": dict(cube.sizes),
        "attributes": {key: each for key, each in cube.attrs.items() if key not in OF_BUILDS},
        "variables": {
            name: (each.dims, each.dtype, each.chunks, {k: str(v) for k, v in each.attrs.items()})
            for name, each in cube.variables.items()
        },
        "coordinates": sorted(map(str, cube.coords)),
        "fills": {
            name: str(each.encoding.get("_FillValue")) for name, each in cube.data_vars.items()
        },
    }


def both(path: Path, name: str = "cube", **options: Any) -> Iterator[xr.Dataset]:
    """Yield a cube as it is loaded, and as it is opened once it is built."""
    with stacbuild.load(path, name, **options) as loaded:
        yield loaded
    stacbuild.build(path)
    with stacbuild.open_cube(path, name, **options) as opened:
        yield opened


@pytest.mark.parametrize("mask_and_scale", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_it_is_what_a_build_writes(tmp_path: Path, mask_and_scale: bool, zarr_format: int) -> None:
    days(tmp_path)
    general = {"zarr_format": zarr_format}
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.zarr"}, general=general)
    loaded, opened = both(path, mask_and_scale=mask_and_scale)
    assert outline(loaded) == outline(opened)
    assert opened.attrs.keys() >= OF_BUILDS
    assert not OF_BUILDS & loaded.attrs.keys()
    xr.testing.assert_equal(loaded, opened)


@pytest.mark.parametrize(
    "more",
    [
        {"chunksize": {"lat": 100, "lon": 50}},
        {"format_id": "levels"},
        {"custom_processing": {"module_path": "change.py", "function_name": "change"}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_of_a_geotiff(tmp_path: Path, more: Json) -> None:
    geotiff(tmp_path / "src" / "one.tif", nodata=7)
    (tmp_path / "change.py").write_text("def change(ds):\n    return ds.rename(band_data='own')\n")
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.tif"} | more)
    loaded, opened = both(path)
    assert outline(loaded) == outline(opened)
    xr.testing.assert_equal(loaded, opened)


def test_of_several_sources(tmp_path: Path) -> None:
    days(tmp_path)
    geotiff(tmp_path / "src" / "one.tif")
    variables = [
        {"identifier": "a", "store": "files", "data_id": "one.tif"},
        {"identifier": "b", "store": "files", "data_id": "one.zarr"},
    ]
    dataset = {"identifier": "cube", "grid_mapping": "tiles", "variables": variables}
    path = configuration(tmp_path, [dataset], [SOURCES], grids=[TILES | {"tile_size": 40}])
    loaded, opened = both(path)
    assert outline(loaded) == outline(opened)
    xr.testing.assert_equal(loaded, opened)


def test_nothing_is_computed_or_written_but_the_catalog(tmp_path: Path) -> None:
    days(tmp_path)
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.zarr"})
    before = {each for each in tmp_path.rglob("*") if each.is_file()}
    with Computed() as dask, stacbuild.load(path, "cube") as cube:
        assert dask.tasks == 0
        assert all(isinstance(each.data, da.Array) for each in cube.data_vars.values())
        assert cube.age.isel(time=0, lat=0, lon=0).compute().dtype == "f4"
        assert dask.tasks > 0
    written = {each for each in tmp_path.rglob("*") if each.is_file()} - before
    assert {each.relative_to(tmp_path).parts[0] for each in written} == {"catalogs"}
    assert [each.action for each in stacbuild.plan(path)] == ["create"]


PROJECTED = {"identifier": "utm", "crs": "EPSG:32632", "spatial_res": 100, "tile_size": 64}


@pytest.mark.parametrize("grid", [TILES, PROJECTED | {"bbox": [580000, 4984000, 586000, 4992000]}])
def test_it_knows_its_grid(tmp_path: Path, grid: Json) -> None:
    """``.rio`` and ``.odc`` have CRS and transform, and can clip, before a build and after."""
    geotiff(tmp_path / "src" / "one.tif")
    name, code = grid["identifier"], int(grid["crs"].partition(":")[2])
    dataset = {"identifier": "cube", "data_id": "one.tif", "grid_mapping": name}
    path = project(tmp_path, dataset, grids=[grid | {"tile_size": 40}])
    west, south, east, north = grid["bbox"]
    res = grid["spatial_res"]
    shape = round((north - south) / res), round((east - west) / res)
    for cube in both(path):
        assert cube.rio.crs.to_epsg() == code
        assert variable_of(cube).rio.transform() == cube.rio.transform()
        assert cube.rio.transform().almost_equals((res, 0, west, 0, -res, north))
        assert cube.odc.geobox.shape == shape
        assert cube.odc.geobox.crs.epsg == code
        np.testing.assert_allclose(cube.odc.geobox.boundingbox, grid["bbox"])
        # Ten columns and five rows from the corner in the north west.
        box = (west, north - 4.9 * res, west + 9.9 * res, north)
        part = cube.rio.clip_box(*box)
        assert variable_of(part).shape == (5, 10)
        np.testing.assert_array_equal(variable_of(part), variable_of(cube)[:5, :10])
        clipped = variable_of(cube).rio.clip([shapely.box(*box)], all_touched=True)
        np.testing.assert_array_equal(clipped, variable_of(part))


def test_a_part_of_it(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.tif"})
    west, south, east, north = BOX
    part = (west + 0.02, south + 0.03, east - 0.04, north)
    with (
        stacbuild.load(path, "cube", bbox=part) as loaded,
        rasterio.open(tmp_path / "src" / "one.tif") as file,
    ):
        np.testing.assert_array_equal(variable_of(loaded).squeeze(), file.read(1)[10:80, 30:70])


def test_a_copy_of_it_is_the_users_own(tmp_path: Path) -> None:
    """Written to where the cube goes it is not taken for one, and so never replaced."""
    geotiff(tmp_path / "src" / "one.tif")
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.tif"})
    with stacbuild.load(path, "cube") as cube:
        cube.to_zarr(tmp_path / "data" / "cube.zarr", consolidated=False)
    [planned] = stacbuild.plan(path, errors="collect")
    assert planned.action == "conflict"
    # What lies where the cube goes is no matter to a dataset that goes nowhere.
    with stacbuild.load(path, "cube") as cube:
        assert cube.sizes["lat"] == 100


def test_a_source_that_was_written_to_is_read_as_it_is_now(tmp_path: Path) -> None:
    """Files that an earlier dataset left open are not read again, by another or by a build."""
    filled(tmp_path / "src" / "one.tif", 3)
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.tif"})
    first = stacbuild.load(path, "cube")
    assert set(np.unique(variable_of(first))) == {3}
    filled(tmp_path / "src" / "one.tif", 4)
    with stacbuild.load(path, "cube") as second:
        assert set(np.unique(variable_of(second))) == {4}
        filled(tmp_path / "src" / "one.tif", 5)
        stacbuild.build(path)
    with stacbuild.open_cube(path, "cube") as cube:
        assert set(np.unique(variable_of(cube))) == {5}


def test_closing_it_closes_its_files(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    path = project(tmp_path, {"identifier": "cube", "data_id": "one.tif"})
    with stacbuild.load(path, "cube") as cube:
        cube.load()
        assert pool._idle
    assert not pool._idle
    assert not pool._files


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    (tmp_path / "change.py").write_text("def change(ds):\n    return ds / nothing\n")
    custom = {"module_path": "change.py", "function_name": "change"}
    path = project(
        tmp_path,
        {"identifier": "gone", "data_id": "gone.tif"},
        {"identifier": "bad", "data_id": "one.tif", "custom_processing": custom},
    )
    with pytest.raises(ConfigError, match="there is no dataset 'other'"):
        stacbuild.load(path, "other")
    with pytest.raises(LocalError, match=r"gone\.tif"):
        stacbuild.load(path, "gone")
    with pytest.raises(BuildError, match=r"change\.py:change raised NameError at change\.py:2"):
        stacbuild.load(path, "bad")
    with pytest.raises(ConfigError, match="contains no pixel centre of the grid"):
        stacbuild.load(path, "bad", bbox=(100.0, 0.0, 101.0, 1.0))
