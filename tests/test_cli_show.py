"""stacbuild config: the schema, and a configuration with its defaults."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.cli import configuration, geotiff, stacbuild

SCS2 = Path(__file__).parents[1] / "scs2_config.yml"


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
    }
    assert "swordfish" not in done.stdout + done.stderr
    # What is shown is no configuration until the credential is put in again.
    config.write_text(done.stdout)
    again = stacbuild("config", "show", config, code=2, env={"A_KEY": "open-sesame"})
    assert "secret: is masked" in again.stderr
    assert "open-sesame" not in done.stdout + done.stderr
