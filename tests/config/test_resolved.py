"""A configuration with its defaults is a configuration again, that means the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.config.load import load_config
from stacbuild.config.resolved import resolved_yaml
from tests.support.paths import ROOT

TEXT = """
datasets:
  - {identifier: one, store: local, data_id: a.tif, grid_mapping: g}
data_stores:
  - identifier: storage
    store_id: file
    store_params: {root: ../data}
  - identifier: local
    store_id: zenodo
    store_params: {root: "7", access_token: "${TOKEN}"}
grid_mappings:
  - {identifier: g, crs: "EPSG:4326", spatial_res: 1e-1, bbox: [0, 0, 1, 1]}
"""


def _meaning(path: Path) -> tuple[object, ...]:
    config = load_config(path)
    stores = [(store.key, store.cache) for store in config.data_stores]
    content = config.resolved()
    del content["data_stores"]
    return stores, content


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKEN", "canary-token")
    found = tmp_path / "c.yml"
    found.write_text(TEXT)
    return found


def test_what_is_written_stands_as_it_is_written(path: Path) -> None:
    text = resolved_yaml(path)
    assert "root: ../data\n" in text
    assert "access_token: ${TOKEN}\n" in text
    assert "canary" not in text
    assert "tile_size:\n  - 1024\n  - 1024\n" in text
    assert "dask_scheduler: threads\n" in text


def test_what_has_no_value_is_a_comment_that_says_what_it_means(path: Path) -> None:
    lines = resolved_yaml(path).splitlines()
    assert "  # custom_processing: none" in lines
    assert [line for line in lines if line.strip().startswith("# temporal_resample_params: times")]


def test_it_means_the_same(path: Path) -> None:
    again = path.with_name("again.yml")
    again.write_text(resolved_yaml(path))
    assert _meaning(again) == _meaning(path)
    # And says the same of itself.
    assert sorted(resolved_yaml(again).splitlines()) == sorted(resolved_yaml(path).splitlines())


def test_a_credential_of_the_file_is_masked(path: Path) -> None:
    path.write_text(TEXT.replace("${TOKEN}", "canary-plain"))
    text = resolved_yaml(path)
    assert "access_token: '***'" in text
    assert "canary" not in text


def test_the_case_study_means_the_same(tmp_path: Path) -> None:
    path = ROOT / "scs2_config.yml"
    again = tmp_path / "scs2_config.yml"
    again.write_text(resolved_yaml(path))
    (tmp_path / "modify_dataset.py").write_text((ROOT / "modify_dataset.py").read_text())
    assert _meaning(again)[1] == _meaning(path)[1]
