"""Where a GeoTIFF and its item disagree: the first in the order of trust counts, and it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from tests.support.stac_documents import Json
from tests.support.stac_rasters import catalog, described, fields_of, raster, stated


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"unit": "K"}, {"unit": "mm"}, "unit K in raster:bands, but mm in bands"),
        ({"nodata": 7}, {"nodata": 9}, "no data 7 in raster:bands, but 9 in bands"),
        ({"scale": 0.1}, {"raster:scale": 0.2}, "scale 0.1 in raster:bands, but 0.2 in bands"),
        ({"nodata": 7, "unit": "K"}, {"nodata": "7", "unit": "k "}, None),
        ({"nodata": "nan"}, {"nodata": "NaN"}, None),
        ({"unit": "K"}, {"raster:scale": 0.1}, None),
    ],
)
def test_an_item_that_contradicts_itself(
    tmp_path: Path, old: Json, new: Json, said: str | None
) -> None:
    raster(tmp_path / "a.tif", "float32")
    catalog(tmp_path, stated(**{"raster:bands": [old], "bands": [new]}))
    _, told = described(tmp_path)
    lines = [line for line in told if "in raster:bands" in line]
    assert len(lines) == (said is not None)
    assert all(f"its item states {said}, which is used" in line for line in lines)


def test_an_asset_that_contradicts_its_band(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif")
    bands = [{"scale": 0.1, "offset": 2}]
    catalog(tmp_path, stated(**{"raster:bands": bands, "raster:scale": 0.2, "raster:offset": 2}))
    items, [told] = described(tmp_path)
    assert "scale 0.2 in the asset, but 0.1 in raster:bands, which is used" in told
    assert fields_of(items) == {"raster:scale": 0.1, "raster:offset": 2}


@pytest.mark.parametrize("header", [{}, {"nodata": 7}])
def test_a_mask_in_the_file_counts_before_no_data_of_its_item(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        raster(tmp_path / "a.tif", **header)
        with rasterio.open(tmp_path / "a.tif", "r+") as file:
            file.write_mask(np.eye(120, dtype="uint8") * 255)
    catalog(tmp_path, stated(nodata=7))
    items, told = described(tmp_path)
    assert "nodata" not in fields_of(items)
    [line] = [line for line in told if "has a mask" in line]
    said = (
        "a mask and a nodata value (7" if header else "its item states no data 7, but the file has"
    )
    assert said in line


@pytest.mark.parametrize(
    ("period", "told_of"),
    [
        ({}, False),
        ({"start_datetime": "1999-01-01T00:00:00Z", "end_datetime": "2001-01-01T00:00:00Z"}, False),
        ({"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-12-31T00:00:00Z"}, True),
    ],
)
def test_times_of_the_file_count_before_those_of_its_item(
    tmp_path: Path, period: Json, told_of: bool
) -> None:
    raster(tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.update_tags(
            NETCDF_DIM_EXTRA="{time}",
            NETCDF_DIM_time_DEF="{1,6}",
            NETCDF_DIM_time_VALUES="{31}",
            **{"time#units": "days since 2000-01-01"},
        )
    one = stated()
    one["properties"] |= period
    catalog(tmp_path, one)
    [found], told = described(tmp_path)
    [band] = found.assets["data"].extra_fields["bands"]
    assert band["start_datetime"] == "2000-02-01T00:00:00Z"
    assert found.datetime is not None
    assert found.datetime.year == 2000
    lines = [line for line in told if "2020 to 2020, but the file 2000 to 2000" in line]
    assert bool(lines) == told_of
