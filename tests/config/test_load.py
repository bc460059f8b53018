"""A configuration is read from a file or a mapping, with every mistake at once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stacbuild.config.load import config_schema, load_config
from stacbuild.errors import ConfigError
from tests.support.paths import ROOT

SOUND: dict[str, Any] = {
    "datasets": [{"identifier": "one", "store": "local", "data_id": "a.tif"}],
    "data_stores": [
        {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
        {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}},
    ],
}


def test_paths_are_relative_to_the_file_or_the_folder_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text(yaml.safe_dump(SOUND))
    config = load_config(path)
    assert (config.path, config.directory) == (path, tmp_path)
    assert config.store("local").folder == tmp_path / "src"
    assert load_config(path, base_dir="/elsewhere").store("local").folder == Path("/elsewhere/src")
    mapping = load_config(SOUND)
    assert (mapping.path, mapping.directory) == (None, Path.cwd())


def test_every_mistake_has_a_line(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text(
        "datasets:\n"
        "  - {identifier: one, store: gone, data_id: a.tif, color: red}\n"
        "data_stores:\n"
        "  - {identifier: storage, store_id: file, store_params: {root: 7, max_depth: 2}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    said = [line.removeprefix(f"{path}:") for line in caught.value.problems]
    assert [line.partition(": ")[2].partition(": ")[0] for line in said] == [
        "datasets.0.store",
        "datasets.0.color",
        "data_stores.0.store_params.root",
        "data_stores.0.store_params.max_depth",
    ]
    assert [line.partition(":")[0] for line in said] == ["2", "2", "4", "4"]


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty, but has to be a mapping"), ("- a", "is a list, but has")]
)
def test_what_is_no_mapping(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "c.yml")


def test_a_credential_in_the_file_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    store = {
        "identifier": "local",
        "store_id": "zenodo",
        "store_params": {"root": "7", "access_token": "canary-token"},
    }
    content = {**SOUND, "data_stores": [SOUND["data_stores"][0], store]}
    with caplog.at_level(logging.WARNING, "stacbuild.config"):
        config = load_config(content)
    assert "in plain text; write ${NAME} instead" in caplog.text
    assert "canary" not in caplog.text + str(config.resolved())
    assert content["data_stores"][1]["store_params"]["access_token"] == "canary-token"


def test_the_schema_takes_what_is_sound_and_nothing_else() -> None:
    validator = jsonschema.Draft202012Validator(config_schema())
    validator.check_schema(validator.schema)
    validator.validate(yaml.safe_load((ROOT / "scs2_config.yml").read_text()))
    validator.validate(SOUND)
    assert not validator.is_valid({**SOUND, "datasets": []})
    assert not validator.is_valid({**SOUND, "colour": 1})
