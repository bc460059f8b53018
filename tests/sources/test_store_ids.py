"""Kinds of store of the notebook's tool: each is read, or refused with the way in that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import stacbuild
from stacbuild.errors import ConfigError, StacbuildError
from stacbuild.sources.listing import list_data
from stacbuild.sources.stac.store import StacStore
from tests.support.cli import configuration

CDSE = "https://stac.dataspace.copernicus.eu/v1"
PC = "https://planetarycomputer.microsoft.com/api/stac/v1"
FOREST = "EOForestSTAC, too: store_id: stac with url: https://s3.gfz-potsdam.de/"
FOLDER = "in a folder, and read that with store_id: file"

# Those of xcube's documentation of its data stores (2026), and older names of some.
REFUSED = {
    "abfs": "store_id: https and root: https://ACCOUNT.blob.core.windows.net/CONTAINER",
    "ccizarr": FOREST,
    "cciodp": FOREST,
    "cds": f"cdsapi, save them as NetCDF, Zarr or GeoTIFF {FOLDER}",
    "cmems": f"copernicusmarine, save them as NetCDF, Zarr or GeoTIFF {FOLDER}",
    "ccikc": FOREST,
    "esa-cdc": FOREST,
    "esa-cdc-kc": FOREST,
    "esa-cdc-zarr": FOREST,
    "esa-cci": FOLDER,
    "esa-cci-kc": FOLDER,
    "esa-cci-zarr": FOLDER,
    "esa-climate-data-centre": FOLDER,
    "ftp": FOLDER,
    "gedidb": FOLDER,
    "icosdp": FOLDER,
    "reference": "write their Zarr or GeoTIFF files with store_id: https, s3 or file",
    "sentinelhub": FOLDER,
    "sentinelhub-cdse": FOLDER,
    "smos": FOLDER,
    "stac-xcube": "store_id: stac with the same url",
}

DATASET = {"identifier": "cube", "store": "there", "data_id": "one", "grid_mapping": "grid"}


def mistake(folder: Path, store_id: str) -> str:
    """Return the one mistake of a configuration with such a store, as the other tool has it."""
    params = {} if store_id == "memory" else {"key": "swordfish"}
    store = {"identifier": "there", "store_id": store_id, "store_params": params}
    with pytest.raises(ConfigError) as caught:
        stacbuild.load_config(configuration(folder, [DATASET], [store]))
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("store_id", sorted(REFUSED))
def test_a_store_of_the_other_tool_names_the_way_in(tmp_path: Path, store_id: str) -> None:
    line = mistake(tmp_path, store_id)
    assert re.search(rf":\d+:\d+: data_stores\.\d\.store_id: '{store_id}' is not supported; ", line)
    assert REFUSED[store_id] in line
    assert "swordfish" not in line


def test_looking_into_such_a_store_says_the_same() -> None:
    with pytest.raises(ConfigError, match="store_id: stac with the same url") as caught:
        list_data("stac-xcube", "any")
    assert len(str(caught.value).splitlines()) == 1


def read(folder: Path, store_id: str, params: dict[str, Any]) -> StacStore:
    store = {"identifier": "there", "store_id": store_id, "store_params": params}
    config = stacbuild.load_config(configuration(folder, [DATASET], [store]))
    found = config.store("there")
    assert isinstance(found, StacStore)
    return found


def test_two_of_them_are_stac_apis(tmp_path: Path) -> None:
    cdse, pc = read(tmp_path, "stac-cdse", {}), read(tmp_path, "stac-pc", {})
    assert (cdse.location, pc.location) == (CDSE, PC)
    assert cdse.store_id == "stac"
    assert cdse.endpoint_url == "https://eodata.dataspace.copernicus.eu"
    assert cdse.anonymous


@pytest.mark.parametrize("nested", [False, True])
def test_keys_of_such_a_store(tmp_path: Path, nested: bool) -> None:
    keys = {"key": "who", "secret": "swordfish"}
    found = read(tmp_path, "stac-cdse", {"storage_options": keys} if nested else keys)
    assert not found.anonymous
    assert found.storage_options["key"] == "who"
    assert found.endpoint_url == "https://eodata.dataspace.copernicus.eu"
    assert "swordfish" not in repr(found)


def test_its_endpoints_move_by_configuration(tmp_path: Path) -> None:
    options = {"anon": True, "endpoint_url": "http://127.0.0.1:9"}
    params = {"url": "http://127.0.0.1:8/stac", "storage_options": options}
    found = read(tmp_path, "stac-cdse", params)
    assert (found.location, found.endpoint_url) == (params["url"], options["endpoint_url"])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "catalog.json").write_text('{"type": "Catalog", "id": "c", "links": []}')
    with pytest.raises(StacbuildError, match=r"catalog\.json: has no items"):
        list_data("stac-pc", str(tmp_path / "in"))


@pytest.mark.parametrize("params", [[], "x", {"storage_options": 5}, {"url": 5}, {"key": "who"}])
def test_what_is_wrong_with_such_a_store_is_told(tmp_path: Path, params: Any) -> None:
    with pytest.raises(ConfigError, match="store_params"):
        read(tmp_path, "stac-cdse", params)


@pytest.mark.parametrize(
    ("store_id", "said"),
    [("zenod", "did you mean 'zenodo'"), ("stacs", "did you mean 'stac'"), ("qq", "there are:")],
)
def test_what_is_no_store_anywhere_is_guessed(tmp_path: Path, store_id: str, said: str) -> None:
    line = mistake(tmp_path, store_id)
    assert f"'{store_id}' is not a kind of store" in line
    assert said in line


def test_memory_is_no_source(tmp_path: Path) -> None:
    assert "which takes cubes only" in mistake(tmp_path, "memory")
