"""Cubes as pyramids and netCDF files: what is in them, who opens them, what a kill leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import h5netcdf
import numpy as np
import pystac
import pytest
import rasterio
import s3fs
import xarray as xr
import zarr
import zarr_cm
from rasterio import Affine

import stacbuild as library
from stacbuild.storage import ownership
from tests.standins.s3 import S3Server
from tests.support.cli import Json, catalogued, configuration, errors, geotiff, stacbuild
from tests.support.forked import Runs
from tests.support.killing import fresh

SHAPE = (530, 601)
WEST, NORTH, STEP = 10.0, 46.0, 0.001
GRID = {
    "identifier": "g",
    "bbox": [WEST, NORTH - SHAPE[0] * STEP, WEST + SHAPE[1] * STEP, NORTH],
    "spatial_res": STEP,
    "crs": "EPSG:4326",
    "tile_size": 200,
}
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
# Of as few chunks as there can be.
COARSE = GRID | {"tile_size": [530, 601]}
ENDINGS = {"zarr": ".zarr", "levels": ".zarr", "netcdf": ".nc"}


def write_sources(folder: Path) -> None:
    """Write codes, and two bands of heights with a hole that is "no data"."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.indices(SHAPE)
    codes = ((rows * 7 + columns * 3) % 100).astype("uint8")
    height = (rows * 1.5 + columns / 7).astype("float32")
    height[101:203, 77:300] = -9999
    profile = {"driver": "GTiff", "width": SHAPE[1], "height": SHAPE[0], "crs": "EPSG:4326"}
    profile |= {"transform": Affine(STEP, 0, WEST, 0, -STEP, NORTH), "tiled": True}
    profile |= {"blockxsize": 128, "blockysize": 128}
    with rasterio.open(
        folder / "codes.tif", "w", dtype="uint8", nodata=255, count=1, **profile
    ) as f:
        f.write(codes, 1)
    with rasterio.open(
        folder / "height.tif", "w", dtype="float32", nodata=-9999, count=2, **profile
    ) as f:
        f.write(height, 1)
        f.write(np.where(height == -9999, height, -height), 2)


def configured(
    directory: Path, format_id: str, grid: Json | None = None, **sections: object
) -> Path:
    if not (directory / "src").exists():
        write_sources(directory / "src")
    variables = [
        {"identifier": name, "store": "local", "data_id": f"{name}.tif"}
        for name in ("codes", "height")
    ]
    dataset: Json = {"identifier": "two", "grid_mapping": "g", "format_id": format_id}
    return configuration(
        directory, [dataset | {"variables": variables}], [SOURCE], grids=[grid or GRID], **sections
    )


def item_of(directory: Path) -> pystac.Item:
    return pystac.Item.from_file(str(directory / "catalogs" / "c" / "two" / "two.json"))


def seen(directory: Path) -> list[str]:
    """Return what anyone sees in the folder of the cubes."""
    return sorted(path.name for path in (directory / "data").glob("[!.]*"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, runs: Runs) -> dict[str, Path]:
    """The same cube in each format, each in a folder of its own."""
    folders = {}
    for format_id in ENDINGS:
        folders[format_id] = tmp_path_factory.mktemp("formats") / format_id
        assert runs("cube", configured(folders[format_id], format_id)).code == 0
    return folders


@pytest.fixture(scope="module")
def plain(built: dict[str, Path]) -> Iterator[xr.Dataset]:
    with xr.open_zarr(built["zarr"] / "data" / "two.zarr", mask_and_scale=False) as cube:
        yield cube.load()


@pytest.fixture
def pyramid(built: dict[str, Path]) -> Path:
    return built["levels"] / "data" / "two.zarr"


@pytest.fixture
def file(built: dict[str, Path]) -> Path:
    return built["netcdf"] / "data" / "two.nc"


# --- in every format -----------------------------------------------------------------------------


@pytest.mark.parametrize("format_id", ["levels", "netcdf"])
def test_values_and_descriptions_are_those_of_the_zarr_cube(
    format_id: str, built: dict[str, Path]
) -> None:
    directory = built[format_id]
    assert seen(directory) == [f"two{ENDINGS[format_id]}"]
    with (
        library.open_cube(built["zarr"] / "c_config.yml", "two") as expected,
        library.open_cube(directory / "c_config.yml", "two") as cube,
    ):
        xr.testing.assert_equal(cube, expected)
        assert {name: each.dtype for name, each in cube.items()} == {
            name: each.dtype for name, each in expected.items()
        }
        assert cube["height"].chunks == expected["height"].chunks
        assert cube["spatial_ref"].attrs == expected["spatial_ref"].attrs
        for name in ("codes", "height"):
            assert cube[name].attrs == expected[name].attrs
    item, other = item_of(directory).to_dict(), item_of(built["zarr"]).to_dict()
    for key in ("cube:dimensions", "cube:variables", "proj:transform", "renders", "title"):
        assert item["properties"][key] == other["properties"][key], key
    assert (directory / "catalogs/c/two/thumbnail.png").read_bytes() == (
        built["zarr"] / "catalogs/c/two/thumbnail.png"
    ).read_bytes()


@pytest.mark.parametrize("format_id", ["levels", "netcdf"])
def test_it_is_up_to_date_valid_and_exported(format_id: str, built: dict[str, Path]) -> None:
    directory = built[format_id]
    config = directory / "c_config.yml"
    assert "UP TO DATE" in stacbuild("cube", config).stderr
    assert "all well: 1 cube" in stacbuild("validate", config, "--deep").stdout
    stacbuild("validate", "--catalog", directory / "catalogs", "--deep")
    assert catalogued(directory / "catalogs") == ["two"]
    out = directory / "out"
    stacbuild("export", "--catalog", directory / "catalogs", "--output", out)
    exported = (out / "items.json").read_text()
    assert str(directory / "data" / f"two{ENDINGS[format_id]}") in exported


@pytest.mark.parametrize(("format_id", "data_id"), [("levels", "two.levels"), ("netcdf", "two.nc")])
def test_the_notebook_opens_it_by_its_name(
    format_id: str, data_id: str, built: dict[str, Path], plain: xr.Dataset
) -> None:
    store = library.MultiSourceDataStore(str(built[format_id] / "c_config.yml")).stores.storage
    assert store.list_data_ids() == [data_id]
    with store.open_data(data_id) as cube:
        np.testing.assert_array_equal(cube["height"].values[0], plain["height"].values[0])


@pytest.mark.parametrize("format_id", ["levels", "netcdf"])
def test_it_can_be_drawn(format_id: str, built: dict[str, Path], tmp_path: Path) -> None:
    drawn = []
    for each, cube in ((format_id, "two"), ("zarr", "two")):
        folder = built[each]
        out = tmp_path / f"{each}.png"
        stacbuild("preview", cube, "--catalog", folder / "catalogs", "-o", out)
        drawn.append(out.read_bytes())
    assert drawn[0] == drawn[1]
    path = built[format_id] / "data" / f"two{ENDINGS[format_id]}"
    stacbuild("preview", path, "-o", tmp_path / "path.png")
    assert (tmp_path / "path.png").read_bytes() == drawn[0]


# --- levels --------------------------------------------------------------------------------------


def test_levels_are_the_cube_in_ever_half_the_resolution(pyramid: Path, plain: xr.Dataset) -> None:
    with xr.open_datatree(pyramid, engine="zarr", mask_and_scale=False) as tree:
        assert list(tree.children) == ["0", "1", "2"]
        sizes = [(tree[name].sizes["lat"], tree[name].sizes["lon"]) for name in tree.children]
        assert sizes == [SHAPE, (265, 301), (133, 151)]
        height, codes = plain["height"].values.astype("float64"), plain["codes"].values
        for number in (1, 2):
            level = tree[str(number)].to_dataset()
            step = STEP * 2**number
            np.testing.assert_allclose(
                level["lon"], WEST + (np.arange(level.sizes["lon"]) + 0.5) * step, rtol=0, atol=1e-9
            )
            np.testing.assert_allclose(
                level["lat"], NORTH - (np.arange(level.sizes["lat"]) + 0.5) * step, atol=1e-9
            )
            assert level["spatial_ref"].attrs["GeoTransform"].split()[1] == repr(step)
            # Each value again, one by one, in the plainest way there is.
            below, height = height, np.empty((2, *level["codes"].shape))
            for band, row, column in np.ndindex(height.shape):
                four = below[band, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                four = four[~np.isnan(four)]
                height[band, row, column] = four.mean() if four.size else np.nan
            height = height.astype("float32").astype("float64")
            np.testing.assert_array_equal(level["height"], height.astype("float32"))
            assert np.isnan(height).any()
            assert level["codes"].dtype == np.uint8
            shift = number % 2
            rows = np.minimum(np.arange(0, codes.shape[0], 2) + shift, codes.shape[0] - 1)
            columns = np.minimum(np.arange(0, codes.shape[1], 2) + shift, codes.shape[1] - 1)
            codes = codes[np.ix_(rows, columns)]
            np.testing.assert_array_equal(level["codes"], codes)


def test_levels_follow_the_convention(pyramid: Path) -> None:
    metadata = json.loads((pyramid / "zarr.json").read_bytes())
    zarr_cm.multiscales.validate_group_metadata(metadata)
    zarr_cm.spatial.validate_group_metadata(metadata)
    layout = metadata["attributes"]["multiscales"]["layout"]
    assert [each["asset"] for each in layout] == ["0", "1", "2"]
    for below, level in pairwise(layout):
        assert level["derived_from"] == below["asset"]
        assert level["transform"] == {"scale": [2.0, 2.0], "translation": [0.0, 0.0]}
    for each in layout:
        group = json.loads((pyramid / each["asset"] / "zarr.json").read_bytes())
        zarr_cm.validate_all(group["attributes"])
        assert group["attributes"]["spatial:transform"] == each["spatial:transform"]
        assert group["attributes"]["spatial:shape"] == each["spatial:shape"]


def test_any_level_opens_by_itself_and_the_item_names_two_assets(pyramid: Path) -> None:
    item = item_of(pyramid.parents[1])
    data, whole = item.assets["data"], item.assets["multiscales"]
    assert Path(whole.get_absolute_href() or "") == pyramid
    assert Path(data.get_absolute_href() or "") == pyramid / "0"
    assert data.media_type == whole.media_type == "application/vnd.zarr"
    for level, rows in (("0", 530), ("1", 265), ("2", 133)):
        with xr.open_zarr(pyramid, group=level) as cube:
            assert cube.sizes["lat"] == rows
        with xr.open_zarr(pyramid / level) as cube:
            assert cube.sizes["lat"] == rows
    item.make_asset_hrefs_absolute()
    with xr.open_dataset(data, engine="stac") as cube:
        assert cube.sizes["lat"] == 530
    assert [link.get_absolute_href() for link in item.get_links("store")] == [str(pyramid)]


def test_gdal_opens_a_level(tmp_path: Path) -> None:
    # GDAL before 3.12 reads format 2 only.
    stacbuild("cube", configured(tmp_path, "levels", general={"zarr_format": 2}))
    path = tmp_path / "data" / "two.zarr"
    with rasterio.open(f'ZARR:"{path}/1":/codes') as level:
        assert level.crs.to_epsg() == 4326
        assert level.shape == (265, 301)
        np.testing.assert_allclose(level.bounds, (10, 45.47, 10.602, 46))
        with xr.open_zarr(path, group="1", mask_and_scale=False) as cube:
            np.testing.assert_array_equal(level.read(1), cube["codes"])


def test_damage_of_a_coarse_level_is_found(built: dict[str, Path], tmp_path: Path) -> None:
    directory = fresh(built["levels"], tmp_path / "x")
    chunk = directory / "data" / "two.zarr" / "1" / "codes" / "c" / "1" / "1"
    content = chunk.read_bytes()
    chunk.unlink()
    (line,) = errors(stacbuild("validate", directory / "c_config.yml", code=4))
    assert "two.zarr: 1/codes: 1 of 4 chunks are missing: c/1/1" in line
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    chunk.write_bytes(changed)
    (line,) = errors(stacbuild("validate", directory / "c_config.yml", "--deep", code=4))
    assert "two.zarr: 1/codes: 1 of 4 chunks are damaged: c/1/1" in line


@pytest.mark.slow
def test_levels_in_a_bucket(tmp_path: Path, s3_server: S3Server, plain: xr.Dataset) -> None:
    s3_server.put("kept.txt", b"kept", "levels-1")
    options = {"key": "testing", "secret": "testing", "endpoint_url": s3_server.url}
    storage = {
        "store_id": "s3",
        "store_params": {"root": "levels-1", "storage_options": options},
    }
    config = configured(tmp_path, "levels", COARSE, storage=storage)
    for _ in range(2):
        stacbuild("cube", config, "--force")
    item = item_of(tmp_path)
    href = item.assets["data"].href
    assert href == f"{item.assets['multiscales'].href}/0"
    fs = s3fs.S3FileSystem(**options, use_listings_cache=False)
    # Of the two builds one is left.
    names = {path.split("/")[1] for path in fs.find("levels-1")}
    assert names == {"kept.txt", href.split("/")[-2]}
    with library.open_cube(config, "two") as cube:
        np.testing.assert_array_equal(cube["height"], plain["height"])
    assert "all well" in stacbuild("validate", config, "--deep").stdout
    assert "UP TO DATE" in stacbuild("cube", config).stderr
    store = library.MultiSourceDataStore(str(config)).stores.storage
    assert store.list_data_ids() == ["two.levels"]
    fs.rm(f"levels-1/{href.split('/')[-2]}/2/height", recursive=True)
    stacbuild("validate", config, code=4)


# --- netCDF --------------------------------------------------------------------------------------


def test_the_file_is_cf_and_says_how_it_is_stored(file: Path) -> None:
    with h5netcdf.File(file, "r") as found:
        assert found.attrs["Conventions"] == "CF-1.11"
        assert not [key for key in found.attrs if ":" in key or key.startswith("zarr")]
        height, codes = found["height"], found["codes"]
        assert height.dimensions == ("band", "lat", "lon")
        assert height.chunks == (1, 200, 200)
        for array in (height, codes):
            assert array.attrs["grid_mapping"] == "spatial_ref"
            assert array.attrs["_FillValue"].dtype == array.dtype
            stored = array._h5ds
            assert (stored.compression, stored.fletcher32) == ("gzip", True)
        assert found["spatial_ref"].attrs["grid_mapping_name"] == "latitude_longitude"
        assert found["lat"].attrs["units"] == "degrees_north"
    asset = item_of(file.parents[1]).assets["data"]
    assert asset.media_type == "application/netcdf"
    assert asset.extra_fields["file:size"] == file.stat().st_size
    assert not [key for key in asset.extra_fields if key.startswith("zarr:")]
    assert not item_of(file.parents[1]).get_links("store")


def test_gdal_and_plain_xarray_open_the_file(file: Path, plain: xr.Dataset) -> None:
    with rasterio.open(f"netcdf:{file}:height") as found:
        assert found.crs.to_epsg() == 4326
        np.testing.assert_allclose(found.bounds, (10, 45.47, 10.601, 46))
        np.testing.assert_array_equal(found.read(), plain["height"])
    with rasterio.open(f"netcdf:{file}:codes") as found:
        assert found.nodata == 255
        np.testing.assert_array_equal(found.read(1), plain["codes"])
    with xr.open_dataset(file) as cube:
        assert cube.sizes == {"lat": 530, "lon": 601, "band": 2}


def test_legends_and_times_keep_their_types(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif", dtype="uint8", count=1)
    (tmp_path / "modify.py").write_text(
        "import pandas as pd\n"
        "def change(ds):\n"
        "    ds = ds.expand_dims(time=pd.to_datetime(['2001-01-01T00:00', '2003-06-01T12:00']))\n"
        "    for array in ds.values():\n"
        "        array.attrs |= {'flag_values': [0, 1], 'flag_meanings': 'no yes'}\n"
        "    return ds\n"
    )
    custom = {"module_path": "modify", "function_name": "change"}
    dataset = {"identifier": "one", "store": "local", "data_id": "one.tif", "format_id": "netcdf"}
    config = configuration(tmp_path, [dataset | {"custom_processing": custom}], [SOURCE])
    stacbuild("cube", config)
    with xr.open_dataset(tmp_path / "data" / "one.nc", mask_and_scale=False) as cube:
        (array,) = cube.data_vars.values()
        assert array.attrs["flag_values"].dtype == array.dtype == np.uint8
        assert array.attrs["flag_meanings"] == "no yes"
        assert str(cube["time"].values[1])[:16] == "2003-06-01T12:00"
    stacbuild("validate", config, "--deep")


def test_a_changed_file_is_found(built: dict[str, Path], tmp_path: Path) -> None:
    directory = fresh(built["netcdf"], tmp_path / "x")
    config, path = directory / "c_config.yml", directory / "data" / "two.nc"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (line,) = errors(stacbuild("validate", config, "--deep", code=4))
    assert "two.nc: its checksum is not that of its item; build it again: stacbuild" in line
    path.write_bytes(content[:-1])
    assert "its item states" in errors(stacbuild("validate", config, code=4))[0]
    # Nothing in it can be read, so nothing says that it is a cube of ours.
    assert "two: conflict" in stacbuild("plan", config, code=5).stdout
    path.unlink()
    assert "rebuild: the cube is gone" in stacbuild("plan", config).stdout
    stacbuild("cube", config)
    stacbuild("validate", config, "--deep")


def test_where_netcdf_cannot_go_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = {"store_id": "memory", "store_params": {}}
    config = configured(tmp_path, "netcdf", storage=storage)
    (line,) = errors(stacbuild("cube", config, code=2))
    assert "datasets.two.format_id: netcdf can be written to a folder only" in line
    config = configured(tmp_path, "netcdf")
    monkeypatch.setattr(ownership, "find_spec", lambda name: None)
    (planned,) = library.plan(config, errors="collect")
    assert planned.action == "fails"
    assert "pip install 'stacbuild[netcdf]'" in planned.reason
    assert not (tmp_path / "data").exists()


def test_what_netcdf_has_no_type_for_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "one.tif")
    (tmp_path / "modify.py").write_text("def change(ds):\n    return ds > 5\n")
    custom = {"module_path": "modify", "function_name": "change"}
    dataset = {"identifier": "one", "store": "local", "data_id": "one.tif", "format_id": "netcdf"}
    config = configuration(tmp_path, [dataset | {"custom_processing": custom}], [SOURCE])
    (line,) = errors(stacbuild("cube", config, code=1))
    assert "netCDF has no type for bool; write it as zarr" in line
    assert seen(tmp_path) == []


# --- from one format to another ------------------------------------------------------------------


@pytest.mark.parametrize(
    "formats",
    [
        ("zarr", "netcdf", "levels", "zarr"),
        pytest.param(("zarr", "levels", "netcdf", "zarr"), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def test_a_change_of_format_leaves_nothing_of_the_other(
    tmp_path: Path, runs: Runs, formats: tuple[str, ...]
) -> None:
    for format_id in formats:
        config = configured(tmp_path, format_id, COARSE)
        assert runs("cube", config).code == 0
        assert seen(tmp_path) == [f"two{ENDINGS[format_id]}"]
        assert [path.name for path in (tmp_path / "data").glob(".*")] == [".two.zarr.lock"]
        assert runs("validate", config).code == 0
        planned = runs("plan", configured(tmp_path, "zarr", COARSE)).stdout
        assert ("two: rebuild: configuration: datasets.two.format_id" in planned) == (
            format_id != "zarr"
        )


def test_a_file_that_no_item_named_is_kept_and_told(tmp_path: Path) -> None:
    config = configured(tmp_path, "zarr")
    (tmp_path / "data").mkdir()
    mine = tmp_path / "data" / "two.nc"
    mine.write_bytes(b"mine")
    stacbuild("cube", config)
    assert mine.read_bytes() == b"mine"
    (line,) = errors(stacbuild("validate", config, code=4))
    assert "two.nc: no item of" in line


# --- killed --------------------------------------------------------------------------------------


def check_whole(directory: Path, plain: xr.Dataset) -> None:
    """Check that whatever is seen in the folder of the cubes is a whole cube."""
    for path in (directory / "data").glob("[!.]*"):
        if path.suffix == ".nc":
            with xr.open_dataset(path, mask_and_scale=False) as cube:
                np.testing.assert_array_equal(cube["height"], plain["height"])
                np.testing.assert_array_equal(cube["codes"], plain["codes"])
            continue
        root = zarr.open_group(path, mode="r")
        levels = ["0/", "1/", "2/"] if "multiscales" in root.attrs else [""]
        for level in levels:
            for name in ("codes", "height"):
                array = root[f"{level}{name}"]
                assert isinstance(array, zarr.Array)
                assert array.nchunks_initialized == array.nchunks, (path, level, name)
        np.testing.assert_array_equal(root[f"{levels[0]}height"][:], plain["height"])  # type: ignore[index]


def changing(built: dict[str, Path], directory: Path, format_id: str) -> Path:
    """Return a folder with a cube in one format that is then configured in another."""
    before = {"netcdf": "zarr", "levels": "netcdf", "zarr": "levels"}[format_id]
    fresh(built[before], directory)
    configured(directory, format_id)
    return directory


def killed_then_run(base: Path, runs: Runs, at: int, late: bool, plain: xr.Dataset) -> None:
    directory = fresh(base, base.parent / "y")
    config = directory / "c_config.yml"
    killed = runs("cube", config, kill_at=at, late=late)
    assert killed.code == -signal.SIGKILL
    check_whole(directory, plain)
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    format_id = library.load_config(config).datasets[0].format_id
    assert seen(directory) == [f"two{ENDINGS[format_id]}"]
    assert [path.name for path in (directory / "data").glob(".*")] == [".two.zarr.lock"]
    check_whole(directory, plain)
    assert runs("validate", config, "--deep").code == 0
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    "format_id",
    ["levels", *(pytest.param(each, marks=pytest.mark.slow) for each in ("netcdf", "zarr"))],
)
def test_killed_then_run_again(
    format_id: str, built: dict[str, Path], tmp_path: Path, runs: Runs, plain: xr.Dataset
) -> None:
    base = changing(built, tmp_path / "x", format_id)
    directory = fresh(base, tmp_path / "whole")
    renamed = runs("cube", directory / "c_config.yml").renamed
    first = next(
        n for n, path in enumerate(renamed, 1) if path.endswith("/data/two" + ENDINGS[format_id])
    )
    # While the rest is made of the chunks, and in the commit.
    for at in (first - 1, first + 1):
        killed_then_run(base, runs, at, False, plain)


@pytest.mark.slow
@pytest.mark.parametrize("format_id", ["netcdf", "levels", "zarr"])
def test_killed_at_every_renaming(
    format_id: str, built: dict[str, Path], tmp_path: Path, runs: Runs, plain: xr.Dataset
) -> None:
    base = changing(built, tmp_path / "x", format_id)
    directory = fresh(base, tmp_path / "whole")
    for at in range(1, len(runs("cube", directory / "c_config.yml").renamed) + 1):
        for late in (False, True):
            killed_then_run(base, runs, at, late, plain)


# --- memory --------------------------------------------------------------------------------------

_PROGRAM = """
import os, resource, sys
from pathlib import Path
import dask.array as da
import numpy as np
import xarray as xr
from zarr.storage import LocalStore
from stacbuild.building.cf import add_grid, geozarr_attrs
from stacbuild.building.levels import add_levels
from stacbuild.building.netcdf import write_netcdf
from stacbuild.building.compute import open_workers
from stacbuild.loading.memory import Room
from stacbuild.building.write import Target, prepare, write
from stacbuild.config.models import GridMapping
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.storage.memory import Memory
from stacbuild.geo.grid import Grid
from stacbuild.progress import Silent
import zarr
zarr.config.set({"threading.max_workers": 4})
root = Path(sys.argv[1])
size = 4096
os.cpu_count = lambda: 2
mapping = GridMapping.model_validate({"identifier": "g", "crs": "EPSG:3035", "spatial_res": 10,
    "bbox": [4000000, 3000000, 4000000 + size * 10, 3000000 + size * 10], "tile_size": 512})
grid = Grid.from_mapping(mapping, mapping.bbox)
values = da.arange(size * size, chunks=512 * size, dtype="float64").reshape(size, size)
cube = xr.Dataset({"v": (grid.dims, da.broadcast_to(values, values.shape))})
cube = cube.assign_coords(dict(zip(grid.dims, grid.coords())))
cube = add_grid(cube, grid).assign_attrs(title="t", **geozarr_attrs(grid))
cube = prepare(cube, grid, {})
silent = Silent()
storage = Memory(MemoryStore.model_construct())
with open_workers("synchronous", [], storage, Room(1, 1, 0)) as run, \\
        silent.task("x", total=1) as task:
    write(cube, grid, Target(LocalStore(root / "0"), 3), run, task)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_netcdf(LocalStore(root / "0"), root / "x.nc")
between = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
add_levels(LocalStore(root), cube, grid, zarr_format=3)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(before, between, after)
"""


@pytest.mark.slow
def test_memory_is_that_of_a_few_chunks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MALLOC_ARENA_MAX": "2"},
    )
    assert done.returncode == 0, done.stderr
    before, between, after = map(int, done.stdout.split())
    # In kilobytes; the cube has 128 MB, a chunk 2.
    assert between - before < 60_000, done.stdout
    assert after - between < 100_000, done.stdout
    with xr.open_dataset(tmp_path / "x.nc") as cube, xr.open_zarr(tmp_path, group="1") as level:
        assert cube["v"][-1, -1] == 4096**2 - 1
        assert level["v"][0, 0] == (0 + 1 + 4096 + 4097) / 4
