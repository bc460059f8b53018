from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
import shapely
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window

from stacbuild.errors import IntegrityError
from stacbuild.formats.geotiff import open_raster
from stacbuild.geo.outline import footprint
from stacbuild.profiles import DataProfile
from stacbuild.stac.item_time import is_undated
from stacbuild.stac.raster_item import grid_of, raster_item

PUBLISHED = dt.datetime(2024, 8, 16, tzinfo=dt.UTC)
LAEA = rasterio.Affine(30, 0, 4_000_000, 0, -30, 3_000_000)


@contextmanager
def raster(
    count: int = 1,
    dtype: str = "uint8",
    crs: Any = "EPSG:3035",
    transform: rasterio.Affine = LAEA,
    shape: tuple[int, int] = (40, 50),
    prepare: Any = None,
    **options: Any,
) -> Iterator[DatasetReader]:
    with MemoryFile() as memory:
        with memory.open(
            driver=options.pop("driver", "GTiff"),
            count=count,
            dtype=dtype,
            crs=crs,
            transform=transform,
            height=shape[0],
            width=shape[1],
            **options,
        ) as dataset:
            if prepare:
                prepare(dataset)
        with memory.open() as dataset:
            yield dataset


def described(
    dataset: DatasetReader, profile: DataProfile | None = None, **options: Any
) -> dict[str, Any]:
    item = raster_item(
        dataset,
        item_id="f",
        data_id="f.tif",
        store_key="file:x",
        href="/x/f.tif",
        profile=profile or DataProfile(),
        **({"datetime": PUBLISHED} | options),
    )
    content: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    # As a catalog writes it: JSON without NaN.
    written: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    return written


def extensions(item: dict[str, Any]) -> list[str]:
    return sorted(uri.split("/")[3] for uri in item["stac_extensions"])


def test_what_a_plain_file_says() -> None:
    with raster(nodata=255) as dataset:
        item = described(dataset)
    properties, asset = item["properties"], item["assets"]["data"]
    assert properties == {
        "title": "f.tif",
        "stacbuild:store": "file:x",
        "stacbuild:data_id": "f.tif",
        "datetime": "2024-08-16T00:00:00Z",
        "proj:code": "EPSG:3035",
        "proj:shape": [40, 50],
        "proj:transform": [30, 0, 4000000, 0, -30, 3000000],
        "proj:bbox": [4000000, 2998800, 4001500, 3000000],
    }
    assert asset == {
        "href": "/x/f.tif",
        "type": "image/tiff; application=geotiff",
        "title": "f.tif",
        "roles": ["data"],
        "data_type": "uint8",
        "nodata": 255,
        "raster:sampling": "area",
        "raster:spatial_resolution": 30,
    }
    assert extensions(item) == ["projection", "raster"]
    assert item["links"] == []


def test_the_footprint_holds_every_pixel() -> None:
    # Wide enough that its edges bend in longitude and latitude.
    wide = rasterio.Affine(30_000, 0, 2_500_000, 0, -30_000, 5_500_000)
    with raster(transform=wide, shape=(130, 150)) as dataset:
        geometry, bbox = footprint(grid_of(dataset, "f"))
        shape = shapely.geometry.shape(geometry)
        xs, ys = rasterio.transform.xy(dataset.transform, *np.indices(dataset.shape).reshape(2, -1))
    lon, lat = rasterio.warp.transform("EPSG:3035", "EPSG:4326", xs, ys)
    inside = shapely.contains_xy(shape, lon, lat)
    assert inside.all()
    assert shape.is_valid
    assert bbox == list(shape.bounds)


@pytest.mark.parametrize(
    ("crs", "box", "expected", "kind"),
    [
        ("EPSG:4326", (-180, -90, 180, 90), [-180, -90, 180, 90], "Polygon"),
        ("EPSG:4326", (0, -90, 360, 90), [-180, -90, 180, 90], "Polygon"),
        ("EPSG:4326", (170, -10, 190, 10), [170, -10, -170, 10], "MultiPolygon"),
        ("EPSG:4326", (6, 0, 9, 3), [6, 0, 9, 3], "Polygon"),
    ],
)
def test_the_antimeridian_and_the_globe(
    crs: str, box: tuple[float, ...], expected: list[float], kind: str
) -> None:
    place = rasterio.Affine((box[2] - box[0]) / 50, 0, box[0], 0, (box[1] - box[3]) / 40, box[3])
    with raster(crs=crs, transform=place) as dataset:
        geometry, bbox = footprint(grid_of(dataset, "f"))
    assert (bbox, geometry["type"]) == (expected, kind)
    assert shapely.geometry.shape(geometry).is_valid


def test_nan_as_nodata_is_a_string_as_json_has_no_such_number() -> None:
    with raster(dtype="float32", nodata=float("nan")) as dataset:
        asset = described(dataset)["assets"]["data"]
    assert asset["data_type"] == "float32"
    assert asset["nodata"] == "nan"


def test_scale_offset_and_sampling_of_the_file() -> None:
    def prepare(dataset: Any) -> None:
        dataset.scales, dataset.offsets = (0.5,), (-10.0,)
        dataset.units = ("m",)
        dataset.update_tags(AREA_OR_POINT="Point")

    with raster(dtype="int16", prepare=prepare) as dataset:
        asset = described(dataset)["assets"]["data"]
    assert (asset["raster:scale"], asset["raster:offset"]) == (0.5, -10)
    assert (asset["unit"], asset["raster:sampling"]) == ("m", "point")


def test_a_crs_without_code_is_given_whole() -> None:
    crs = "+proj=laea +lat_0=51 +lon_0=9 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m"
    with raster(crs=crs) as dataset:
        properties = described(dataset)["properties"]
        written = rasterio.CRS.from_wkt(properties["proj:wkt2"])
        assert properties["proj:code"] is None
        assert written == dataset.crs


def test_a_crs_in_the_words_of_another_program_keeps_its_code() -> None:
    crs = pyproj.CRS("EPSG:3035").to_wkt("WKT1_ESRI")
    with raster(crs=crs) as dataset:
        assert described(dataset)["properties"]["proj:code"] == "EPSG:3035"


def test_only_a_cog_is_called_one() -> None:
    with MemoryFile() as memory:
        with raster(shape=(600, 600)) as dataset:
            rasterio.shutil.copy(dataset, memory.name, driver="COG")
        with memory.open() as dataset:
            asset = described(dataset)["assets"]["data"]
    assert asset["type"] == "image/tiff; application=geotiff; profile=cloud-optimized"


def test_several_bands_are_named() -> None:
    def prepare(dataset: Any) -> None:
        dataset.descriptions = ("red", None)
        dataset.scales = (1.0, 0.1)

    with raster(count=2, prepare=prepare) as dataset:
        asset = described(dataset)["assets"]["data"]
    assert asset["bands"] == [
        {"name": "red", "description": "red"},
        {"name": "b2", "raster:scale": 0.1},
    ]
    assert "raster:scale" not in asset


def test_bands_are_the_years_of_the_profile() -> None:
    profile = DataProfile(years={"first": 1985, "count": 3}, title="Disturbance")
    with raster(count=3) as dataset:
        item = described(dataset, profile)
    assert item["assets"]["data"]["bands"][1] == {
        "name": "1986",
        "start_datetime": "1986-01-01T00:00:00Z",
        "end_datetime": "1986-12-31T23:59:59Z",
    }
    properties = item["properties"]
    assert properties["title"] == "Disturbance"
    assert properties["datetime"] == properties["start_datetime"] == "1985-01-01T00:00:00Z"
    assert properties["end_datetime"] == "1987-12-31T23:59:59Z"
    with (
        raster(count=2) as dataset,
        pytest.raises(IntegrityError, match=r"2 bands, but .* 3 years"),
    ):
        described(dataset, profile)


def test_a_profile_adds_unit_name_and_period() -> None:
    profile = DataProfile(
        unit="m",
        standard_name="canopy_height",
        start_datetime=dt.datetime(2019, 1, 1),
        end_datetime=dt.datetime(2019, 12, 31, 23, 59, 59),
        keywords=("forest",),
        description="How high.",
    )
    with raster(dtype="float32") as dataset:
        item = described(dataset, profile, datetime=None, properties={"version": "1"})
    asset = item["assets"]["data"]
    assert asset["cf:parameter"] == [{"name": "canopy_height", "unit": "m"}]
    assert (asset["unit"], asset["description"]) == ("m", "How high.")
    assert item["properties"]["datetime"] == "2019-01-01T00:00:00Z"
    assert item["properties"]["keywords"] == ["forest"]
    assert extensions(item) == ["cf", "projection", "raster", "version"]


def test_classes_take_colours_of_the_file_and_mark_further_nodata() -> None:
    profile = DataProfile(
        nodata=(255, 254),
        classes=(
            {"value": 0, "name": "none"},
            {"value": 1, "name": "broadleaved", "color_hint": "000001"},
            {"value": 255, "name": "outside", "nodata": True},
        ),
    )

    def prepare(dataset: Any) -> None:
        dataset.write_colormap(1, {0: (240, 240, 240, 255), 1: (1, 2, 3, 255), 254: (9, 9, 9, 255)})

    with raster(nodata=255, prepare=prepare) as dataset:
        item = described(dataset, profile)
    assert item["assets"]["data"]["nodata"] == 255
    classes = {c.pop("value"): c for c in item["assets"]["data"]["classification:classes"]}
    assert classes[0] == {"name": "none", "color_hint": "F0F0F0"}
    assert classes[1] == {"name": "broadleaved", "color_hint": "000001"}
    assert classes[255]["nodata"] is True
    assert classes[254] == {"name": "nodata_254", "nodata": True, "color_hint": "090909"}
    assert "classification" in extensions(item)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crs": None}, "no coordinate reference system"),
        ({"transform": rasterio.Affine.identity()}, "has no georeferencing"),
        (
            {"transform": rasterio.Affine(1e9, 0, 1e9, 0, -1e9, -1e9)},
            "outside of where its coordinate",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_cannot_be_placed_is_refused(options: dict[str, Any], message: str) -> None:
    with raster(**options) as dataset, pytest.raises(IntegrityError, match=message):
        described(dataset)


def test_without_any_time_it_is_undated() -> None:
    with raster() as dataset:
        item = described(dataset, datetime=None)
    assert item["properties"]["datetime"] is None
    assert is_undated(item["properties"])


def test_real_files(realdata: Path) -> None:
    folder = realdata / "rasters"
    codes = {
        "ESA_WorldCover_10m_2021_v200_N00E006_Map.tif": "EPSG:4326",
        "odcgeo_au-3577.tif": "EPSG:3577",
        "rioxarray_cog.tif": None,
    }
    for name, code in codes.items():
        with open_raster(folder / name) as dataset:
            item = described(dataset)
            assert item["properties"]["proj:code"] == code
            assert dataset.read(1, window=Window(0, 0, 2, 2)).shape == (2, 2)
