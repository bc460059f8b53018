"""Each provider of scenes, by its own kind of store or by its address, against a stand-in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

import stacbuild
from stacbuild.building import CubeResult, build
from stacbuild.cli.discover import params_of
from stacbuild.config import load_config
from stacbuild.errors import AuthError, ConfigError, StacbuildError
from stacbuild.sources.listing import describe_data, list_data
from stacbuild.sources.stac.providers import PROVIDERS, STORE_IDS
from stacbuild.sources.stac.query import parse
from stacbuild.sources.stac.reader import Reader
from stacbuild.sources.stac.search import find
from stacbuild.sources.stac.store import StacStore
from tests.support.cli import Json, configuration
from tests.support.scenes.pixels import LEFT, TOP, Scene, classes, digital
from tests.support.scenes.providers import (
    Cdse,
    EarthSearch,
    Hls,
    KeyedS3,
    PlanetaryComputer,
    Usgs,
)
from tests.support.stac_documents import Told, item, store, take

KINDS = {
    "stac-earth-search": EarthSearch,
    "stac-pc": PlanetaryComputer,
    "stac-pc-ardc": PlanetaryComputer,
    "stac-hls": Hls,
    "stac-cdse": Cdse,
    "stac-cdse-ardc": Cdse,
    "stac-usgs": Usgs,
}
ASSETS = {
    EarthSearch: ("red", "scl"),
    PlanetaryComputer: ("B04", "SCL"),
    Hls: ("B04", "Fmask"),
    Cdse: ("B04_10m", "SCL_20m"),
    Usgs: ("red", "qa_pixel"),
}


@pytest.fixture
def s3() -> Iterator[KeyedS3]:
    with KeyedS3() as server:
        yield server


def place(api: Any) -> Json:
    """Return what has to be overridden for a stand-in: its address, and that of its files."""
    options = {"storage_options": api.storage_options} if isinstance(api, Cdse | Usgs) else {}
    return {"url": api.root, **options}


def built(path: Path) -> CubeResult:
    """Build the only cube of a configuration."""
    [result] = build(load_config(path), path.parent / "catalogs")
    assert result.status == "COMPLETED", result.message
    return result


def of_red(folder: Path, api: Any, /, **sections: Any) -> Path:
    """Write the configuration of a cube of the red pixels of all scenes, on their own grid."""
    own = {"identifier": "there", "store_id": "stac-pc", "store_params": place(api)}
    dataset = {
        "identifier": "cube",
        "store": "there",
        "data_id": "sentinel-2-l2a?asset_names=B04",
        "grid_mapping": "own",
        "open_params": {"apply_scaling": False},
    }
    bbox = [LEFT, TOP - 600, LEFT + 600, TOP]
    grid = {"identifier": "own", "crs": "EPSG:32632", "bbox": bbox, "spatial_res": 10}
    return configuration(folder, [dataset], [own], grids=[grid], **sections)


def written(folder: Path) -> str:
    """Return the text of all files below a folder but those of arrays."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ""]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(kind: str, tmp_path: Path, s3: KeyedS3) -> Iterator[Any]:
    found = KINDS[kind]
    with found(tmp_path / "api", *([s3] if issubclass(found, Cdse | Usgs) else [])) as server:
        yield server


def test_its_scenes_become_a_cube(kind: str, api: Any, tmp_path: Path) -> None:
    """As xcube-stac's cubes: around a point, in its UTM zone, a variable an asset, by solar day."""
    red, quality = ASSETS[type(api)]
    resolution = 30 if isinstance(api, Usgs | Hls) else 10
    shapes = (200, 200), (200, 200) if resolution == 30 else (100, 100)
    for day in (1, 2):
        values = {red: digital(day, shapes[0]), quality: classes(day, shapes[1])}
        api.add(Scene(f"s{day}", values, f"2020-07-{day:02}T10:00:00Z"))
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    centre = to_degrees.transform(LEFT + 100 * resolution, TOP - 100 * resolution)
    names = [red.partition("_10m")[0], quality.partition("_20m")[0]]
    dataset = {
        "identifier": "cube",
        "store": "there",
        "data_id": api.items[0]["collection"],
        "grid_mapping": None,
        "open_params": {
            "asset_names": names,
            "point": list(centre),
            "bbox_width": 50 * resolution,
            "spatial_res": resolution,
            "time_range": ["2020-07-01", "2020-07-03"],
            "apply_scaling": False,
        },
    }
    own = {"identifier": "there", "store_id": kind, "store_params": place(api)}
    result = built(configuration(tmp_path, [dataset], [own]))
    with xr.open_zarr(result.href, mask_and_scale=False) as cube:
        assert cube["spatial_ref"].attrs["crs_wkt"].count("32632") == 1
        assert [str(day)[:10] for day in cube["time"].values] == ["2020-07-01", "2020-07-02"]
        rows = ((TOP - cube["y"].values) // resolution).astype(int)
        columns = ((cube["x"].values - LEFT) // resolution).astype(int)
        assert rows.size == columns.size == 50
        times = 1 if shapes[1] == shapes[0] else 2
        for number, day in enumerate((1, 2)):
            expected = digital(day, shapes[0])[rows][:, columns]
            assert np.array_equal(cube[names[0]].values[number], expected)
            expected = classes(day, shapes[1])[rows // times][:, columns // times]
            assert np.array_equal(cube[names[1]].values[number], expected)
    text = written(tmp_path / "catalogs")
    assert not any(secret in text for secret in ("SECRET", "sig=", "scenes-secret", "scenes-key"))
    if isinstance(api, Cdse | Usgs):
        assert all(read.signed for read in api.s3.log)
        assert f"s3://{api.bucket}/s1/" in text
    # Files that want a login are not asked for.
    assert not any(each.path.startswith(("/data", "/login")) for each in api.log)
    # One token is enough for harvest and build each.
    assert sum("/token/" in each.path for each in api.log) <= 2


def test_every_kind_is_tried() -> None:
    # Zarr stores, those of EOPF, are in tests/end_to_end/test_eopf.py.
    assert set(KINDS) == set(STORE_IDS) - {"eopf-zarr"}


def test_pages_are_as_large_as_the_provider_likes(tmp_path: Path, s3: KeyedS3) -> None:
    with Cdse(tmp_path, s3) as api:
        first = api.add(Scene("s0", {"B04_10m": digital(0, (8, 8))}))
        api.items += [first | {"id": f"s{number}"} for number in range(1, 130)]
        where = store(provider="cdse", url=api.root, storage_options=api.storage_options)
        with Reader(where) as reader:
            assert len(find(reader, parse("sentinel-2-l2a"))) == 130
    assert [search["limit"] for search in api.searches] == [100, 100]
    assert not any(logged.status == 429 for logged in api.log)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("stac-earth-search", "https://earth-search.aws.element84.com/v1"),
        ("stac-pc", "https://planetarycomputer.microsoft.com/api/stac/v1"),
        ("stac-cdse", "https://stac.dataspace.copernicus.eu/v1"),
        ("stac-usgs", "https://landsatlook.usgs.gov/stac-server"),
    ],
)
def test_the_address_alone_has_the_same_rules(kind: str, address: str) -> None:
    named = StacStore.model_validate(
        {"identifier": "s", "store_id": "stac", "store_params": {"provider": STORE_IDS[kind]}}
    )
    for plain in (store(url=address), store(root=f"{address}/")):
        assert named.location == plain.location == address
        assert named.key == plain.key
        assert named.storage_options == plain.storage_options
        assert named.https_options == plain.https_options
        assert named.anonymous == plain.anonymous


def test_what_each_provider_asks_for() -> None:
    earth, pc, cdse, usgs = (
        store(provider=name) for name in ("earth-search", "planetary-computer", "cdse", "usgs")
    )
    assert (earth.storage_options, earth.https_options) == ({"anon": True}, {})
    service = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
    assert pc.https_options == {"sas_service": service}
    eodata = "https://eodata.dataspace.copernicus.eu"
    assert cdse.storage_options == {
        "anon": True,
        "endpoint_url": eodata,
        "config_kwargs": {"max_pool_connections": 4},
    }
    assert usgs.storage_options == {
        "anon": False,
        "requester_pays": True,
        "client_kwargs": {"region_name": "us-west-2"},
    }
    assert store(url="https://stac.example").https_options == {}
    # Items that were saved from it are signed, too; a copy of the API has a service of its own.
    saved = store(provider="planetary-computer", root="saved/items.json")
    assert saved.https_options == pc.https_options
    copy = store(provider="planetary-computer", url="https://pc.example/stac")
    assert copy.https_options == {"sas_service": "https://pc.example/api/sas/v1/token"}
    assert set(PROVIDERS) == set(STORE_IDS.values())


def test_options_of_the_configuration_go_before() -> None:
    keys = {"key": "k", "secret": "s"}
    eodata = "https://eodata.dataspace.copernicus.eu"
    own = store(provider="cdse", storage_options=keys).storage_options
    four = {"config_kwargs": {"max_pool_connections": 4}}
    assert own == {"anon": False, **keys, "endpoint_url": eodata, **four}
    other = {"endpoint_url": "https://s3.example", **keys}
    for options in (other, keys | {"client_kwargs": {"endpoint_url": "https://s3.example"}}):
        own = store(provider="usgs", storage_options=options).storage_options
        assert own == {"anon": False, "requester_pays": True, **other}
    free = keys | {"requester_pays": False}
    assert "requester_pays" not in store(provider="usgs", storage_options=free).storage_options


def test_a_provider_that_is_not_known_is_refused(tmp_path: Path) -> None:
    own = {"identifier": "there", "store_id": "stac", "store_params": {"provider": "nasa"}}
    with pytest.raises(ConfigError, match=r"provider: .*planetary-computer.*'nasa'"):
        load_config(configuration(tmp_path, [], [own]))


def test_without_keys_it_says_where_they_are_made(tmp_path: Path, s3: KeyedS3) -> None:
    with Cdse(tmp_path, s3) as api:
        api.add(Scene("s1", {"B04_10m": digital(1)}))
        with pytest.raises(AuthError, match=r"s1: s3://eodata/.* wants keys; create S3 keys at"):
            take(store(provider="cdse", url=api.root), "sentinel-2-l2a?asset_names=B04_10m")
    assert s3.log == []


def test_a_requester_without_credentials(
    tmp_path: Path, s3: KeyedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    told = "there are no credentials; set AWS_ACCESS_KEY_ID and"
    with Usgs(tmp_path, s3) as api:
        for number in range(3):
            api.add(Scene(f"s{number}", {"red": digital(1), "nir08": digital(2)}))
        options = {"endpoint_url": s3.url}
        where = store(provider="usgs", url=api.root, storage_options=options)
        with pytest.raises(AuthError, match=told):
            take(where, "landsat-c2l2-sr/s1?asset_names=red")
        # Once: it is the same for all files of all scenes.
        with pytest.raises(AuthError, match=told) as caught:
            take(where, "landsat-c2l2-sr?asset_names=red,nir08")
        assert str(caught.value).count("no credentials") == 1


def test_keys_that_are_refused(tmp_path: Path, s3: KeyedS3) -> None:
    with Cdse(tmp_path, s3) as api:
        api.add(Scene("s1", {"B04_10m": digital(1)}))
        options = api.storage_options | {"key": "another"}
        where = store(provider="cdse", url=api.root, storage_options=options)
        with pytest.raises(AuthError, match=r"s3://eodata/s1/.*B04_10m.jp2 at .*refused") as caught:
            take(where, "sentinel-2-l2a?asset_names=B04_10m")
    assert "scenes-secret" not in str(caught.value)


def test_a_token_that_expires_in_the_middle_of_a_build(tmp_path: Path) -> None:
    with PlanetaryComputer(tmp_path / "api") as api:
        api.add(Scene("s1", {"B04": digital(1)}))

        take(store(provider="planetary-computer", url=api.root), "sentinel-2-l2a?asset_names=B04")
        first = len(api.tokens)
        # From the first request for a blob on, the server's clock is ahead.
        respond = api.respond

        def later(request: Any) -> Any:
            if "sig=" in request.target and len(api.tokens) == first + 1:
                api.ahead = 2 * api.lifetime
            return respond(request)

        api.respond = later  # type: ignore[method-assign]
        result = built(of_red(tmp_path, api))
        with xr.open_zarr(result.href, mask_and_scale=False) as cube:
            assert np.array_equal(cube["B04"].values.squeeze(), digital(1))
        assert any(logged.status == 403 for logged in api.log)


@pytest.mark.slow
def test_signed_files_in_other_processes(tmp_path: Path) -> None:
    with PlanetaryComputer(tmp_path / "api") as api:
        api.add(Scene("s1", {"B04": digital(1)}))
        result = built(of_red(tmp_path, api, general={"dask_scheduler": "processes"}))
        with xr.open_zarr(result.href, mask_and_scale=False) as cube:
            assert np.array_equal(cube["B04"].values.squeeze(), digital(1))


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_file_that_fails_is_named(tmp_path: Path, status: int) -> None:
    with EarthSearch(tmp_path / "api") as api:
        api.add(Scene("s1", {"red": digital(1)}))
        api.fail("/sentinel-cogs/", status=status, times=-1, headers={"Retry-After": "0"})
        with pytest.raises(StacbuildError, match=rf"/sentinel-cogs/s1/B04\.tif: .*{status}"):
            take(store(url=api.root), "sentinel-2-l2a?asset_names=red")


def arrays(folder: Path, name: str) -> xr.DataArray:
    """Write one map as a Zarr store or a NetCDF file."""
    folder.mkdir(parents=True, exist_ok=True)
    values = xr.DataArray(
        digital(3, (40, 50)).astype("float32"),
        dims=("lat", "lon"),
        coords={"lat": np.arange(40)[::-1] * 0.1 + 40.05, "lon": np.arange(50) * 0.1 + 10.05},
        name="map",
    )
    if name.endswith(".zarr"):
        values.to_dataset().to_zarr(folder / name, zarr_format=2, consolidated=True)
    else:
        values.to_dataset().to_netcdf(folder / name, engine="h5netcdf")
    return values


@pytest.mark.parametrize("name", ["a.zarr", "a.nc"])
def test_arrays_are_signed_too(tmp_path: Path, name: str) -> None:
    with PlanetaryComputer(tmp_path / "api") as api:
        expected = arrays(tmp_path / "api" / "account1" / "container", name)
        media = {"a.zarr": "application/vnd+zarr", "a.nc": "application/x-netcdf"}[name]
        asset = {"href": f"{api.url}/account1/container/{name}", "type": media, "roles": ["data"]}
        bbox = [10.0, 40.0, 15.0, 44.0]
        api.items.append(item("one", "", bbox, collection="maps", assets={"map": asset}))
        own = {"identifier": "there", "store_id": "stac-pc", "store_params": place(api)}
        dataset = {"identifier": "cube", "store": "there", "data_id": "maps", "grid_mapping": None}
        path = configuration(tmp_path, [dataset], [own])
        stacbuild.harvest(path)
        # Also of tokens that a process still has.
        api.ahead = 2 * api.lifetime
        result = built(path)
        with xr.open_zarr(result.href) as cube:
            assert np.array_equal(cube["map"].values.squeeze(), expected.values)
        text = written(tmp_path / "catalogs")
        assert "SECRET" not in text


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_file_that_fails_in_the_middle_is_named(tmp_path: Path, status: int) -> None:
    with PlanetaryComputer(tmp_path / "api") as api:
        for day in (1, 2):
            api.add(Scene(f"s{day}", {"B04": digital(day)}, f"2020-07-{day:02}T10:00:00Z"))
        path = of_red(tmp_path, api)
        stacbuild.harvest(path)
        api.fail("/s2/.*sig=", status=status, times=-1, headers={"Retry-After": "0"})
        [result] = build(load_config(path), tmp_path / "catalogs")
        assert result.status == "FAILED"
        message = str(result.message)
        assert message.startswith("item s2-")
        assert "/s2/T06VVN_20190629T212529_B04_10m.tif: " in message
        assert str(status) in message
        assert "sig" not in message


def test_signed_files_are_described_and_validated(tmp_path: Path) -> None:
    with PlanetaryComputer(tmp_path / "api") as api:
        api.add(Scene("s1", {"B04": digital(1)}))
        [entry] = list_data("stac-pc", api.root, match="sentinel-2-l2a/*")
        assert entry.data_id == "sentinel-2-l2a/s1"
        found = describe_data("stac-pc", api.root, "sentinel-2-l2a?asset_names=B04")
        assert found["chunks"] == [32, 32]
        path = of_red(tmp_path, api)
        built(path)
        assert all(check.well for check in stacbuild.validate(path, remote=True))


def test_options_of_the_command_line_are_those_of_stac() -> None:
    assert params_of("stac-cdse", None, True) == params_of("stac", None, True) != {}
    assert params_of("stac-pc", None) == {}


@pytest.mark.parametrize("status", [429, 502])
def test_a_search_that_fails_for_a_moment(tmp_path: Path, status: int) -> None:
    with EarthSearch(tmp_path) as api:
        api.add(Scene("s1", {"red": digital(1)}))
        api.fail("/search", status=status, headers={"Retry-After": "0"})
        [found] = take(store(provider="earth-search", url=api.root), "sentinel-2-l2a")
    assert len(found.items) == 1


def test_the_file_decides_where_hls_states_the_other_hemisphere(tmp_path: Path) -> None:
    with Hls(tmp_path / "api") as api:
        pixels = digital(1)
        api.add(Scene("s1", {"B04": pixels}, top=-999990))["properties"]["proj:epsg"] = 32732
        told = Told()
        where = store(provider="planetary-computer", url=api.root)
        [found] = take(where, "hls2-l30?asset_names=B04", reporter=told)
    assert found.items[0].properties["proj:code"] == "EPSG:32632"
    assert any(
        "EPSG:32732, but the file EPSG:32632, which is used" in line for line in told.warnings
    )
