"""The stand-ins for providers of scenes: what they answer, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import s3fs
from rasterio.io import MemoryFile
from rasterio.warp import transform_bounds

from tests.support.scenes.api import SceneApi
from tests.support.scenes.pixels import Scene, classes, digital
from tests.support.scenes.providers import (
    Cdse,
    EarthSearch,
    Hls,
    KeyedS3,
    PlanetaryComputer,
    Usgs,
)

KINDS = [EarthSearch, PlanetaryComputer, Hls, Cdse, Usgs]
RED = {"cdse": "B04_10m", "planetary-computer": "B04", "hls": "B04"}
MASK = {
    "cdse": "SCL_20m", "planetary-computer": "SCL", "hls": "Fmask", "usgs": "qa_pixel",
}  # fmt: skip


@pytest.fixture(params=KINDS, ids=lambda kind: kind.template)
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    kind = request.param
    if kind in (Cdse, Usgs):
        with KeyedS3() as s3, kind(tmp_path, s3) as found:
            yield found
    else:
        with kind(tmp_path) as found:
            yield found


def add(api: SceneApi, *names: str) -> None:
    # The two that state one grid for all assets have them at 30 m.
    shape = (60, 60) if api.template in ("hls", "usgs") else (30, 30)
    for number, name in enumerate(names):
        values = {
            RED.get(api.template, "red"): digital(number),
            MASK.get(api.template, "scl"): classes(number, shape),
        }
        api.add(Scene(name, values, f"2020-07-{number + 1:02}T10:00:00Z"))


def following(page: Any) -> Any:
    return next((link for link in page["links"] if link["rel"] == "next"), None)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_follow_each_other(api: SceneApi, method: str) -> None:
    add(api, "a", "b", "c")
    bbox = [-180, -90, 180, 90]
    asked: Any = {"bbox": bbox, "limit": 2, "collections": [api.items[0]["collection"]]}
    if method == "GET":
        query = asked | {"bbox": ",".join(map(str, bbox)), "collections": asked["collections"][0]}
        page = requests.get(f"{api.root}/search", params=query, timeout=9).json()
    else:
        page = requests.post(f"{api.root}/search", json=asked, timeout=9).json()
    names = [item["id"] for item in page["features"]]
    while (link := following(page)) is not None:
        page = requests.request(
            link["method"], link["href"], json=link.get("body"), timeout=9
        ).json()
        names += [item["id"] for item in page["features"]]
    assert names == ["c", "b", "a"]


def test_an_item_says_where_its_pixels_are(api: SceneApi) -> None:
    add(api, "a")
    [item] = api.items
    red = item["assets"][RED.get(api.template, "red")]
    content = content_of(api, red)
    with MemoryFile(content) as memory, memory.open() as file:
        assert file.driver == ("JP2OpenJPEG" if api.template == "cdse" else "GTiff")
        assert np.array_equal(file.read(1), digital(0))
        stated = red if "proj:transform" in red else item["properties"]
        assert list(file.transform)[:6] == stated["proj:transform"]
        assert [file.height, file.width] == stated["proj:shape"]
        west, south, east, north = transform_bounds(file.crs, 4326, *file.bounds)
    assert item["bbox"] == pytest.approx([west, south, east, north], abs=1e-3)


def content_of(api: SceneApi, asset: Any) -> bytes:
    """Return the bytes of an asset, with everything that its provider asks for."""
    if isinstance(api, Cdse | Usgs):
        href = asset["href"] if isinstance(api, Cdse) else asset["alternate"]["s3"]["href"]
        options = {"requester_pays": isinstance(api, Usgs), "skip_instance_cache": True}
        return bytes(s3fs.S3FileSystem(**api.storage_options, **options).cat_file(href))
    query = ""
    if isinstance(api, PlanetaryComputer):
        account, container = asset["href"].removeprefix(f"{api.url}/").split("/")[:2]
        service = f"{api.url}/api/sas/v1/token/{account}/{container}"
        query = f"?{requests.get(service, timeout=9).json()['token']}"
    return requests.get(f"{asset['href']}{query}", timeout=9).content


def test_searches_select(tmp_path: Path) -> None:
    with EarthSearch(tmp_path) as api:
        for day, cover in ((1, 10.0), (2, 50.0)):
            when = f"2020-07-{day:02}T10:00:00Z"
            cloudy = {"eo:cloud_cover": cover}
            api.add(Scene(f"d{day}", {"red": digital(day)}, when, properties=cloudy))

        def found(**asked: Any) -> list[str]:
            page = requests.post(f"{api.root}/search", json=asked, timeout=9).json()
            return [item["id"] for item in page["features"]]

        assert found() == ["d2", "d1"]
        assert found(query={"eo:cloud_cover": {"lt": 20}}) == ["d1"]
        assert found(datetime="2020-07-02T00:00:00Z/..") == ["d2"]
        assert found(datetime="2020-07-01T10:00:00Z") == ["d1"]
        assert found(ids=["d1"]) == ["d1"]
        assert found(bbox=[0, 0, 1, 1]) == []
        assert found(collections=["other"]) == []


def test_the_data_space_refuses_large_pages_and_strangers(tmp_path: Path) -> None:
    with KeyedS3() as s3, Cdse(tmp_path, s3) as api:
        add(api, "a")
        answer = requests.post(f"{api.root}/search", json={"limit": 101}, timeout=9)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "0")
        key = api.items[0]["assets"]["B04_10m"]["href"].removeprefix("s3://")
        assert requests.get(f"{s3.url}/{key}", timeout=9).status_code == 403


def test_the_requester_has_to_pay(tmp_path: Path) -> None:
    with KeyedS3() as s3, Usgs(tmp_path, s3) as api:
        add(api, "a")
        red = api.items[0]["assets"]["red"]
        assert "html" in requests.get(red["href"], timeout=9).headers["Content-Type"]
        options = {"skip_instance_cache": True, **api.storage_options}
        with pytest.raises(PermissionError):
            s3fs.S3FileSystem(**options).cat_file(red["alternate"]["s3"]["href"])


def test_blobs_want_a_token_of_their_container_that_is_not_over(tmp_path: Path) -> None:
    with PlanetaryComputer(tmp_path) as api:
        add(api, "a")
        href = api.items[0]["assets"]["B04"]["href"]
        service = f"{api.url}/api/sas/v1/token"

        def status(token: str) -> int:
            return requests.get(f"{href}?{token}", timeout=9).status_code

        token = requests.get(f"{service}/sentinel2l2a01/sentinel2-l2", timeout=9).json()["token"]
        other = requests.get(f"{service}/other/container", timeout=9).json()["token"]
        assert requests.get(href, timeout=9).status_code == 409
        assert (status(token), status(other), status("sig=made-up")) == (200, 403, 403)
        api.ahead = 2 * api.lifetime
        assert status(token) == 403
        api.ahead = 0
        assert status(token) == 200
