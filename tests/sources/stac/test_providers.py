"""Each provider of scenes, by its own kind of store or by its address, against a stand-in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.errors import AuthError, ConfigError, StacbuildError
from stacbuild.sources.stac.providers import PROVIDERS, STORE_IDS
from stacbuild.sources.stac.store import StacStore
from tests.support.cli import Json, configuration
from tests.support.scenes.pixels import LEFT, TOP, Scene, digital
from tests.support.scenes.providers import (
    Cdse,
    EarthSearch,
    Hls,
    KeyedS3,
    PlanetaryComputer,
    Usgs,
)
from tests.support.stac_documents import store, take

KINDS = {
    "stac-earth-search": EarthSearch,
    "stac-pc": PlanetaryComputer,
    "stac-pc-ardc": PlanetaryComputer,
    "stac-hls": Hls,
    "stac-cdse": Cdse,
    "stac-cdse-ardc": Cdse,
    "stac-usgs": Usgs,
}
RED = {EarthSearch: "red", PlanetaryComputer: "B04", Hls: "B04", Cdse: "B04_10m", Usgs: "red"}


@pytest.fixture
def s3() -> Iterator[KeyedS3]:
    with KeyedS3() as server:
        yield server


def place(api: Any) -> Json:
    """Return what has to be overridden for a stand-in: its address, and that of its files."""
    options = {"storage_options": api.storage_options} if isinstance(api, Cdse | Usgs) else {}
    return {"url": api.root, **options}


def cube_of(folder: Path, kind: str, api: Any, /, **params: Any) -> CubeResult:
    """Build a cube of the red pixels of all scenes on their own grid."""
    own = {"identifier": "there", "store_id": kind, "store_params": place(api) | params}
    resolution = 30 if isinstance(api, Usgs | Hls) else 10
    dataset = {
        "identifier": "cube",
        "store": "there",
        "data_id": f"{api.items[0]['collection']}?asset_names={RED[type(api)]}",
        "grid_mapping": "own",
        "open_params": {"apply_scaling": False},
    }
    grid = {
        "identifier": "own",
        "crs": "EPSG:32632",
        "bbox": [LEFT, TOP - 60 * resolution, LEFT + 60 * resolution, TOP],
        "spatial_res": resolution,
    }
    path = configuration(folder, [dataset], [own], grid_mappings=[grid])
    [result] = build(load_config(path), folder / "catalogs")
    return result


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
    for day in (1, 2):
        values = {RED[type(api)]: digital(day)}
        api.add(Scene(f"s{day}", values, f"2020-07-{day:02}T10:00:00Z"))
    result = cube_of(tmp_path, kind, api)
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(result.href, mask_and_scale=False) as cube:
        assert np.array_equal(cube["cube"].values, [digital(1), digital(2)])
    text = written(tmp_path / "catalogs")
    assert "SECRET" not in text
    assert "scenes-secret" not in text
    assert "sig=" not in text
    if isinstance(api, PlanetaryComputer):
        assert f"{api.url}/" in text
    if isinstance(api, Cdse | Usgs):
        assert all(read.signed for read in api.s3.log)
        assert f"s3://{api.bucket}/s1/" in text
    # Files that want a login are not asked for.
    assert not any(each.path.startswith(("/data", "/login")) for each in api.log)


def test_every_kind_is_tried() -> None:
    assert set(KINDS) == set(STORE_IDS)


def test_pages_are_as_large_as_the_provider_likes(tmp_path: Path, s3: KeyedS3) -> None:
    with Cdse(tmp_path, s3) as api:
        first = api.add(Scene("s0", {"B04_10m": digital(0, (8, 8))}))
        api.items += [first | {"id": f"s{number}"} for number in range(1, 130)]
        where = store(provider="cdse", url=api.root, storage_options=api.storage_options)
        [found] = take(where, "sentinel-2-l2a?asset_names=B04_10m")
    assert len(found.items) == 130
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
    assert cdse.storage_options == {"anon": True, "endpoint_url": eodata}
    assert usgs.storage_options == {
        "anon": False,
        "requester_pays": True,
        "client_kwargs": {"region_name": "us-west-2"},
    }
    assert store(url="https://stac.example").https_options == {}
    assert set(PROVIDERS) == set(STORE_IDS.values())


def test_options_of_the_configuration_go_before() -> None:
    keys = {"key": "k", "secret": "s"}
    eodata = "https://eodata.dataspace.copernicus.eu"
    own = store(provider="cdse", storage_options=keys).storage_options
    assert own == {"anon": False, **keys, "endpoint_url": eodata}
    other = {"endpoint_url": "https://s3.example", **keys}
    for options in (other, keys | {"client_kwargs": {"endpoint_url": "https://s3.example"}}):
        own = store(provider="usgs", storage_options=options).storage_options
        assert own == {"anon": False, "requester_pays": True, **other}
    free = {"anon": True, "requester_pays": False}
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
    with Usgs(tmp_path, s3) as api:
        api.add(Scene("s1", {"red": digital(1)}))
        options = {"endpoint_url": s3.url}
        where = store(provider="usgs", url=api.root, storage_options=options)
        with pytest.raises(AuthError, match="there are no credentials; set AWS_ACCESS_KEY_ID and"):
            take(where, "landsat-c2l2-sr?asset_names=red")


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
        result = cube_of(tmp_path, "stac-pc", api)
        assert result.status == "COMPLETED", result.message
        with xr.open_zarr(result.href, mask_and_scale=False) as cube:
            assert np.array_equal(cube["cube"].values.squeeze(), digital(1))
        assert any(logged.status == 403 for logged in api.log)


def test_signed_files_in_other_processes(tmp_path: Path) -> None:
    with PlanetaryComputer(tmp_path / "api") as api:
        api.add(Scene("s1", {"B04": digital(1)}))
        path = configuration(
            tmp_path,
            [
                {
                    "identifier": "cube",
                    "store": "there",
                    "data_id": "sentinel-2-l2a?asset_names=B04",
                    "grid_mapping": None,
                    "open_params": {"apply_scaling": False},
                }
            ],
            [{"identifier": "there", "store_id": "stac-pc", "store_params": place(api)}],
            general={"dask_scheduler": "processes"},
        )
        [result] = build(load_config(path), tmp_path / "catalogs")
        assert result.status == "COMPLETED", result.message
        with xr.open_zarr(result.href, mask_and_scale=False) as cube:
            assert np.array_equal(cube["cube"].values.squeeze(), digital(1))


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_file_that_fails_is_named(tmp_path: Path, status: int) -> None:
    with EarthSearch(tmp_path / "api") as api:
        api.add(Scene("s1", {"red": digital(1)}))
        api.fail("/sentinel-cogs/", status=status, times=-1, headers={"Retry-After": "0"})
        with pytest.raises(StacbuildError, match=rf"/sentinel-cogs/s1/B04\.tif: .*{status}"):
            take(store(url=api.root), "sentinel-2-l2a?asset_names=red")
