"""Where cubes say they lie, by GeoZarr and by CF, judged by zarr-cm, rioxarray and GDAL."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
import zarr_cm
from packaging.version import Version
from rasterio import Affine

from tests.support.built import variable_of
from tests.support.cli import configuration, geotiff, stacbuild

LAEA = {
    "identifier": "laea",
    "crs": "EPSG:3035",
    "bbox": [3_500_000, 2_400_000, 3_503_000, 2_402_000],
}
LAEA |= {"spatial_res": 100}


# What GDAL reads format 3 from on.
GDAL_3 = Version("3.12")
# And a CRS by CF: 3.10 does, 3.6 does not.
GDAL_CF = Version("3.10")


@pytest.fixture(scope="module", params=[2, 3])
def cubes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of two cubes in one format of Zarr, one in degrees, one in metres."""
    directory = tmp_path_factory.mktemp(f"format{request.param}")
    geotiff(directory / "in" / "degrees.tif")
    metres = Affine(100, 0, 3_499_000, 0, -100, 2_403_000)
    geotiff(directory / "in" / "metres.tif", crs="EPSG:3035", transform=metres)
    config = configuration(
        directory,
        [
            {"identifier": "degrees", "store": "files", "data_id": "degrees.tif"},
            {
                "identifier": "metres",
                "store": "files",
                "data_id": "metres.tif",
                "grid_mapping": "laea",
            },
        ],
        [{"identifier": "files", "store_id": "file", "store_params": {"root": "in"}}],
        grids=[LAEA],
        general={"zarr_format": request.param},
    )
    stacbuild("cube", config)
    return directory / "data"


def attributes(store: Path) -> dict[str, Any]:
    """Read the attributes of a group as they stand in the file."""
    if (store / ".zattrs").exists():
        return dict(json.loads((store / ".zattrs").read_text()))
    return dict(json.loads((store / "zarr.json").read_text())["attributes"])


@pytest.mark.parametrize(
    ("cube", "code", "dims", "shape", "transform", "bbox"),
    [
        (
            "degrees", "EPSG:4326", ["lat", "lon"], [100, 100],
            [0.001, 0, 10.0, 0, -0.001, 45.1], [10.0, 45.0, 10.1, 45.1],
        ),
        (
            "metres", "EPSG:3035", ["y", "x"], [20, 30],
            [100, 0, 3_500_000, 0, -100, 2_402_000], LAEA["bbox"],
        ),
    ],
)  # fmt: skip
def test_zarr_cm_reads_them_and_finds_nothing_wrong(
    cubes: Path,
    cube: str,
    code: str,
    dims: list[str],
    shape: list[int],
    transform: list[float],
    bbox: list[float],
) -> None:
    attrs = attributes(cubes / f"{cube}.zarr")
    zarr_cm.validate_all(attrs)
    assert zarr_cm.detect_revisions(attrs) == {"proj": "r3", "spatial": "r3"}
    _, found = zarr_cm.extract_all(attrs)
    assert found["proj"] == {"proj:code": code}
    assert found["spatial"] == {
        "spatial:dimensions": dims,
        "spatial:shape": shape,
        "spatial:transform": transform,
        "spatial:bbox": bbox,
        "spatial:registration": "pixel",
    }


def test_the_metadata_of_format_3_are_valid_as_a_whole(cubes: Path) -> None:
    for store in cubes.glob("*.zarr"):
        if (store / "zarr.json").exists():
            metadata = json.loads((store / "zarr.json").read_text())
            zarr_cm.proj.validate_group_metadata(metadata)
            zarr_cm.spatial.validate_group_metadata(metadata)


@pytest.mark.parametrize("cube", ["degrees", "metres"])
def test_cf_stays_and_says_the_same(cubes: Path, cube: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(cubes / f"{cube}.zarr") as dataset:
            array = variable_of(dataset)
            assert array.attrs["grid_mapping"] == "spatial_ref"
            assert "crs_wkt" in dataset["spatial_ref"].attrs
            ys, xs = (dataset[dim].values for dim in dataset.attrs["spatial:dimensions"])
            transform = Affine(*dataset.attrs["spatial:transform"])
            assert (xs[0], ys[0]) == pytest.approx(transform @ (0.5, 0.5))
            assert (xs[-1], ys[-1]) == pytest.approx(transform @ (xs.size - 0.5, ys.size - 0.5))
            assert array.shape[-2:] == tuple(dataset.attrs["spatial:shape"])


@pytest.mark.parametrize("cube", ["degrees", "metres"])
def test_a_variable_goes_to_netcdf_as_before(cubes: Path, cube: str, tmp_path: Path) -> None:
    with xr.open_zarr(cubes / f"{cube}.zarr") as dataset:
        array = variable_of(dataset)
        array.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / "cube.nc", engine="h5netcdf") as again:
            np.testing.assert_array_equal(variable_of(again), array)


@pytest.mark.parametrize("cube", ["degrees", "metres"])
def test_rioxarray_reads_them(cubes: Path, cube: str) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    with xr.open_zarr(cubes / f"{cube}.zarr") as dataset:
        attrs = dataset.attrs
        # With CF, as any version does.
        assert variable_of(dataset).rio.crs.to_string() == attrs["proj:code"]
        assert list(variable_of(dataset).rio.transform())[:6] == attrs["spatial:transform"]
        if Version(rioxarray.__version__) < Version("0.20"):
            pytest.skip("rioxarray reads the conventions from 0.20 on, which needs Python 3.12")
        bare = dataset.drop_vars("spatial_ref")
        del variable_of(bare).attrs["grid_mapping"]
        assert bare.rio.crs.to_string() == attrs["proj:code"]
        assert list(bare.rio.transform())[:6] == attrs["spatial:transform"]
        assert [bare.rio.y_dim, bare.rio.x_dim] == attrs["spatial:dimensions"]


def gdal_name(store: Path, version: Version) -> str:
    """Return the name by which GDAL opens the variable; skip what that version cannot read."""
    if (store / "zarr.json").exists() and version < GDAL_3:
        pytest.skip(
            f"GDAL {version} reads format 2 only; format 3 as written here from {GDAL_3} on"
        )
    return f'ZARR:"{store}":/{store.stem}'


@pytest.mark.parametrize("cube", ["degrees", "metres"])
def test_gdal_reads_a_cube_with_its_crs_and_extent(cubes: Path, cube: str) -> None:
    store = cubes / f"{cube}.zarr"
    with xr.open_zarr(store, mask_and_scale=False) as dataset:
        name = gdal_name(store, Version(rasterio.__gdal_version__))
        attrs, expected = dataset.attrs, variable_of(dataset).load()
    with rasterio.open(name) as file:
        assert file.driver == "Zarr"
        assert file.crs.to_string() == attrs["proj:code"]
        assert tuple(file.bounds) == pytest.approx(attrs["spatial:bbox"])
        assert file.shape == expected.shape
        assert file.nodata == 255
        np.testing.assert_array_equal(file.read(1), expected)


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
@pytest.mark.parametrize("cube", ["degrees", "metres"])
def test_gdalinfo_reads_a_cube_with_its_crs_and_extent(cubes: Path, cube: str) -> None:
    said = subprocess.run(["gdalinfo", "--version"], capture_output=True, text=True, check=True)
    version = Version(said.stdout.split()[1].rstrip(","))
    name = gdal_name(cubes / f"{cube}.zarr", version)
    done = subprocess.run(["gdalinfo", "-json", name], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    attrs = attributes(cubes / f"{cube}.zarr")
    assert found["driverShortName"] == "Zarr"
    west, south, east, north = attrs["spatial:bbox"]
    assert found["cornerCoordinates"]["upperLeft"] == pytest.approx([west, north])
    assert found["cornerCoordinates"]["lowerRight"] == pytest.approx([east, south])
    if version < GDAL_CF:
        pytest.skip(f"the extent is right; GDAL {version} knows no CF grid mapping in Zarr")
    crs = pyproj.CRS.from_wkt(found["coordinateSystem"]["wkt"])
    assert f"EPSG:{crs.to_epsg()}" == attrs["proj:code"]
