"""stacbuild config: the schema, and a configuration with its defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from stacbuild.config import Config, load_config
from tests.support.cli import configuration, geotiff, stacbuild
from tests.support.paths import ROOT

SCS2 = ROOT / "scs2_config.yml"


def schema() -> jsonschema.Draft202012Validator:
    content = json.loads(stacbuild("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)


def test_the_schema_takes_the_case_study() -> None:
    schema().validate(yaml.safe_load(SCS2.read_text()))


@pytest.mark.parametrize(
    "change",
    [
        {"typo": 1},
        {"datasets": []},
        {"grid_mappings": [{"identifier": "g", "crs": "EPSG:4326", "spatial_res": 1}]},
        {"data_stores": [{"identifier": "a", "store_id": "ftp", "store_params": {}}]},
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(tmp_path: Path, change: dict) -> None:
    content = yaml.safe_load(SCS2.read_text()) | change
    assert not schema().is_valid(content)
    (tmp_path / "c.yml").write_text(yaml.safe_dump(content))
    stacbuild("config", "show", tmp_path / "c.yml", code=2)


def test_what_is_shown_gives_the_same_cubes_again(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "a.tif")
    dataset = {"identifier": "a", "store": "src", "data_id": "a.tif"}
    store = {"identifier": "src", "store_id": "file", "store_params": {"root": "src"}}
    config = configuration(tmp_path, [dataset], [store])
    stacbuild("cube", config)
    shown = stacbuild("config", "show", config).stdout
    content = yaml.safe_load(shown)
    assert content["general"]["zarr_format"] == 3
    assert content["general"]["dask_scheduler"] == "threads"
    assert content["datasets"][0]["open_params"] == {"band_as_variable": False}
    # Under the same name, for cubes are catalogued by that of their configuration.
    config.write_text(shown)
    assert stacbuild("config", "show", config).stdout == shown
    (plan,) = json.loads(stacbuild("plan", config, "--json").stdout)["cubes"]
    assert plan["action"] == "up to date", plan


EVERYTHING = """
general: {zarr_format: 2}
grid_mappings:
  - {spatial_res: 0.1, bbox: [0, 0, 1, 1], crs: EPSG:4326, identifier: g}
preload_datasets:
  - {data_ids: [a.zip], store: z}
data_stores:
  - {identifier: z, store_id: zenodo, store_params: {root: "8154445"}}
  - {identifier: c, store_id: clms, store_params: {}}
  - {identifier: s, store_id: s3, store_params: {root: bucket}}
  - {identifier: t, store_id: stac, store_params: {url: "https://example.org/catalog.json"}}
  - {identifier: h, store_id: https, store_params: {root: example.org/data}}
  - {identifier: f, store_id: file, store_params: {root: x}}
  - {identifier: storage, store_id: memory, store_params: {root: cubes}}
datasets:
  - {identifier: a, store: z, data_id: a.tif}
  - identifier: b
    grid_mapping: g
    variables:
      - {identifier: v, store: t, data_id: c, open_params: {asset_names: [map]}}
      - {data_id: b.zarr, store: s, identifier: w, temporal_resample_params: {frequency: YS}}
"""


def keys_of(model: BaseModel, place: str = "") -> Iterator[str]:
    """Yield every key that the parts of a configuration have, whether it has a value or not."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        yield f"{place}{name}"
        entries = value if isinstance(value, tuple) else (value,)
        for entry in entries:
            if isinstance(entry, BaseModel):
                yield from keys_of(entry, f"{place}{name}.")


def test_everything_is_shown_and_stays_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    config.write_text(EVERYTHING)
    meant = load_config(config)
    api = "http://127.0.0.1:1/api"
    there = {"STACBUILD_ZENODO_API": api, "STACBUILD_CLMS_API": ""}
    shown = stacbuild("config", "show", config, env=there).stdout
    assert stacbuild("config", "show", config, env=there).stdout == shown
    content = yaml.safe_load(shown)
    assert list(content) == list(Config.model_fields)
    assert content["data_stores"][0]["store_params"] == {
        "root": "8154445",
        "cache_store_id": "file",
        "cache_store_params": {"root": "zenodo_cache"},
        "endpoint_url": api,
    }
    assert content["data_stores"][1]["store_params"]["endpoint_url"] == (
        "https://land.copernicus.eu/api"
    )
    # A key is there, with its value or as a comment.
    for key in keys_of(meant):
        *_, name = key.split(".")
        assert re.search(rf"^[ -]*(# ([a-z_]+\.)*)?{name}:", shown, re.M), key
    assert "# access_token: none" in shown
    assert "# spatial_resample_params.agg_methods: `center`" in shown
    # Without that environment, for it is in the file now.
    config.write_text(shown)
    assert stacbuild("config", "show", config, env={"STACBUILD_ZENODO_API": ""}).stdout == shown
    again = load_config(config)
    assert again.datasets == meant.datasets
    assert again.grid_mappings == meant.grid_mappings
    assert again.general == meant.general
    assert [store.key for store in again.data_stores] == [store.key for store in meant.data_stores]


@pytest.mark.parametrize("secret", ["swordfish", "${A_KEY}swordfish${A_KEY}"])
def test_credentials_are_masked_and_references_stay(tmp_path: Path, secret: str) -> None:
    options = {"key": "${A_KEY}", "secret": secret}
    store = {
        "identifier": "s",
        "store_id": "s3",
        "store_params": {"root": "bucket", "storage_options": options},
    }
    dataset = {"identifier": "a", "store": "s", "data_id": "a.zarr"}
    config = configuration(tmp_path, [dataset], [store])
    done = stacbuild("config", "show", config, env={"A_KEY": "open-sesame"})
    assert yaml.safe_load(done.stdout)["data_stores"][1]["store_params"]["storage_options"] == {
        "key": "${A_KEY}",
        "secret": "***",
        "anon": False,
        "requester_pays": False,
    }
    assert "swordfish" not in done.stdout + done.stderr
    # What is shown is no configuration until the credential is put in again.
    config.write_text(done.stdout)
    again = stacbuild("config", "show", config, code=2, env={"A_KEY": "open-sesame"})
    assert "secret: is masked" in again.stderr
    assert "open-sesame" not in done.stdout + done.stderr
