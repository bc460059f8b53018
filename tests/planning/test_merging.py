"""Times of variables that differ are found by a plan, before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import stacbuild
from tests.support.cli import configuration
from tests.support.own_files import raster

FILES = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}


def planned(path: Path, *, more: Any = None, **merging: Any) -> stacbuild.CubePlan:
    for day in (1, 2, 3):
        raster(path / f"src/a_2020010{day}.tif", seed=day)
    for day in (1, 2):
        raster(path / f"src/b_2020010{day}.tif", seed=day)
    raster(path / "src/dem.tif")
    variables = [
        {"identifier": name, "store": "files", "data_id": data_id}
        for name, data_id in (("a", "a_*.tif"), ("b", "b_*.tif"), ("dem", "dem.tif"))
    ]
    variables[0] |= more or {}
    dataset = {"identifier": "cube", "variables": variables} | merging
    config = stacbuild.load_config(configuration(path, [dataset | {"grid_mapping": None}], [FILES]))
    stacbuild.harvest(config)
    [found] = stacbuild.plan(config)
    return found


def test_times_that_differ_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(stacbuild.StacbuildError) as raised:
        planned(tmp_path)
    error = str(raised.value)
    assert "a has 3 (2020-01-01 to 2020-01-03); b has 2 (2020-01-01 to 2020-01-02)" in error
    assert "xr_merge_params: {join: outer}" in error
    assert "dem" not in error


@pytest.mark.parametrize(
    ("more", "merging"),
    [
        ({}, {"xr_merge_params": {"join": "outer"}}),
        ({"open_params": {"time_range": ["2020-01-01", "2020-01-02"]}}, {}),
    ],
)
def test_times_that_can_be_merged(tmp_path: Path, more: Any, merging: Any) -> None:
    assert planned(tmp_path, more=more, **merging).error is None


def test_variables_with_the_same_times_are_told_together() -> None:
    from stacbuild.planning.merging import differing

    days = pd.date_range("2020-01-01", periods=2)
    said = differing("time", [(("a",), days), (("b",), days[:1]), (("c",), days)])
    assert "a, c has 2" in said
    assert not differing("time", [])
