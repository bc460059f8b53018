"""Which CRS a file means: codes that are checked, other meridians and poles, other bodies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
import yaml
from rasterio import Affine
from rasterio.crs import CRS

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_grid import grid_of
from stacbuild.geo.bbox import check_bbox
from stacbuild.geo.crs import epsg_code, full_circle, identified, same_crs, short_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.outline import footprint
from tests.support.built import variable_of
from tests.support.zarr_places import MAPPING, UTM, X, Y, cube, edges, store, utm

Json = dict[str, Any]

MOON = (
    'GEOGCS["Moon 2000",DATUM["D_Moon_2000",SPHEROID["Moon_2000_IAU_IAG",1737400,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["Degree",0.0174532925199433]]'
)
# As old programs write it: a code of its own, and a datum shift.
DHDN = (
    pyproj.CRS(31467)
    .to_wkt("WKT1_GDAL")
    .replace(
        'AUTHORITY["EPSG","7004"]],',
        'AUTHORITY["EPSG","7004"]],TOWGS84[598,73,418,0.2,0.04,-2.4,6.7],',
    )
)
PARIS = "+proj=longlat +datum=WGS84 +pm=paris"
POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 39.25,
    "grid_north_pole_longitude": -162.0,
}


def shifted_utm(name: str) -> str:
    """UTM with another false easting, which still says that it is EPSG:32632."""
    return pyproj.CRS(32632).to_wkt("WKT1_GDAL").replace("500000", "400000").replace("UTM", name)


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        (4326, 4326), ("OGC:CRS84", 4326), (4979, 4326), (9518, 4326), (5698, 2154), (7415, 28992),
        ("EPSG:32632+5773", 32632), (4807, 4807), (4267, 4267), (4258, 4258),
        (pyproj.CRS(3035).to_wkt("WKT1_GDAL"), 3035), (pyproj.CRS(3035).to_wkt("WKT1_ESRI"), 3035),
        (pyproj.CRS(3857).to_wkt("WKT1_ESRI"), 3857), (DHDN, 31467),
        ("+proj=longlat +R=6371229", 4326), ("+proj=longlat +ellps=WGS84", 4326),
        # What is like a registered one, but is another.
        ("+proj=longlat +datum=WGS84 +pm=paris", None), ("+proj=longlat +ellps=bessel", None),
        ("+proj=longlat +ellps=WGS84 +pm=ferro", None),
        ("+proj=longlat +ellps=WGS84 +towgs84=100,0,0", None),
        ("+proj=utm +zone=32 +datum=WGS84 +units=us-ft", None),
        ("+proj=tmerc +lon_0=9 +k=0.9996 +x_0=400000 +datum=WGS84", None),
        (shifted_utm("UTM"), None), (shifted_utm("My own"), None),
        (pyproj.CRS(25832).to_wkt("WKT1_GDAL").replace("25832", "32632"), 25832),
    ],
)  # fmt: skip
def test_a_code_is_that_of_the_crs_or_none(stated: Any, code: int | None) -> None:
    crs = identified(pyproj.CRS.from_user_input(stated))
    assert epsg_code(crs) == code
    assert len(crs.axis_info) == 2


@pytest.mark.parametrize("stated", [MOON, 4978, 5773, 'LOCAL_CS["mine",UNIT["metre",1]]'])
def test_what_does_not_place_pixels_on_the_earth_is_refused(stated: Any) -> None:
    with pytest.raises(ValueError, match=r"(on|of) the earth"):
        identified(pyproj.CRS.from_user_input(stated))


def test_a_grid_may_be_in_grads() -> None:
    # Paris lies at 0 E and 54.3 N, in grads from there.
    check_bbox((-1.0, 54.0, 1.0, 55.0), "EPSG:4807", 0.1)
    with pytest.raises(ValueError, match="latitude -100 to 100"):
        check_bbox((-1.0, 54.0, 1.0, 101.0), "EPSG:4807", 0.1)
    # Lambert zone II of the same datum: its area is in degrees all the same.
    check_bbox((600_000.0, 2_400_000.0, 601_000.0, 2_401_000.0), "EPSG:27572", 10)


def raster(folder: Path, crs: Any, transform: Affine, name: str = "a.tif") -> None:
    """Write ten by ten counted pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        folder / name, "w", driver="GTiff", width=10, height=10, count=1, dtype="int16", crs=crs,
        transform=transform,
    ) as file:  # fmt: skip
        file.write(np.arange(100, dtype="int16").reshape(10, 10), 1)


def cubes(folder: Path, *names: str, grid: Json | None = None) -> dict[str, CubeResult]:
    """Build files of ``in``, each as a dataset, all on a grid or each on its own."""
    datasets = [{"identifier": name[0], "store": "src", "data_id": name} for name in names]
    content: Json = {
        "datasets": [one | ({"grid_mapping": "g"} if grid else {}) for one in datasets],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "src", "store_id": "file", "store_params": {"root": "in"}},
        ],
    }
    if grid:
        content["grid_mappings"] = [{"identifier": "g", **grid}]
    (folder / "c.yml").write_text(yaml.safe_dump(content))
    results = build(load_config(folder / "c.yml"), folder / "catalogs")
    return {name[0]: result for name, result in zip(names, results, strict=True)}


def item(folder: Path, name: str) -> Json:
    """Read an item of the catalog."""
    content: Json = json.loads((folder / "catalogs" / f"{name}.json").read_text())
    return content


DEGREES = Affine(0.1, 0, 10, 0, -0.1, 50)
METRES = Affine(10, 0, 500_000, 0, -10, 5_000_000)


@pytest.mark.parametrize(
    ("crs", "transform", "code"),
    [
        (CRS.from_epsg(4979), DEGREES, "EPSG:4326"),
        (CRS.from_epsg(9518), DEGREES, "EPSG:4326"),
        (CRS.from_string("EPSG:32632+5773"), METRES, "EPSG:32632"),
        (CRS.from_wkt(DHDN), Affine(10, 0, 3_500_000, 0, -10, 5_400_000), "EPSG:31467"),
        (CRS.from_epsg(4807), Affine(0.1, 0, 1, 0, -0.1, 54), "EPSG:4807"),
    ],
)
def test_a_raster_lies_on_the_horizontal_part_of_its_crs(
    tmp_path: Path, crs: CRS, transform: Affine, code: str
) -> None:
    raster(tmp_path / "in", crs, transform)
    result = cubes(tmp_path, "a.tif")["a"]
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "a.zarr", mask_and_scale=False) as made:
        assert made.attrs["proj:code"] == code
        np.testing.assert_array_equal(variable_of(made).values.ravel(), np.arange(100))
    source, of_cube = (item(tmp_path, name)["bbox"] for name in ("file-in/a/a", "c/a/a"))
    assert of_cube == pytest.approx(source, abs=1e-4)
    to_lonlat = pyproj.Transformer.from_crs(code, "EPSG:4326", always_xy=True)
    lon, lat = to_lonlat.transform(*(transform @ (5, 5)))
    assert source[0] < lon < source[2]
    assert source[1] < lat < source[3]


def test_a_raster_of_another_meridian_lies_where_proj_says(tmp_path: Path) -> None:
    raster(tmp_path / "in", CRS.from_string(PARIS), Affine(0.1, 0, 1, 0, -0.1, 2))
    there = pyproj.Transformer.from_crs(PARIS, "EPSG:4326", always_xy=True).transform(1.55, 1.45)
    box = [there[0] - 0.1, there[1] - 0.1, there[0] + 0.1, there[1] + 0.1]
    grid = {"crs": "EPSG:4326", "bbox": [round(each, 3) for each in box], "spatial_res": 0.01}
    result = cubes(tmp_path, "a.tif", grid=grid)["a"]
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(tmp_path / "data" / "a.zarr", mask_and_scale=False) as made:
        found = variable_of(made).sel(lon=there[0], lat=there[1], method="nearest")
        assert int(found) == 55


def test_a_raster_that_cannot_be_placed_fails_alone_and_in_one_line(tmp_path: Path) -> None:
    raster(tmp_path / "in", CRS.from_wkt(MOON), DEGREES, "moon.tif")
    raster(tmp_path / "in", "EPSG:4326", DEGREES, "earth.tif")
    raster(tmp_path / "in", CRS.from_wkt('LOCAL_CS["mine",UNIT["metre",1]]'), METRES, "local.tif")
    results = cubes(tmp_path, "moon.tif", "earth.tif", "local.tif")
    assert results["e"].status == "COMPLETED", results["e"].message
    for name, told in (("m", "not of the earth: a radius of 1737400 m"), ("l", "local.tif")):
        assert isinstance(results[name].error, StacbuildError)
        assert told in results[name].message
        assert "\n" not in results[name].message


def test_a_code_that_only_gdal_knows_is_no_error(tmp_path: Path) -> None:
    # The same as EPSG:32632, under a code that PROJ's database has not.
    wkt = pyproj.CRS(32632).to_wkt().replace('ID["EPSG",32632]', 'ID["EPSG",999999]')
    crs = identified(pyproj.CRS.from_wkt(wkt), 999_999)
    assert epsg_code(crs) == 32632
    # One that is in no database.
    other = wkt.replace("9,", "9.5,").replace(
        '"Longitude of natural origin",9', '"Longitude of natural origin",9.5'
    )
    crs = identified(pyproj.CRS.from_wkt(other), 999_999)
    assert epsg_code(crs) is None
    raster(tmp_path / "in", CRS.from_wkt(other), METRES)
    to_lonlat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_lonlat.transform(500_050, 4_999_950)
    box = [lon - 1e-4, lat - 1e-4, lon + 1e-4, lat + 1e-4]
    grid = {"crs": "EPSG:4326", "bbox": box, "spatial_res": 1e-4}
    result = cubes(tmp_path, "a.tif", grid=grid)["a"]
    assert result.status == "COMPLETED", result.message
    # On its own grid, pixel by pixel.
    result = cubes(tmp_path, "a.tif")["a"]
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(result.href) as own:
        assert own.rio.crs == CRS.from_wkt(other)
        with rasterio.open(tmp_path / "in" / "a.tif") as file:
            assert own.rio.transform() == file.transform
            np.testing.assert_array_equal(variable_of(own).values, file.read(1))


def test_a_crs_that_lies_about_its_code_has_no_grid_of_that_code(tmp_path: Path) -> None:
    store(
        tmp_path / "in" / "s.zarr",
        X,
        Y,
        of={"grid_mapping": "m"},
        m=((), np.int32(0), {"crs_wkt": shifted_utm("UTM")}),
    )
    _, built, _, described = cube(tmp_path)
    assert described["properties"]["proj:code"] is None
    # It keeps its definition, without the code: others would trust that.
    assert built is not None
    wkt = built["spatial_ref"].attrs["crs_wkt"]
    assert 'ID["EPSG",32632]' not in wkt
    assert same_crs(wkt, shifted_utm("UTM"))
    assert built.rio.crs.to_epsg() is None


@pytest.mark.parametrize("radius", [{}, {"earth_radius": 6_371_229.0}, {"earth_radius": "6371229"}])
def test_a_rotated_pole_lies_where_proj_says(tmp_path: Path, radius: Json) -> None:
    r = np.arange(-40, 40) * 0.1 + 0.05
    values = store(
        tmp_path / "in" / "s.zarr",
        r,
        r,
        rlon=(("rlon",), r, {"standard_name": "grid_longitude", "units": "degrees"}),
        rlat=(("rlat",), r, {"standard_name": "grid_latitude", "units": "degrees"}),
        of={"grid_mapping": "rp"},
        dims=("rlat", "rlon"),
        rp=((), np.int32(0), POLE | radius),
    )
    box = [16.0, 49.0, 20.0, 52.0]
    result, made, _, described = cube(
        tmp_path, {"crs": "EPSG:4326", "bbox": box, "spatial_res": 0.1}
    )
    assert made is not None, result.message
    crs = pyproj.CRS.from_cf(POLE)
    there = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = there.transform(*np.meshgrid(made["lon"].values, made["lat"].values))
    at = np.floor((y + 4) / 0.1).astype(int), np.floor((x + 4) / 0.1).astype(int)
    np.testing.assert_array_equal(made["v"].values, values[at])
    assert described["properties"]["proj:code"] is None
    assert described["bbox"][0] == pytest.approx(11.4, abs=0.5)
    assert described["bbox"][3] == pytest.approx(54.9, abs=0.5)


@pytest.mark.parametrize("key", ["wkt", "projjson", "url"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_as_gdal_writes_it(tmp_path: Path, key: str, zarr_format: int) -> None:
    crs = pyproj.CRS(32632)
    stated = {
        "wkt": crs.to_wkt("WKT2_2019"),
        "projjson": crs.to_json_dict(),
        "url": "http://www.opengis.net/def/crs/EPSG/0/32632",
    }
    path = tmp_path / "in" / "s.zarr"
    values = store(
        path, X, Y, of={"_CRS": {key: stated[key]}}, dims=("Y", "X"), zarr_format=zarr_format
    )
    result, made, _, described = cube(tmp_path)
    assert made is not None, result.message
    assert described["properties"]["proj:code"] == UTM
    np.testing.assert_array_equal(made["v"].values, values)


SPHERE = {"grid_mapping_name": "latitude_longitude", "earth_radius": 6_371_229.0}


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        (SPHERE, "EPSG:4326"),
        ({"grid_mapping_name": "latitude_longitude"}, "EPSG:4326"),
        (SPHERE | {"crs_wkt": "", "spatial_ref": " "}, "EPSG:4326"),
        (SPHERE | {"earth_radius": [6_371_229.0]}, "EPSG:4326"),
        (SPHERE | {"longitude_of_prime_meridian": 2.33722917}, None),
        ({"spatial_ref": 4326}, "EPSG:4326"),
        ({"spatial_ref": "4258"}, "EPSG:4258"),
        ({"semi_major_axis": 6_378_137.0}, "EPSG:4326"),
    ],
)
def test_grid_mappings_of_few_words(mapping: Json, code: str | None) -> None:
    ds = xr.Dataset(
        {"v": (("lat", "lon"), np.zeros((2, 3)), {"grid_mapping": "crs"}), "crs": ((), 0, mapping)},
        {"lat": [50.5, 49.5], "lon": [10.5, 11.5, 12.5]},
    )
    grid = grid_of(ds)
    assert grid.crs == code if code else grid.crs.startswith("GEOGCRS")
    west = footprint(grid)[1][0]
    assert west == pytest.approx(10 if code else 12.33722917, abs=1e-3)


def test_of_two_crss_the_first_counts_and_a_difference_is_told() -> None:
    ds = utm().assign_attrs(crs="EPSG:32633")
    grid = grid_of(ds)
    assert (grid.crs, edges(grid)[0]) == (UTM, 500_000)
    [note] = grid.notes
    assert "attribute crs (EPSG:32633) is another CRS" in note
    assert "spatial_ref of variable spatial_ref" in note
    # One that places the pixels in the same spot is none.
    assert grid_of(utm().assign_attrs(crs="EPSG:25832")).notes == ()
    # One that is not understood does not count.
    [note] = grid_of(utm().assign_attrs(crs="EPSG:999999")).notes
    assert "is not a CRS that PROJ knows" in note
    both = grid_of(utm(crs_wkt=pyproj.CRS(32633).to_wkt()))
    assert both.crs == "EPSG:32633"
    assert "spatial_ref of variable spatial_ref" in both.notes[0]


def test_of_several_grid_mappings_the_one_of_the_dimensions_counts() -> None:
    ds = utm().assign(geo=((), 0, SPHERE))
    ds["v"].attrs["grid_mapping"] = "geo: lat lon spatial_ref: x y"
    assert grid_of(ds).crs == UTM
    assert MAPPING["spatial_ref"] == ds["spatial_ref"].attrs["spatial_ref"]


def test_the_moon_is_refused_in_zarr_too() -> None:
    ds = xr.Dataset(
        {"v": (("lat", "lon"), np.zeros((2, 3)))},
        {"lat": [50.5, 49.5], "lon": [10.5, 11.5, 12.5]},
        {"crs": MOON},
    )
    with pytest.raises(StacbuildError, match="not of the earth"):
        grid_of(ds)


def test_crs_are_the_same_whatever_the_order_of_axes() -> None:
    assert same_crs("EPSG:4326", "OGC:CRS84")
    assert not same_crs("EPSG:4326", "EPSG:3035")
    assert full_circle("EPSG:4326") == 360
    assert full_circle("EPSG:3035") is None


def test_a_transformer_of_two_crss_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    make = pyproj.Transformer.from_crs

    def counted(*args: Any, **options: Any) -> pyproj.Transformer:
        nonlocal made
        made += 1
        return make(*args, **options)

    monkeypatch.setattr(pyproj.Transformer, "from_crs", counted)
    text = "+proj=laea +lat_0=17.25 +lon_0=3.5 +ellps=GRS80"
    for row in range(3):
        place = Affine(10, 0, 5000, 0, -10, 100 * row)
        footprint(PixelGrid.from_affine(pyproj.CRS(text).to_wkt(), place, (10, 10)))
    assert made == 1


def test_a_crs_without_code_is_short_in_messages() -> None:
    assert short_crs("ESRI:54009") == "ESRI:54009"
    assert short_crs(pyproj.CRS("+proj=laea +R=6371228").to_wkt()) == "a CRS without code"
