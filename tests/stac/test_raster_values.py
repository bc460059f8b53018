"""Metadata of a GeoTIFF's values as STAC fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from stacbuild.errors import IntegrityError
from stacbuild.profiles import DataProfile
from stacbuild.stac.raster_values import (
    band_fields,
    class_fields,
    only_description,
    value_fields,
    year_of,
)

NONE = DataProfile()


def raster(path: Path, bands: int = 1, dtype: str = "uint8", **more: Any) -> Path:
    units, scales = more.pop("units", None), more.pop("scales", None)
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": bands, "dtype": dtype}
    profile |= {"crs": "EPSG:4326", "transform": rasterio.Affine(1, 0, 0, 0, -1, 2)} | more
    with rasterio.open(path, "w", photometric="MINISBLACK", **profile) as file:
        file.write(np.zeros((bands, 2, 2), dtype))
        if units:
            file.units = units
        if scales:
            file.scales = scales
    return path


def profile(**fields: Any) -> DataProfile:
    return DataProfile.model_validate(fields)


def test_values_of_the_header_and_of_a_profile(tmp_path: Path) -> None:
    with rasterio.open(raster(tmp_path / "a.tif", nodata=7, units=("m",))) as file:
        assert value_fields(file, NONE) == {"data_type": "uint8", "nodata": 7, "unit": "m"}
        stated = value_fields(file, profile(unit="km", nodata=[1, 2], standard_name="height"))
        assert (stated["unit"], stated["nodata"]) == ("km", 1)
        assert stated["cf:parameter"] == [{"name": "height", "unit": "km"}]


def test_what_differs_stands_with_each_band(tmp_path: Path) -> None:
    with rasterio.open(raster(tmp_path / "a.tif", 2, units=("m", ""), scales=(2, 2))) as file:
        assert value_fields(file, NONE)["raster:scale"] == 2
        assert "unit" not in value_fields(file, NONE)
        bands = band_fields(file, NONE, "a.tif")["bands"]
        assert bands == [{"name": "b1", "unit": "m"}, {"name": "b2"}]


def test_bands_may_be_years(tmp_path: Path) -> None:
    with rasterio.open(raster(tmp_path / "a.tif", 2)) as file:
        years = profile(years={"first": 1985, "count": 2})
        found = band_fields(file, years, "a.tif")["bands"]
        assert found[1]["name"] == "1986"
        assert found[1]["end_datetime"] == "1986-12-31T23:59:59Z"
        with pytest.raises(IntegrityError, match=r"a\.tif: has 2 bands, .* 3 years"):
            band_fields(file, profile(years={"first": 1985, "count": 3}), "a.tif")


def test_classes_of_a_profile_have_the_colours_of_the_file(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 16, 255)})
    classes = profile(classes=[{"value": 1, "name": "forest"}], nodata=[0, 255])
    with rasterio.open(path) as file:
        assert class_fields(file, classes)["classification:classes"] == [
            {"value": 1, "name": "forest", "color_hint": "FF0010"},
            {"value": 255, "name": "nodata_255", "nodata": True, "color_hint": "000000"},
        ]
        assert class_fields(file, NONE) == {}


def test_a_transparent_class_has_no_colour(tmp_path: Path) -> None:
    entries = "".join(f'<Entry c1="9" c2="8" c3="7" c4="{alpha}"/>' for alpha in (0, 0, 255, 80))
    path = tmp_path / "a.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="1" rasterYSize="1">'
        "<GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1">'
        f"<NoDataValue>0</NoDataValue><ColorTable>{entries}</ColorTable>"
        "</VRTRasterBand></VRTDataset>"
    )
    listed = [{"value": value, "name": f"c{value}"} for value in (1, 2, 3)]
    with rasterio.open(path) as file:
        found = class_fields(file, profile(classes=listed, nodata=[255, 0]))
    colours = [entry.get("color_hint") for entry in found["classification:classes"]]
    assert colours == [None, "090807", "090807", "090807"]


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (" Height  of\ntrees ", "Height of trees"),
        ("Band 1", None),
        ("band_data", None),
        ("x" * 301, None),
        (None, None),
    ],
)
def test_the_description_of_a_single_band_is_a_title(
    tmp_path: Path, described: str | None, expected: str | None
) -> None:
    path = raster(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, described)
    with rasterio.open(path) as file:
        assert only_description(file) == expected


def test_a_year_is_all_of_it() -> None:
    start, end = year_of(2020)
    assert (start.isoformat(), end.isoformat()) == (
        "2020-01-01T00:00:00+00:00",
        "2020-12-31T23:59:59+00:00",
    )
