"""Object stores become collections and items, and only metadata and coordinates are read."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr

from stacbuild.errors import (
    AuthError,
    Failures,
    MissingError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.profiles import Profiles
from stacbuild.progress import Silent, reported_to
from stacbuild.sources.base import Wanted, harvester_of
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.https.store import HttpsStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.catalog import Catalog, Harvest
from tests.standins.data import Data
from tests.standins.demo import Servers
from tests.standins.s3 import BUCKET, GAMI_KEY, S3Server
from tests.standins.server import LoopbackServer, Request, Response, html
from tests.support.stac_schemas import stac_problems

DOI = "10.5880/GFZ.1.4.2023.006"


class Told(Silent):
    """A reporter that keeps what it was told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Web(LoopbackServer):
    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def respond(self, request: Request) -> Response:
        path = self.root / request.path.strip("/")
        if path.is_file():
            return Response(200, path, {"Last-Modified": "Sat, 02 May 2020 10:00:00 GMT"})
        return html(404, "nothing here")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web(tmp_path) as server:
        yield server


@pytest.fixture
def s3_server(standins: Servers) -> S3Server:
    """The one that holds the demo's data."""
    return standins.s3


def gami_store(endpoint: str, root: str = BUCKET, **options: Any) -> S3Store:
    return S3Store(
        identifier="s3",
        store_id="s3",
        store_params={
            "root": root,
            "storage_options": {"endpoint_url": endpoint} | (options or {"anon": True}),
        },
    )


def file_store(root: Path) -> FileStore:
    return FileStore(identifier="local", store_id="file", store_params={"root": str(root)})


def web_store(root: str) -> HttpsStore:
    return HttpsStore(identifier="web", store_id="https", store_params={"root": root})


def one(store: Any, *data_ids: str, reporter: Silent | None = None) -> Harvest:
    with reported_to(reporter):
        found = list(harvester_of(store).harvest(store, Wanted(data_ids), Profiles.load()))
    assert len(found) == 1
    return found[0]


def write_cube(path: Path, *, times: bool = True, **attrs: Any) -> None:
    ds = xr.Dataset(
        {"height": (("lat", "lon"), np.ones((3, 4), "uint8"), {"units": "m"})},
        {"lat": [2.5, 1.5, 0.5], "lon": [0.5, 1.5, 2.5, 3.5]},
        attrs,
    )
    if times:
        ds = ds.expand_dims(time=np.array(["2015-01-01"], "datetime64[ns]"))
    ds.to_zarr(path, zarr_format=2, consolidated=True)


def write_tif(path: Path) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=4,
        height=3,
        count=1,
        dtype="uint8",
        crs="EPSG:3035",
        transform=rasterio.Affine(30, 0, 3_200_000, 0, -30, 3_000_000),
        tiled=True,
        blockxsize=16,
        blockysize=16,
    ) as file:
        file.write(np.ones((1, 3, 4), "uint8"))


def test_gami_is_described_without_a_chunk_of_data(s3_server: S3Server) -> None:
    store = gami_store(s3_server.url)
    item = one(store, GAMI_KEY).items[0]
    assert s3_server.chunks_read == []
    assert 0 < len(s3_server.log) < 20
    assert not any(read.signed for read in s3_server.log)
    properties = item.properties
    assert item.id == "collections-GAMI-GAMI_v2.1"
    assert properties["title"] == "Global Age Mapping Integration (GAMI) v2.1"
    assert properties["stacbuild:store"] == store.key
    assert properties["stacbuild:data_id"] == GAMI_KEY
    assert properties["version"] == "2.1"
    assert properties["sci:doi"] == DOI
    assert properties["proj:code"] == "EPSG:4326"
    assert properties["proj:shape"] == [202_500, 405_000]
    res = 180 / 202_500
    assert properties["proj:transform"] == pytest.approx([res, 0, -180, 0, -res, 90], abs=1e-15)
    assert item.bbox == [-180, -90, 180, 90]
    assert properties["start_datetime"] == "2010-01-01T00:00:00Z"
    assert properties["end_datetime"] == "2020-01-01T00:00:00Z"
    dimensions = properties["cube:dimensions"]
    assert dimensions["members"]["values"] == list(range(20))
    assert dimensions["time"]["values"] == ["2010-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]
    assert "values" not in dimensions["latitude"]
    age = properties["cube:variables"]["forest_age"]
    assert age["type"] == "data"
    assert age["dimensions"] == ["members", "latitude", "longitude", "time"]
    assert age["chunks"] == [5, 500, 500, 2]
    assert (age["data_type"], age["nodata"], age["unit"]) == ("int16", -9999, "years")
    assert age["title"] == "Forest age"


def test_a_copy_of_gami_on_the_web_is_known_as_such(standin_data: Data) -> None:
    with Web(standin_data.directory) as web:
        (standin_data.directory / "GAMI_v2.1.zarr").symlink_to(standin_data.gami)
        found = one(web_store(web.url), "GAMI_v2.1.zarr")
        asked = [request.path for request in web.log]
    (standin_data.directory / "GAMI_v2.1.zarr").unlink()
    assert found.items[0].properties["cube:variables"]["forest_age"]["nodata"] == -9999
    assert found.items[0].properties["sci:doi"] == DOI
    assert len(asked) < 20
    assert [path for path in asked if "forest_age/" in path] == []


def test_the_https_address_comes_first_and_s3_beside_it(s3_server: S3Server) -> None:
    item = one(gami_store(s3_server.url), GAMI_KEY).items[0]
    asset = item.assets["data"]
    assert asset.href == f"{s3_server.url}/{BUCKET}/{GAMI_KEY}"
    assert asset.extra_fields["alternate"]["s3"]["href"] == f"s3://{BUCKET}/{GAMI_KEY}"
    scheme = item.properties["storage:schemes"]["s3"]
    assert scheme == {"type": "custom-s3", "platform": s3_server.url, "bucket": BUCKET}
    assert asset.extra_fields["storage:refs"] == ["s3"]
    assert [link.target for link in item.links if link.rel == "store"] == [asset.href]


def test_the_collection_says_what_profile_and_store_say(s3_server: S3Server) -> None:
    store = gami_store(s3_server.url)
    collection = one(store, GAMI_KEY).collection
    content = collection.to_dict(include_self_link=False, transform_hrefs=False)
    assert content["stacbuild:store"] == store.key
    assert content["title"] == "Global Age Mapping Integration (GAMI) v2.1"
    assert content["license"] == "other"
    assert content["sci:doi"] == DOI
    assert content["providers"][0]["name"].startswith("Helmholtz Centre Potsdam")
    assert [(link["rel"], link["href"]) for link in content["links"]] == [
        ("cite-as", f"https://doi.org/{DOI}")
    ]
    assert content["extent"]["spatial"]["bbox"] == [[-180, -90, 180, 90]]


def test_a_second_harvest_changes_no_byte(s3_server: S3Server, tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalogs")
    store = gami_store(s3_server.url)
    assert catalog.put(one(store, GAMI_KEY))
    assert not catalog.put(one(store, GAMI_KEY))
    assert [item.id for item in catalog.find(store.key, GAMI_KEY)] == ["collections-GAMI-GAMI_v2.1"]
    assert stac_problems(catalog.path) == []


def test_what_is_not_open_leaves_no_secret(s3_server: S3Server, tmp_path: Path) -> None:
    write_cube(tmp_path / "a.zarr")
    s3_server.upload(tmp_path / "a.zarr", "deep/er/a.zarr", "closed")
    s3_server.reset()
    store = gami_store(s3_server.url, "closed/deep", key="CANARYKEY", secret="CANARYSECRET")
    found = one(store, "er/a.zarr")
    assert all(read.signed for read in s3_server.log)
    assert found.items[0].assets["data"].href == f"{s3_server.url}/closed/deep/er/a.zarr"
    written = json.dumps([found.collection.to_dict(), found.items[0].to_dict()])
    assert "CANARY" not in written


@pytest.mark.parametrize(
    ("root", "data_id"), [("no-such-bucket", "a.zarr"), (BUCKET, "collections/no.zarr")]
)
def test_unknown_bucket_and_key(s3_server: S3Server, root: str, data_id: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        one(gami_store(s3_server.url, root), data_id)
    assert f"s3://{root}/{data_id}" in str(caught.value)
    assert s3_server.url in str(caught.value)
    assert "\n" not in str(caught.value)


class Refusing(LoopbackServer):
    def respond(self, request: Request) -> Response:
        text = "<Error><Code>InvalidAccessKeyId</Code><Message>CANARYKEY</Message></Error>"
        return Response(403, text.encode(), {"Content-Type": "application/xml"})


def test_refused_credentials() -> None:
    with Refusing() as server:
        store = gami_store(server.url, key="CANARYKEY", secret="CANARYSECRET")
        with pytest.raises(AuthError, match=f"s3://{BUCKET}/a.zarr") as caught:
            one(store, "a.zarr")
    assert "CANARY" not in str(caught.value)


def test_the_rest_is_harvested_when_one_fails(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.zarr")
    store, profiles = file_store(tmp_path), Profiles.load()
    given = harvester_of(store).harvest(store, Wanted(("no.zarr", "a.zarr")), profiles)
    assert [item.id for item in next(given).items] == ["a"]
    with pytest.raises(MissingError, match=r"no\.zarr"):
        next(given)
    with pytest.raises(Failures) as caught:
        list(harvester_of(store).harvest(store, Wanted(("b.zarr", "c.zarr")), profiles))
    assert [name for name, _ in caught.value.failures] == ["b.zarr", "c.zarr"]
    assert caught.value.exit_code == MissingError.exit_code


@pytest.mark.parametrize("data_id", ["../a.zarr", "b/../../a.zarr", "https://host/a.zarr"])
def test_nothing_outside_the_store_is_read(tmp_path: Path, data_id: str) -> None:
    (tmp_path / "store").mkdir()
    write_cube(tmp_path / "a.zarr")
    with pytest.raises(StacbuildError, match="below the root"):
        one(file_store(tmp_path / "store"), data_id)


def test_a_local_folder_of_zarr_and_geotiff(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.zarr", title="Heights", license="CC BY 4.0", institution="Somewhere")
    write_tif(tmp_path / "b.tif")
    os.utime(tmp_path / "b.tif", (0, dt.datetime(2021, 3, 4, tzinfo=dt.UTC).timestamp()))
    store, reporter = file_store(tmp_path), Told()
    found = one(store, "a.zarr", "b.tif", reporter=reporter)
    cube, raster = found.items
    assert cube.assets["data"].href == str(tmp_path / "a.zarr")
    assert cube.properties["license"] == "CC-BY-4.0"
    assert "storage:schemes" not in cube.properties
    assert raster.properties["proj:code"] == "EPSG:3035"
    assert raster.assets["data"].media_type.startswith(pystac.MediaType.GEOTIFF)
    # When the file was last changed is not the time of its data.
    assert raster.datetime is None
    assert raster.properties["start_datetime"] == "0001-01-01T00:00:00Z"
    assert raster.properties["end_datetime"] == "9999-12-31T23:59:59Z"
    assert reporter.warnings == []
    # What only one of two says stays with it.
    assert found.collection.license == "other"
    assert found.collection.title == str(tmp_path)
    catalog = Catalog(tmp_path / "catalogs")
    catalog.put(found)
    assert stac_problems(catalog.path) == []
    written = json.loads(catalog.item_path(found.collection.id, "a").read_text())
    assert written["assets"]["data"]["href"] == "../../../a.zarr"
    assert not catalog.put(one(store, "a.zarr", "b.tif"))


@pytest.mark.parametrize(
    ("values", "attrs", "told"),
    [
        ([2018, 2019], {}, "time is 2018, 2019, ... with no unit"),
        ([20200101.0, 20200201.0], {"units": "day as %Y%m%d.%f"}, "'day as %Y%m%d.%f'"),
        ([0, 31], {"units": "days since 2020-01-01"}, None),
    ],
)
def test_times_that_are_no_dates_are_warned_of(
    tmp_path: Path, values: list[float], attrs: dict[str, str], told: str | None
) -> None:
    axes = {"lat": 40.5 + np.arange(3), "lon": 5.5 + np.arange(4)}
    ds = xr.Dataset({"v": (("time", "lat", "lon"), np.ones((2, 3, 4)))}, axes)
    ds.assign_coords(time=("time", values, attrs)).to_zarr(tmp_path / "v.zarr", consolidated=False)
    store = file_store(tmp_path)
    with reported_to(reporter := Told()):
        list(harvester_of(store).harvest(store, Wanted(("v.zarr",)), Profiles.load(())))
    assert len(reporter.warnings) == (told is not None)
    assert told is None or told in reporter.warnings[0]


def test_a_web_server(tmp_path: Path, web: Web) -> None:
    (tmp_path / "some where").mkdir()
    write_cube(tmp_path / "some where" / "a.zarr", times=False, references=f"doi:{DOI}.")
    write_tif(tmp_path / "b.tif")
    reporter = Told()
    found = one(web_store(web.url), "some where/a.zarr", "b.tif", reporter=reporter)
    cube, raster = found.items
    assert cube.assets["data"].href == f"{web.url}/some%20where/a.zarr"
    assert cube.properties["sci:doi"] == DOI
    assert cube.datetime is raster.datetime is None
    assert reporter.warnings == []
    catalog = Catalog(tmp_path / "catalogs")
    catalog.put(found)
    assert stac_problems(catalog.path) == []
    collection = json.loads((catalog.root / found.collection.id / "collection.json").read_text())
    assert collection["extent"]["temporal"]["interval"] == [[None, None]]


@pytest.mark.usefixtures("unwaited")
def test_a_web_server_that_is_not_there(tmp_path: Path) -> None:
    with Web(tmp_path) as gone:
        pass
    with pytest.raises(RemoteError, match=r"a\.zarr.*: no connection") as caught:
        one(web_store(gone.url), "a.zarr")
    assert "\n" not in str(caught.value)


def test_preloads_are_read_in_place(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.zarr")
    wanted = Wanted(("a.zarr",), preload=("a.zarr",))
    store = file_store(tmp_path)
    (found,) = harvester_of(store).harvest(store, wanted, Profiles.load())
    assert len(found.items) == 1
