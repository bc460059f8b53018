"""Kinds of store of the notebook's tool: each is read, or refused with the way in that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import stacbuild
from stacbuild.errors import ConfigError
from tests.cli import configuration
from tests.cli import stacbuild as command

CDSE = "store_id: stac with url: https://stac.dataspace.copernicus.eu/v1"
PC = "store_id: stac with url: https://planetarycomputer.microsoft.com/api/stac/v1"
FOLDER = "in a folder, and read that with store_id: file"

# Those of xcube's documentation of its data stores (2026), and older names of some.
REFUSED = {
    "abfs": "store_id: https and root: https://ACCOUNT.blob.core.windows.net/CONTAINER",
    "ccizarr": FOLDER,
    "cciodp": FOLDER,
    "cds": f"cdsapi, save them as Zarr or GeoTIFF {FOLDER}",
    "cmems": f"copernicusmarine, save them as Zarr or GeoTIFF {FOLDER}",
    "eopf-zarr": "store_id: stac with the address of its STAC API",
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
    "stac-cdse": CDSE,
    "stac-cdse-ardc": CDSE,
    "stac-pc": PC,
    "stac-pc-ardc": PC,
    "stac-xcube": "store_id: stac with the same url",
}

DATASET = {"identifier": "cube", "store": "there", "data_id": "one", "grid_mapping": "grid"}


def mistake(folder: Path, store_id: str) -> str:
    """Give the one mistake of a configuration with such a store, as the other tool has it."""
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
    done = command("list", "stac-cdse", "any", code=2)
    assert CDSE in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("store_id", "said"),
    [("zenod", "did you mean 'zenodo'"), ("stacs", "did you mean 'stac'"), ("qq", "there are:")],
)
def test_what_is_no_store_anywhere_is_guessed(tmp_path: Path, store_id: str, said: str) -> None:
    line = mistake(tmp_path, store_id)
    assert f"'{store_id}' is no kind of store" in line
    assert said in line


def test_memory_is_no_source(tmp_path: Path) -> None:
    assert "which takes cubes only" in mistake(tmp_path, "memory")
