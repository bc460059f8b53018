"""Cubes clipped to a region of interest, and grids with the extent of one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
import xarray as xr
from rasterio import Affine

import stacbuild
from stacbuild.loading import reader
from stacbuild.loading.regrid import regrid
from tests.support.cli import Json, configuration

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
GRID = {"identifier": "g", "crs": "EPSG:4326", "bbox": [10, 45, 10.9, 45.6], "spatial_res": 0.01}
UTM = {
    "identifier": "g", "crs": "EPSG:32632", "spatial_res": 500,
    "bbox": [578_000, 4_983_000, 648_000, 5_051_000],
}  # fmt: skip
# With a hole, an island in it, and an edge through the chunks of the cube.
LAKE = shapely.Polygon(
    [(10.1, 45.05), (10.83, 45.11), (10.7, 45.52), (10.15, 45.48)],
    [[(10.3, 45.2), (10.5, 45.2), (10.45, 45.4), (10.3, 45.35)]],
)
ISLAND = shapely.Point(10.4, 45.28).buffer(0.04)


def source(folder: Path, dtype: str = "uint8", count: int = 1, **more: Any) -> None:
    path = folder / "src" / "one.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(3).integers(1, 250, (count, 60, 90)).astype(dtype)
    profile = {
        "driver": "GTiff", "dtype": dtype, "count": count, "height": 60, "width": 90,
        "crs": "EPSG:4326", "transform": Affine(0.01, 0, 10, 0, -0.01, 45.6),
    }  # fmt: skip
    with rasterio.open(path, "w", **(profile | more)) as file:
        file.write(values)


def features(*shapes: Any, crs: str | None = None) -> str:
    content: Json = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"n": n},
             "geometry": shape and json.loads(shapely.to_geojson(shape))}
            for n, shape in enumerate(shapes)
        ],
    }  # fmt: skip
    if crs:
        content["crs"] = {"type": "name", "properties": {"name": crs}}
    return json.dumps(content)


def config_of(folder: Path, grid: Json | None = GRID, **dataset: Any) -> stacbuild.Config:
    one = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "g"}
    grids = [{"tile_size": 32} | grid] if grid else []
    return stacbuild.load_config(configuration(folder, [one | dataset], [SOURCE], grids=grids))


def made(config: stacbuild.Config) -> xr.DataArray:
    (result,) = stacbuild.build(config)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(result.href, mask_and_scale=False) as cube:
        return cube[next(iter(cube.data_vars))].load()


def centres_in(shape: Any, array: xr.DataArray, crs: Any, region: Any = 4326) -> np.ndarray:
    x, y = np.meshgrid(array[array.dims[-1]], array[array.dims[-2]])
    x, y = pyproj.Transformer.from_crs(crs, region, always_xy=True).transform(x, y)
    return np.array(
        [shape.intersects(shapely.Point(p)) for p in zip(x.flat, y.flat, strict=True)]
    ).reshape(x.shape)


@pytest.mark.parametrize("grid", [GRID, UTM], ids=["degrees", "UTM"])
def test_pixels_outside_of_all_polygons_are_nodata(tmp_path: Path, grid: Json) -> None:
    source(tmp_path, nodata=255)
    whole = made(config_of(tmp_path, grid))
    (tmp_path / "roi.geojson").write_text(features(LAKE, ISLAND, None))
    config = config_of(tmp_path, grid, clip="roi.geojson")
    (planned,) = stacbuild.plan(config)
    assert planned.reasons == ("configuration: datasets.cube.clip",)
    array = made(config)
    inside = centres_in(LAKE.union(ISLAND), array, grid["crs"])
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(array, np.where(inside, whole, 255))
    assert array.attrs["_FillValue"] == 255
    assert stacbuild.plan(config)[0].action == "up to date"
    # Its content counts, not its date.
    (tmp_path / "roi.geojson").touch()
    assert stacbuild.plan(config)[0].action == "up to date"
    (tmp_path / "roi.geojson").write_text(features(LAKE))
    assert stacbuild.plan(config)[0].reasons == ("clip: roi.geojson: content changed",)
    # A part of a cube is clipped as the whole.
    part = stacbuild.load(config, "cube", bbox=tuple(np.array(grid["bbox"]) * [1, 1, 1, 0.999]))
    assert (part["cube"].isnull().values | centres_in(LAKE, part["cube"], grid["crs"])).all()


def test_every_band_and_time_of_floats_is_clipped(tmp_path: Path) -> None:
    source(tmp_path, "float32", 3)
    (tmp_path / "roi.json").write_text(json.dumps(json.loads(shapely.to_geojson(ISLAND))))
    array = made(config_of(tmp_path, clip="roi.json"))
    assert array.sizes["band"] == 3
    inside = centres_in(ISLAND, array, 4326)
    assert (np.isnan(array.values) == ~inside).all()


@pytest.mark.parametrize("grid", [GRID, UTM], ids=["degrees", "UTM"])
def test_only_chunks_that_the_region_reaches_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: Json
) -> None:
    source(tmp_path, nodata=255, count=2)
    (tmp_path / "roi.geojson").write_text(features(ISLAND))
    config = config_of(tmp_path, {**grid, "tile_size": 16}, clip="roi.geojson")
    read: list[tuple[slice, slice]] = []

    def counted(plane: Any, onto: Any) -> Any:
        read.append(onto.window)
        return regrid(plane, onto)

    monkeypatch.setattr(reader, "regrid", counted)
    array = made(config)
    inside = centres_in(ISLAND, array, grid["crs"])
    assert ((array.values == 255) == ~inside).all()
    # 2 bands of the chunks around an island of 8 x 8 of 90 x 60 pixels.
    assert 0 < len(read) <= 2 * 9


def test_integers_need_a_nodata_value(tmp_path: Path) -> None:
    source(tmp_path)
    (tmp_path / "roi.geojson").write_text(features(LAKE))
    (result,) = stacbuild.build(config_of(tmp_path, clip="roi.geojson"), errors="collect")
    assert "clip: cube has no nodata value for pixels outside of roi.geojson" in result.message
    assert "spatial_resample_params.fill_values" in result.message
    params = {"fill_values": 255}
    array = made(config_of(tmp_path, clip="roi.geojson", spatial_resample_params=params))
    assert ((array.values == 255) == ~centres_in(LAKE, array, 4326)).all()


@pytest.mark.parametrize("name", ["roi.gpkg", "roi.shp", "roi.parquet", "roi.geojson"])
def test_every_format_is_the_same_region(tmp_path: Path, name: str) -> None:
    """In UTM, whose straight edges are not straight in degrees."""
    source(tmp_path, nodata=255)
    to_utm = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)
    lake = shapely.transform(LAKE, to_utm.transform, interleaved=False)
    write(tmp_path / name, [lake], "EPSG:32632")
    array = made(config_of(tmp_path, GRID | {"bbox": name}, clip=name))
    assert (array.values == 255).any()
    assert ((array.values != 255) == centres_in(lake, array, 4326, 32632)).all()
    # The extent, to whole pixels.
    assert (array.lon[0], array.lat[0]) == pytest.approx((10.105, 45.515))
    assert (array.lon[-1], array.lat[-1]) == pytest.approx((10.825, 45.055))


def write(path: Path, shapes: list[Any], crs: str | None, layer: str | None = None) -> None:
    wkb = np.array([shapely.to_wkb(shape) for shape in shapes], object)
    if path.suffix == ".geojson":
        path.write_text(features(*shapes, crs=f"urn:ogc:def:crs:{crs.replace(':', '::')}"))
    elif path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        column = {"encoding": "WKB", "geometry_types": []}
        if crs:
            column["crs"] = pyproj.CRS(crs).to_json_dict()
        geo = {"version": "1.0.0", "primary_column": "g", "columns": {"g": column}}
        import pyarrow.parquet

        table = pa.table({"g": list(wkb)}).replace_schema_metadata({"geo": json.dumps(geo)})
        pyarrow.parquet.write_table(table, path)
    else:
        import pyogrio.raw

        pyogrio.raw.write(
            path, wkb, [np.arange(len(wkb))], ["n"], geometry_type=shapes[0].geom_type, crs=crs,
            layer=layer, append=layer is not None and path.exists(),
        )  # fmt: skip


def problem(folder: Path, *, grid: Json = GRID, **dataset: Any) -> str:
    """Return what is said of a configuration that cannot be built; one line."""
    try:
        config = config_of(folder, grid, **dataset)
        (result,) = stacbuild.build(config, errors="collect")
    except stacbuild.StacbuildError as error:
        said = str(error)
    else:
        assert result.status != "COMPLETED"
        said = result.message
    assert len(said.splitlines()) == 1
    return said


LINE = shapely.LineString([(10, 45), (11, 46)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (features(LAKE, LINE), "has geometries of type LineString; a region is made of polygons"),
        (features(shapely.Point(10, 45)), "has geometries of type Point"),
        (features(), "has no polygon"), (features(None), "has no polygon"),
        ("{}", "is not valid GeoJSON"), ("[1]", "is not valid GeoJSON"),
        ("", "is empty (0 bytes)"),
        (features(shapely.box(5e5, 4e6, 6e5, 5e6)), "beyond longitude and latitude"),
        ('{"type": "Polygon", "coordinates": 7}', "is not valid GeoJSON"),
        (features(LAKE, crs="mine"), "its CRS cannot be used"),
    ],
)  # fmt: skip
def test_what_is_no_region_is_refused(tmp_path: Path, content: str, said: str) -> None:
    source(tmp_path, nodata=255)
    (tmp_path / "roi.geojson").write_text(content)
    assert said in problem(tmp_path, clip="roi.geojson")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.geojson", "there is no file 'missing.geojson' in the folder"),
        ("link.geojson", "is a link out of the folder"), ("/roi.geojson", "relative to the"),
        ("../roi.geojson", "without '..'"), ("https://h/roi.geojson", "relative to the"),
        ("roi.tif", "has to be a vector file"), ("folder.gpkg", "there is no file"),
        ("empty.gpkg", "empty.gpkg: is empty (0 bytes)"), ("empty.shp", "is empty (0 bytes)"),
        ("no.gpkg", "is not what its name says"), ("no.shp", "is not what its name says"),
        ("no.parquet", "is not valid GeoParquet"),
    ],
)  # fmt: skip
def test_paths_that_are_no_vector_file(tmp_path: Path, path: str, said: str) -> None:
    folder = tmp_path / "project"
    source(folder, nodata=255)
    (tmp_path / "outside.geojson").write_text(features(LAKE))
    (folder / "link.geojson").symlink_to(tmp_path / "outside.geojson")
    (folder / "folder.gpkg").mkdir()
    for suffix in ("gpkg", "shp"):
        (folder / f"empty.{suffix}").touch()
    for suffix in ("gpkg", "shp", "parquet"):
        # GDAL would follow this to another file.
        (folder / f"no.{suffix}").write_text("<OGRVRTDataSource></OGRVRTDataSource>")
    assert said in problem(folder, clip=path)
    if path != "roi.tif":
        assert said in problem(folder, grid=GRID | {"bbox": path})


def test_a_geopackage_of_several_layers(tmp_path: Path) -> None:
    source(tmp_path, nodata=255)
    write(tmp_path / "roi.gpkg", [LAKE], "EPSG:4326", "lake")
    write(tmp_path / "roi.gpkg", [ISLAND], "EPSG:4326", "island")
    assert "has several layers: lake, island; name one, as in 'roi.gpkg|lake'" in problem(
        tmp_path, clip="roi.gpkg"
    )
    assert "has no layer 'sea'; there are: lake, island" in problem(tmp_path, clip="roi.gpkg|sea")
    array = made(config_of(tmp_path, clip="roi.gpkg|island"))
    assert ((array.values != 255) == centres_in(ISLAND, array, 4326)).all()


@pytest.mark.parametrize(
    ("name", "package"), [("roi.gpkg", "pyogrio"), ("roi.shp", "pyogrio"), ("r.parquet", "pyarrow")]
)
def test_what_needs_an_extra_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    source(tmp_path, nodata=255)
    start = {"gpkg": b"SQLite format 3\0", "shp": b"\0\0\x27\x0a"}.get(name.partition(".")[2], b"P")
    (tmp_path / name).write_bytes(start)
    # As if it was not installed.
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.parquet", None)
    with pytest.raises(stacbuild.StacbuildError, match=rf"needs {package}: pip install .*vector"):
        stacbuild.build(config_of(tmp_path, clip=name))


def test_a_shapefile_without_a_crs_is_refused(tmp_path: Path) -> None:
    source(tmp_path, nodata=255)
    write(tmp_path / "roi.shp", [LAKE], "EPSG:4326")
    (tmp_path / "roi.prj").unlink()
    assert "roi.shp: states no CRS" in problem(tmp_path, clip="roi.shp")


def test_an_invalid_polygon_is_repaired_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source(tmp_path, nodata=255)
    bowtie = shapely.Polygon([(10.1, 45.1), (10.5, 45.5), (10.5, 45.1), (10.1, 45.5)])
    (tmp_path / "roi.geojson").write_text(features(bowtie))
    array = made(config_of(tmp_path, clip="roi.geojson"))
    assert "1 invalid polygons are repaired (Self-intersection" in caplog.text
    inside = centres_in(shapely.make_valid(bowtie), array, 4326)
    assert ((array.values != 255) == inside).all()


def test_overlapping_parts_of_a_multipolygon_are_kept(tmp_path: Path) -> None:
    source(tmp_path, nodata=255)
    parts = [shapely.box(10.1, 45.1, 10.5, 45.4), shapely.box(10.4, 45.3, 10.7, 45.5)]
    (tmp_path / "roi.geojson").write_text(features(shapely.MultiPolygon(parts)))
    array = made(config_of(tmp_path, clip="roi.geojson"))
    inside = centres_in(shapely.union_all(parts), array, 4326)
    assert ((array.values != 255) == inside).all()


@pytest.mark.parametrize(
    ("shape", "outside"),
    [
        (shapely.box(45.1, 10.1, 45.5, 10.5), True),
        (shapely.box(10.9001, 45.1, 11, 45.2), True),
        (shapely.box(10.1, 45.1, 10.1001, 45.1001), False),
        (shapely.box(-180, -90, 180, 90), False),
    ],
    ids=["swapped", "beside", "less than a pixel", "the world"],
)
def test_a_region_outside_of_the_grid_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, shape: Any, outside: bool
) -> None:
    source(tmp_path, nodata=255)
    (tmp_path / "roi.geojson").write_text(features(shape))
    made(config_of(tmp_path, clip="roi.geojson"))
    assert ("roi.geojson lies outside of the grid" in caplog.text) == outside


@pytest.mark.parametrize("beyond", [False, True], ids=["split", "beyond 180"])
def test_a_region_across_the_antimeridian(tmp_path: Path, beyond: bool) -> None:
    source(tmp_path, nodata=255, transform=Affine(0.3, 0, 168, 0, -0.3, 9))
    west, east = shapely.box(170.2, -5, 180, 6), shapely.box(-180, -5, -174.4, 6)
    shapes = [shapely.box(170.2, -5, 185.6, 6)] if beyond else [east, west]
    (tmp_path / "roi.geojson").write_text(features(*shapes))
    grid = GRID | {"bbox": "roi.geojson", "spatial_res": 0.5}
    array = made(config_of(tmp_path, grid, clip="roi.geojson"))
    assert (array.lon[0], array.lon[-1]) == (170.25, 185.75)
    whole = shapely.box(170.2, -5, 185.6, 6)
    x, y = np.meshgrid(array.lon, array.lat)
    assert ((array.values != 255) == shapely.intersects_xy(whole, x, y)).all()


def test_the_extent_of_a_file_counts_as_numbers_do(tmp_path: Path) -> None:
    source(tmp_path, nodata=255)
    (tmp_path / "roi.geojson").write_text(features(shapely.box(10.103, 45.2, 10.5, 45.399)))
    grid = GRID | {"spatial_res": [0.01, 0.02]}
    made(config_of(tmp_path, grid | {"bbox": [10.1, 45.2, 10.5, 45.4]}))
    config = config_of(tmp_path, grid | {"bbox": "roi.geojson"})
    assert stacbuild.plan(config)[0].action == "up to date"
    (tmp_path / "roi.geojson").write_text(features(shapely.box(10.103, 45.2, 10.6, 45.399)))
    assert stacbuild.plan(config)[0].reasons == ("configuration: grid_mappings.g.bbox",)
    (tmp_path / "roi.geojson").write_text(features(shapely.box(500, 45.2, 600, 45.399)))
    assert "grid_mappings.g.bbox: roi.geojson: " in problem(
        tmp_path, grid=grid | {"bbox": "roi.geojson"}
    )
