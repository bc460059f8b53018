"""Files that a data id matches in a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import stacbuild
from stacbuild.errors import StacbuildError
from stacbuild.sources.matching import match
from stacbuild.sources.s3.files import listing_of
from stacbuild.sources.s3.store import S3Store
from tests.standins import Servers
from tests.support.cli import geotiff


def test_months_in_a_bucket_become_time(tmp_path: Path, standins: Servers) -> None:
    server = standins.s3
    for month in ("01", "02"):
        path = geotiff(tmp_path / f"m_2020_{month}.tif")
        server.put(f"own/ü/m_2020_{month}.tif", path.read_bytes(), "several")
    options = {"key": "testing", "secret": "testing", "endpoint_url": server.url}
    params: dict[str, Any] = {"root": "several/own", "storage_options": options}
    store = S3Store(identifier="s", store_id="s3", store_params=params)
    found = match("**/m_{time:%Y_%m}.tif", listing_of(store)).files
    assert [file.path for file in found] == ["ü/m_2020_01.tif", "ü/m_2020_02.tif"]
    config = stacbuild.load_config(
        {
            "datasets": [{"identifier": "c", "store": "s", "data_id": "*/m_{time:%Y_%m}.tif"}],
            "data_stores": [
                {"identifier": "s", "store_id": "s3", "store_params": params},
                {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            ],
        },
        base_dir=tmp_path,
    )
    [built] = stacbuild.build(config, tmp_path / "catalogs")
    with xr.open_zarr(str(built.href)) as cube:
        assert [str(time)[:7] for time in cube["time"].values] == ["2020-01", "2020-02"]
    server.put("own/ü/m_2020_03.tif", b"x", "several")
    [planned] = stacbuild.plan(config, tmp_path / "catalogs")
    assert "ü/m_2020_03.tif added" in planned.reason


def test_a_bucket_that_is_missing_is_named(standins: Servers) -> None:
    options = {"key": "testing", "secret": "testing", "endpoint_url": standins.s3.url}
    params = {"root": "no-such-bucket", "storage_options": options}
    store = S3Store(identifier="s", store_id="s3", store_params=params)
    with pytest.raises(StacbuildError, match="s3://no-such-bucket"):
        match("*.tif", listing_of(store))
