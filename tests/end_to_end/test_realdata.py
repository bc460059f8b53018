"""Real files through the command line into cubes, compared pixel by pixel (realdata/README.md)."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import xarray as xr
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.zenodo.harvest import harvest
from stacbuild.sources.zenodo.store import ZenodoStore
from stacbuild.stac.catalog import Catalog
from tests.standins.clms import ClmsServer, Product
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import Json, catalogued, configuration, errors, stacbuild


@dataclass(frozen=True)
class Source:
    """A band of a GeoTIFF, as rasterio reads it."""

    path: Path
    nodata: tuple[int, ...]

    def nearest(self, array: xr.DataArray, crs: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what *array* has to hold, every centre through PROJ, and which pixels are close.

        "No data" is the array's own fill value. Close are those whose centre falls within a
        millionth of a pixel of the edge of a source pixel.
        """
        y, x = (array[name].values for name in array.dims)
        with rasterio.open(self.path, driver="GTiff") as file:
            to_source = pyproj.Transformer.from_crs(crs, file.crs.to_wkt(), always_xy=True)
            at_x, at_y = to_source.transform(*np.meshgrid(x, y))
            col = (at_x - file.transform.c) / file.transform.a
            row = (at_y - file.transform.f) / file.transform.e
            inside = (row >= 0) & (row < file.height) & (col >= 0) & (col < file.width)
            top, left = int(row[inside].min()), int(col[inside].min())
            high, wide = int(row[inside].max()) - top + 1, int(col[inside].max()) - left + 1
            values = file.read(1, window=Window(left, top, wide, high))
        near = np.minimum(np.abs(row - np.rint(row)), np.abs(col - np.rint(col))) < 1e-6
        fill = array.attrs.get("_FillValue", 0)
        rows = np.where(inside, row, top).astype(np.int64) - top
        cols = np.where(inside, col, left).astype(np.int64) - left
        expected = np.where(inside, values[rows, cols], fill)
        return np.where(np.isin(expected, self.nodata), fill, expected), near

    def warped(self, array: xr.DataArray, crs: str) -> np.ndarray:
        """Return what GDAL's warper makes of it with its exact transformer."""
        y, x = (array[name].values for name in array.dims)
        step_x, step_y = x[1] - x[0], y[1] - y[0]
        corner = Affine(step_x, 0, x[0] - step_x / 2, 0, step_y, y[0] - step_y / 2)
        fill = array.attrs["_FillValue"]
        with (
            rasterio.open(self.path, driver="GTiff") as file,
            WarpedVRT(
                file,
                crs=crs,
                transform=corner,
                width=x.size,
                height=y.size,
                resampling=Resampling.nearest,
                # GDAL then interpolates no position that it could ask PROJ for. reproject() does
                # not pass it on, and 0 makes no transformer at all (seen in rasterio 1.4.4).
                tolerance=1e-9,
                nodata=fill,
            ) as vrt,
        ):
            values = vrt.read(1)
        return np.where(np.isin(values, self.nodata), fill, values)


def raw(cube: Path, variable: str) -> xr.DataArray:
    with xr.open_zarr(cube, mask_and_scale=False) as dataset:
        return dataset[variable].load()


def check_nearest(cube: Path, variable: str, source: Source, crs: str) -> xr.DataArray:
    """Compare all pixels of a variable with both references; give it as it is stored."""
    array = raw(cube, variable)
    expected, near = source.nearest(array, crs)
    assert near.mean() < 1e-3, "a test of edges only tests nothing"
    wrong = (array.values != expected) & ~near
    assert not wrong.any(), f"{int(wrong.sum())} of {wrong.size} pixels"
    differs = (array.values != source.warped(array, crs)) & ~near
    assert not differs.any(), f"{int(differs.sum())} of {differs.size} pixels differ from GDAL"
    with xr.open_zarr(cube) as masked:
        np.testing.assert_array_equal(
            np.isnan(masked[variable].values), array.values == array.attrs["_FillValue"]
        )
    return array


# --- CLMS ----------------------------------------------------------------------------------------

FILES = {
    "tcd10": ("tree-cover-density-2018", "TCD_2018_010m_eu_03035_v0_1"),
    "tcd": ("tree-cover-density-2018", "TCD_2018_100m_eu_03035_v0_1"),
    "fty": ("forest-type-2018", "fty_2018_100m_eu_03035_v0_1"),
}
LAEA = {"crs": "EPSG:3035"}
# The deliveries cover 4 700 000, 1 420 000, 4 750 000, 1 460 000; of those in 10 m the north-west
# is taken, where there is land.
GRIDS = {
    "aligned": LAEA | {"bbox": [4_700_000, 1_420_000, 4_750_000, 1_460_000], "spatial_res": 100},
    "aligned10": LAEA | {"bbox": [4_700_000, 1_450_000, 4_715_000, 1_460_000], "spatial_res": 10},
    # By 0.63 of a pixel, to the east and south (10 m: the west and north), and beyond the data.
    "shifted": LAEA | {"bbox": [4_700_063, 1_419_937, 4_750_063, 1_459_937], "spatial_res": 100},
    "shifted10": LAEA
    | {"bbox": [4_699_993.7, 1_450_006.3, 4_714_993.7, 1_460_006.3], "spatial_res": 10},
    # Beyond the data in the north, the south and the east (10 m: in the north and the west).
    "lonlat": {"crs": "EPSG:4326", "bbox": [14.3, 35.7, 15.1, 36.3], "spatial_res": 0.0009},
    "lonlat10": {"crs": "EPSG:4326", "bbox": [14.1, 36.0, 14.35, 36.15], "spatial_res": 0.0002},
}


@pytest.fixture(scope="module")
def clms_cubes(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where cubes of the three deliveries stand, one for each of `GRIDS`."""
    folder = tmp_path_factory.mktemp("clms")
    packages: dict[str, dict[str, Path]] = {}
    for product, file in FILES.values():
        # The portal puts what the EEA packed into one more zip.
        path = folder / "remote" / f"{file}.zip"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(realdata / "hrl_eea" / f"{file}.zip", f"Results/{file}.zip")
        packages.setdefault(product, {})[file] = path
    products = [Product(slug, slug, found, year=2018) for slug, found in packages.items()]
    ids = {name: "|".join(parts) for name, parts in FILES.items()}
    datasets = [
        {
            "identifier": name,
            "grid_mapping": name,
            "variables": [
                {"identifier": variable, "store": "clms", "data_id": ids[variable]}
                for variable in (("tcd10",) if name.endswith("10") else ("tcd", "fty"))
            ],
        }
        for name in GRIDS
    ]
    with ClmsServer(*products) as server:
        server.write_credentials(folder / "me.json")
        store = {
            "identifier": "clms",
            "store_id": "clms",
            "store_params": {"endpoint_url": server.api, "credentials": "me.json"},
        }
        config = configuration(
            folder,
            datasets,
            [store],
            grids=[{"identifier": name, "tile_size": 700} | grid for name, grid in GRIDS.items()],
            preload_datasets=[{"store": "clms", "data_ids": list(ids.values())}],
        )
        stacbuild("harvest", config)
        # One request and one download a file, and none for the six cubes.
        assert server.posts == 3
        server.reset()
        stacbuild("cube", config)
        assert server.requests == 0
    return folder


@pytest.mark.parametrize(
    ("grid", "variable"),
    [
        (grid, variable)
        for grid in GRIDS
        for variable in (("tcd10",) if grid.endswith("10") else ("tcd", "fty"))
    ],
)
def test_clms_deliveries_are_the_pixels_under_the_centres(
    clms_cubes: Path, grid: str, variable: str
) -> None:
    (path,) = (clms_cubes / "clms_cache").rglob(f"{FILES[variable][1]}.tif")
    crs = GRIDS[grid]["crs"]
    array = check_nearest(
        clms_cubes / "data" / f"{grid}.zarr", variable, Source(path, (254, 255)), crs
    )
    assert array.dtype == np.uint8
    assert array.attrs["_FillValue"] == 255
    assert 254 not in array.values
    assert (array.values != 255).any()
    if grid.startswith("aligned"):
        with rasterio.open(path, driver="GTiff") as file:
            source = file.read(1)
        source = source[: array.shape[0], : array.shape[1]]
        np.testing.assert_array_equal(array.values, np.where(source == 254, 255, source))


def test_clms_legends_come_along(clms_cubes: Path) -> None:
    forest = raw(clms_cubes / "data" / "aligned.zarr", "fty")
    assert list(forest.attrs["flag_values"]) == [0, 1, 2, 3]
    assert set(np.unique(forest.values)) <= {0, 1, 2, 3, 255}
    density = raw(clms_cubes / "data" / "aligned.zarr", "tcd")
    assert density.attrs["units"] == "%"
    assert catalogued(clms_cubes / "catalogs") == sorted(GRIDS)


# --- Zenodo --------------------------------------------------------------------------------------


def test_a_real_record_becomes_a_collection(
    realdata: Path, tmp_path: Path, zenodo_server: ZenodoServer
) -> None:
    answer = (realdata / "zenodo" / "record_3490058_notebookprint.json").read_bytes()
    zenodo_server.fail(
        "/records/3490058$", times=-1, body=answer, headers={"Content-Type": "application/json"}
    )
    zenodo_server.records["3490058"] = Record("3490058", "not what is served")
    store = zenodo(zenodo_server, "3490058", tmp_path)
    (found,) = harvest(store, Wanted((), ()), Profiles.load())
    catalog = Catalog(tmp_path / "catalogs")
    catalog.put(found)
    collection = pystac.Collection.from_file(
        str(tmp_path / "catalogs" / "zenodo-3490058" / "collection.json")
    )
    said = json.loads(answer)
    assert collection.title == said["metadata"]["title"]
    assert collection.license == "CC-BY-4.0"
    assert "Humboldt-Universität zu Berlin" in collection.description
    assert "<" not in collection.description
    names = [provider.name for provider in collection.providers or ()]
    assert names == [creator["name"] for creator in said["metadata"]["creators"]] + ["Zenodo"]
    fields = collection.extra_fields
    assert fields["sci:doi"] == said["doi"]
    assert said["metadata"]["title"] in fields["sci:citation"]
    assert fields["version"] == said["metadata"]["version"]
    assert fields["published"] == "2019-10-15T00:00:00Z"
    assert "keywords" not in said["metadata"]
    assert collection.keywords is None
    assert not collection.get_single_link("latest-version"), "this is the newest"
    assert len(collection.assets) == len(said["files"])
    for file in said["files"]:
        asset = collection.assets[file["key"]]
        assert asset.href == file["links"]["self"]
        assert asset.extra_fields["file:size"] == file["size"]
        md5 = file["checksum"].removeprefix("md5:")
        # The multihash prefix of an MD5: code 0xd5 as a varint, length 16.
        assert asset.extra_fields["file:checksum"] == f"d50110{md5}"


def zenodo(server: ZenodoServer, record: str, folder: Path) -> ZenodoStore:
    params = {
        "root": record,
        "endpoint_url": server.api,
        "cache_store_params": {"root": str(folder / "zenodo_cache")},
    }
    store = {"identifier": "zenodo", "store_id": "zenodo", "store_params": params}
    return ZenodoStore.model_validate(store)


@pytest.fixture
def pair(realdata: Path, zenodo_server: ZenodoServer) -> dict[str, str]:
    """The two files of record 4924875 on the server, and the md5 that Zenodo states for them."""
    folder = realdata / "zenodo"
    listing = json.loads((folder / "record_4924875_files_endpoint_inveniordm.json").read_text())
    stated = {entry["key"]: entry["checksum"].removeprefix("md5:") for entry in listing["entries"]}
    files = {key: folder / f"4924875_{key}" for key in stated}
    zenodo_server.records["4924875"] = Record(
        "4924875", "Test data", files, checksums=stated, publication_date="2021-06-10"
    )
    return stated


def pair_config(folder: Path, server: ZenodoServer, data_id: str) -> Path:
    store = {
        "identifier": "pooch",
        "store_id": "zenodo",
        "store_params": {"root": "4924875", "endpoint_url": server.api},
    }
    return configuration(
        folder,
        [{"identifier": "cube", "store": "pooch", "data_id": data_id}],
        [store],
        preload_datasets=[{"store": "pooch", "data_ids": ["store.zip"]}],
    )


def test_the_real_archive_is_fetched_checked_and_unpacked(
    tmp_path: Path, zenodo_server: ZenodoServer, pair: dict[str, str]
) -> None:
    # There is no GeoTIFF in it, which is said once it is here.
    config = pair_config(tmp_path, zenodo_server, "store/tiny-data.tif")
    (line,) = errors(stacbuild("harvest", config, code=3))
    assert "store.zip has no 'store/tiny-data.tif'; it has no file that is read" in line
    members = list((tmp_path / "zenodo_cache").rglob("tiny-data.txt"))
    assert len(members) == 2
    for member in members:
        assert hashlib.md5(member.read_bytes()).hexdigest() == pair["tiny-data.txt"]


def test_the_real_text_file_is_no_raster(
    tmp_path: Path, zenodo_server: ZenodoServer, pair: dict[str, str]
) -> None:
    config = pair_config(tmp_path, zenodo_server, "tiny-data.txt")
    lines = errors(stacbuild("harvest", config, code=3))
    assert any("tiny-data.txt is neither an archive nor of a format that" in line for line in lines)


def test_one_wrong_byte_in_the_real_archive_is_seen(
    tmp_path: Path, zenodo_server: ZenodoServer, pair: dict[str, str]
) -> None:
    zenodo_server.fail("store.zip/content", times=-1, flip_at=200)
    config = pair_config(tmp_path, zenodo_server, "store/tiny-data.tif")
    (line,) = errors(stacbuild("harvest", config, code=4))
    assert "store.zip" in line
    assert pair["store.zip"] in line
    assert not list((tmp_path / "zenodo_cache").rglob("*.txt"))


# --- Zarr ----------------------------------------------------------------------------------------


def test_a_real_zarr_without_consolidated_metadata(realdata: Path, tmp_path: Path) -> None:
    name = "xcube_cube-1-250-250_subset.zarr"
    grid = {"identifier": "own", "bbox": [0, 50, 5, 52.5], "spatial_res": 0.0025, "tile_size": 500}
    config = configuration(
        tmp_path,
        [{"identifier": "tsm", "store": "local", "data_id": name, "grid_mapping": "own"}],
        [folder_of(realdata / "zarr")],
        grids=[grid | {"crs": "EPSG:4326"}],
    )
    stacbuild("cube", config)
    with (
        xr.open_zarr(realdata / "zarr" / name, consolidated=False) as source,
        xr.open_zarr(tmp_path / "data" / "tsm.zarr") as cube,
    ):
        assert set(cube.data_vars) == {"conc_tsm"}
        assert cube["conc_tsm"].dtype == np.float64
        assert cube["conc_tsm"].dims == ("time", "lat", "lon")
        assert cube["conc_tsm"].attrs["units"] == "g m^-3"
        np.testing.assert_array_equal(cube["time"].values, source["time"].values)
        for axis in ("lat", "lon"):
            np.testing.assert_allclose(cube[axis], source[axis], rtol=0, atol=1e-9)
        values = source["conc_tsm"].values
        assert np.isfinite(values[:2]).any()
        np.testing.assert_array_equal(cube["conc_tsm"].values, values)


def folder_of(path: Path) -> Json:
    params = {"root": str(path)}
    return {"identifier": "local", "store_id": "file", "store_params": params}


# --- rasters -------------------------------------------------------------------------------------

WORLDCOVER = "ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"
AUSTRALIA = "odcgeo_au-3577.tif"
ALBERS = "rioxarray_cog.tif"
RASTER_GRIDS: dict[str, tuple[str, Json]] = {
    # The land in the tile: São Tomé. Off the edges of pixels; the second reaches beyond the tile.
    "fine": (WORLDCOVER, {"bbox": [6.60002, 0.20002, 6.80002, 0.35002], "spatial_res": 0.0001}),
    "coarse": (WORLDCOVER, {"bbox": [5.90002, -0.05002, 6.90002, 0.64998], "spatial_res": 0.001}),
    "degrees": (AUSTRALIA, {"bbox": [110, -46, 156, -8], "spatial_res": 0.25}),
    "metres": (
        AUSTRALIA,
        {
            "bbox": [-1_890_000, -4_860_000, 2_100_000, -1_140_000],
            "spatial_res": 30_000,
            "crs": "EPSG:3577",
        },
    ),
    "unnamed": (ALBERS, {"bbox": [], "spatial_res": 0.003}),
    "unnamed_laea": (ALBERS, {"bbox": [], "spatial_res": 250, "crs": "EPSG:5070"}),
}


@pytest.fixture(scope="module")
def raster_cubes(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the cubes of `RASTER_GRIDS` stand."""
    folder = tmp_path_factory.mktemp("rasters")
    with rasterio.open(realdata / "rasters" / ALBERS, driver="GTiff") as file:
        wkt, bounds = file.crs.to_wkt(), file.bounds
    grids = []
    for name, (_, given) in RASTER_GRIDS.items():
        grid = {"identifier": name, "crs": "EPSG:4326", "tile_size": 900} | given
        if not grid["bbox"]:
            there = pyproj.Transformer.from_crs(wkt, grid["crs"], always_xy=True)
            box = there.transform_bounds(*bounds)
            grid["bbox"] = [round(edge, 2) for edge in box]
        grids.append(grid)
    datasets = [
        {"identifier": name, "store": "local", "data_id": file, "grid_mapping": name}
        for name, (file, _) in RASTER_GRIDS.items()
    ]
    stacbuild(
        "cube", configuration(folder, datasets, [folder_of(realdata / "rasters")], grids=grids)
    )
    return folder


@pytest.mark.parametrize("name", RASTER_GRIDS)
def test_real_rasters_are_the_pixels_under_the_centres(
    raster_cubes: Path, realdata: Path, name: str
) -> None:
    file, grid = RASTER_GRIDS[name]
    source = Source(realdata / "rasters" / file, (-9999,) if file == ALBERS else (0,))
    array = check_nearest(
        raster_cubes / "data" / f"{name}.zarr",
        name,
        source,
        grid.get("crs", "EPSG:4326"),
    )
    assert array.dtype == (np.int16 if file == ALBERS else np.uint8)
    assert array.attrs["_FillValue"] == source.nodata[0]
    assert len(np.unique(array.values)) > 2


def test_a_system_without_a_code_stands_in_the_item_in_full(
    raster_cubes: Path, realdata: Path
) -> None:
    (path,) = (raster_cubes / "catalogs").rglob("rioxarray_cog.json")
    item = pystac.Item.from_file(str(path))
    assert item.properties["proj:code"] is None
    with rasterio.open(realdata / "rasters" / ALBERS, driver="GTiff") as file:
        theirs = pyproj.CRS.from_wkt(file.crs.to_wkt())
    ours = pyproj.CRS.from_wkt(item.properties["proj:wkt2"])
    points = np.array([1_634_415.0, 1_784_415.0]), np.array([2_564_805.0, 2_714_805.0])
    given, kept = (
        pyproj.Transformer.from_crs(each, "EPSG:4326", always_xy=True).transform(*points)
        for each in (theirs, ours)
    )
    np.testing.assert_allclose(kept, given, rtol=0, atol=1e-9)
