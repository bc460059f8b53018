"""The demo's catalog, served, in the hands of other people's tools: each test uses the real one."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pystac
import pystac_client
import pytest
import xarray as xr
from pystac_client.warnings import FallbackToPystac, NoConformsTo

from tests.standins.demo import Servers, demo_config
from tests.support.cli import command, stacbuild
from tests.support.stac_schemas import stac_problems

BOX = "-0.70,44.15,-0.66,44.18"
SIZES = {"lat": 120, "lon": 160}
CUBES = ("senf", "gami", "liu", "clms")
GAMI = "collections-GAMI-GAMI_v2.1"
CANOPY = "planet_canopy_cover_30m_v0.1"  # read in place, from Zenodo
TILE = "TCD_2015_020m_E34N23_03035_d05"  # a file of this machine


@dataclass(frozen=True)
class Demo:
    """A folder with a configuration whose cubes are built, and where its catalog is served."""

    directory: Path
    url: str

    @property
    def base(self) -> str:
        return self.url.removesuffix("/catalog.json")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, _running: Servers) -> Iterator[Demo]:
    _running.reset()
    directory = tmp_path_factory.mktemp("scs2")
    stacbuild("cube", demo_config(directory, _running.endpoints), "--bbox", BOX)
    with serving(directory / "catalogs") as url:
        yield Demo(directory, url)


@contextmanager
def serving(catalog: Path) -> Iterator[str]:
    """Serve a catalog as a user does; give the URL of its root."""
    words = command("serve", "--catalog", catalog, "--port", 0)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def items(demo: Demo) -> dict[str, pystac.Item]:
    """All items of the served catalog by id, with absolute hrefs of their assets."""
    root = pystac.Catalog.from_file(demo.url)
    return {item.id: item.make_asset_hrefs_absolute() for item in root.get_items(recursive=True)}


@pytest.fixture(scope="module")
def exported(demo: Demo) -> Path:
    """An export whose hrefs lead to the served catalog."""
    folder = demo.directory / "export"
    catalog = demo.directory / "catalogs"
    stacbuild("export", "--catalog", catalog, "-o", folder, "--base-url", demo.base)
    return folder


@pytest.fixture(scope="module")
def api(exported: Path) -> Iterator[str]:
    """A real STAC API on the export: the one line of the how-to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    program = Path(sys.executable).with_name("rustac")
    files = [*sorted((exported / "collections").glob("*.json")), exported / "items.json"]
    with subprocess.Popen(
        [program, "serve", "--addr", address, *files],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(f"http://{address}/", server)
            yield f"http://{address}/"
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[Any]) -> None:
    for _ in range(300):
        assert server.poll() is None, "rustac serve has ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_pystac_client_walks_the_served_catalog(demo: Demo) -> None:
    with warnings.catch_warnings():
        # A static catalog is no API, which pystac-client remarks.
        warnings.simplefilter("ignore", NoConformsTo)
        warnings.simplefilter("ignore", FallbackToPystac)
        client = pystac_client.Client.open(demo.url)
        found = {
            collection.id: [item.id for item in collection.get_items()]
            for collection in client.get_collections()
        }
        cubes = list(client.get_collection("scs2").get_items())
    assert sorted(found["scs2"]) == sorted(CUBES)
    assert len(found["zenodo-13333034"]) == 9
    assert {"zenodo-8154445", "tree-cover-density-2015"} <= found.keys()
    for cube in cubes:
        sources = [link.get_absolute_href() for link in cube.links if link.rel == "derived_from"]
        for href in sources:
            source = pystac.Item.from_file(href)
            assert source.id in found[source.collection_id]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"collections": ["scs2"]}, set(CUBES)),
        ({"ids": ["gami", CANOPY]}, {"gami", CANOPY}),
        ({"bbox": [-0.69, 44.16, -0.68, 44.17], "collections": ["scs2"]}, set(CUBES)),
        ({"bbox": [10, 10, 11, 11]}, {GAMI}),
        ({"datetime": "1990-01-01/1990-12-31", "collections": ["scs2"]}, {"senf"}),
        ({"datetime": "2019-06-01/2019-06-30", "collections": ["scs2"]}, {"senf", "gami", "liu"}),
    ],
    ids=["collection", "id", "box", "box elsewhere", "time", "another time"],
)
def test_pystac_client_searches_the_export(
    api: str, query: dict[str, Any], expected: set[str]
) -> None:
    client = pystac_client.Client.open(api)
    assert {item.id for item in client.search(**query).items()} == expected


def test_the_api_has_the_collections_as_the_catalog_has_them(api: str, demo: Demo) -> None:
    for found in pystac_client.Client.open(api).get_collections():
        path = demo.directory / "catalogs" / found.id / "collection.json"
        stated = json.loads(path.read_text())
        assert found.title == stated["title"]
        assert found.license == stated["license"]
        assert found.extent.to_dict() == stated["extent"]


def test_what_a_search_finds_opens_as_it_is(api: str) -> None:
    for item in pystac_client.Client.open(api).search(collections=["scs2"]).items():
        with xr.open_dataset(item.assets["data"], engine="stac", chunks={}) as cube:
            assert dict(cube.sizes) | SIZES == dict(cube.sizes)


@pytest.mark.parametrize("cube", CUBES)
def test_xarray_opens_a_cube_by_its_asset_and_by_its_href(
    demo: Demo, items: dict[str, pystac.Item], cube: str
) -> None:
    asset = items[cube].assets["data"]
    assert asset.href == f"{demo.base.rpartition('/')[0]}/data/{cube}.zarr"
    local = xr.open_zarr(demo.directory / "data" / f"{cube}.zarr")
    with local, xr.open_dataset(asset, engine="stac", chunks={}) as by_asset:
        xr.testing.assert_identical(by_asset.load(), local.load())
    with xr.open_zarr(asset.href) as by_href:
        xr.testing.assert_identical(by_href.load(), local)


def test_xarray_opens_the_gami_store(items: dict[str, pystac.Item]) -> None:
    asset = items[GAMI].assets["data"]
    assert asset.href.startswith("http://")
    place = {"latitude": slice(44.18, 44.17), "longitude": slice(-0.70, -0.69)}
    with xr.open_dataset(asset, engine="stac", chunks={}) as by_asset:
        found = by_asset["forest_age"].sel(place).isel(members=0).load()
    with xr.open_zarr(asset.href) as by_href:
        xr.testing.assert_identical(by_href["forest_age"].sel(place).isel(members=0).load(), found)
    assert found.size > 0
    assert found.notnull().any()


# A process of its own: rasterio holds Python's lock while it opens a URL, and the stand-ins answer
# in threads of this one.
LOAD = """
import sys
import numpy as np, odc.geo.geobox, odc.stac, pystac, rasterio, stackstac
from rasterio.windows import from_bounds

bounds = 3_467_400, 2_398_500, 3_468_600, 2_399_700
for path in sys.argv[1:]:
    item = pystac.Item.from_file(path).make_asset_hrefs_absolute()
    with rasterio.open(item.assets["data"].href) as file:
        expected = file.read(1, window=from_bounds(*bounds, file.transform))
    assert np.unique(expected).size > 5
    step = item.properties["proj:transform"][0]

    grid = odc.geo.geobox.GeoBox.from_bbox(bounds, "EPSG:3035", resolution=step, tight=True)
    loaded = odc.stac.load([item], bands=["data"], geobox=grid, chunks={})["data"]
    assert loaded.dtype == item.assets["data"].extra_fields["data_type"]
    np.testing.assert_array_equal(loaded.squeeze("time").load(), expected)

    stack = stackstac.stack(
        item, assets=["data"], epsg=3035, resolution=step, bounds=bounds,
        dtype=np.uint8, fill_value=np.uint8(255), rescale=False,
    )
    np.testing.assert_array_equal(stack.squeeze(("time", "band")).load(), expected)
    print(expected.size)
"""


def test_odc_stac_and_stackstac_load_the_pixels_that_rasterio_reads(
    items: dict[str, pystac.Item],
) -> None:
    chosen = [items[name] for name in (CANOPY, TILE)]
    assert all(item.assets["data"].href.startswith("http://") for item in chosen)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *(str(item.get_self_href()) for item in chosen)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [int(size) >= 1600 for size in done.stdout.split()] == [True, True]


def test_stac_valid_finds_no_problem(demo: Demo, realdata: Path) -> None:
    schemas = realdata.parent / "schemas"
    local = json.loads((schemas / "index.json").read_text())
    words = ["stac-valid", "validate", "--recursive"]
    for uri, path in local.items():
        words += ["--schema-map", uri, str(schemas / path)]
    words[0] = str(Path(sys.executable).with_name(words[0]))
    done = subprocess.run(
        [*words, str(demo.directory / "catalogs" / "catalog.json")],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert '"valid_stac": false' not in done.stdout
    count = sum(1 for _ in (demo.directory / "catalogs").rglob("*.json"))
    assert f"Stac objects passed: {count}/{count}" in done.stdout


def test_the_official_schemas_find_no_problem(demo: Demo) -> None:
    assert stac_problems(demo.directory / "catalogs" / "catalog.json") == []
