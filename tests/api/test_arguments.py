"""What the public functions take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stacbuild.api.arguments import bbox_of, catalog_of, checked, config_of, name_of, names_of
from stacbuild.config import load_config
from stacbuild.errors import ConfigError, Failures, RemoteError

CONFIG: dict[str, Any] = {
    "datasets": [{"identifier": "one", "store": "storage", "data_id": "a.tif"}],
    "data_stores": [{"identifier": "storage", "store_id": "file", "store_params": {"root": "d"}}],
}


def test_a_name_alone_is_one_name() -> None:
    assert names_of(None) == ()
    assert names_of("senf") == ("senf",)
    assert names_of(iter(["senf", "gami"])) == ("senf", "gami")


def test_one_name_is_no_list() -> None:
    assert name_of("senf") == "senf"
    with pytest.raises(ConfigError, match=r"dataset=\['senf'\]: has to be the name of one"):
        name_of(["senf"])  # type: ignore[arg-type]


def test_a_bbox_is_four_numbers() -> None:
    assert bbox_of(None) is None
    assert bbox_of(np.array([1, 2, 3, 4])) == (1.0, 2.0, 3.0, 4.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bbox",
    [
        (1, 2, 3),
        (1, 2, 3, 4, 5),
        "1,2,3,4",
        "1234",
        ("a", 2, 3, 4),
        (3, 2, 1, 4),
        (1, 4, 3, 2),
        (1, 2, float("nan"), 4),
        (1, 2, float("inf"), 4),
        7,
    ],
)
def test_what_is_no_bbox_is_refused(bbox: Any) -> None:
    with pytest.raises(ConfigError, match=r"^bbox=.*west, south, east, north"):
        bbox_of(bbox)


@pytest.mark.parametrize("config", [None, 5, ["a.yml"]])
def test_what_is_no_configuration_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError, match="has to be a Config, the path of a YAML file"):
        config_of(config)


def test_a_configuration_or_what_it_is_read_from(tmp_path: Path) -> None:
    config = load_config(CONFIG, tmp_path)
    assert config_of(config) is config
    assert config_of(CONFIG).datasets == config.datasets


def test_the_catalog_is_beside_the_configuration(tmp_path: Path) -> None:
    config = load_config(CONFIG, tmp_path)
    assert catalog_of(config, None) == tmp_path / "catalogs"
    assert catalog_of(config, "here") == Path.cwd() / "here"
    assert catalog_of(None, tmp_path) == tmp_path
    with pytest.raises(ConfigError):
        catalog_of(None, None)
    # A wrong configuration is told of even where the folder is given.
    with pytest.raises(ConfigError):
        catalog_of({}, tmp_path)


def test_failures_are_raised_or_returned() -> None:
    failure = ("one", RemoteError("down"))
    results = ["good", "bad"]
    with pytest.raises(Failures):
        checked("raise", lambda: results, lambda _: [failure])
    assert checked("collect", lambda: results, lambda _: [failure]) == results
    assert checked("raise", lambda: results, lambda _: []) == results


def test_nothing_is_run_for_a_word_that_is_not_known() -> None:
    ran: list[str] = []
    errors: Any = "ignore"
    with pytest.raises(ValueError, match="errors='ignore'"):
        checked(errors, lambda: ran, lambda _: ran.append("x") or [])
    assert ran == []
