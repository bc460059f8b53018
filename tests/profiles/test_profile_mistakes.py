"""Profiles: what is wrong in one, or is for nothing, is said with the place and what there is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.config.reading import read_document
from stacbuild.errors import ConfigError
from stacbuild.profiles import PACKAGE_DIRECTORY, Profiles
from stacbuild.sources import harvest
from tests.support.cli import ages
from tests.support.killing import small
from tests.support.zenodo import Told


def test_profiles_of_the_package_have_no_mistakes() -> None:
    """So they are read by a parser that knows no positions, at every start."""
    paths = sorted(PACKAGE_DIRECTORY.glob("*.yml"))
    assert len(paths) > 3
    for path in paths:
        document = read_document(path)
        assert document.problems == []
        assert document.data == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("source: a\ndata:\n- match: b\n  units: m\n", "4:3: data.0.units", "did you mean 'unit'?"),
        ("source: a\ndatas: []\n", "2:1: datas", "did you mean 'data'?"),
        ("source: a\nx: 1\n", "2:1: x", "there are: collections, data, source"),
        ("data: []\n", "1:1: source", "is missing"),
        ("source: a\ndata:\n- unit: m\n", "3:3: data.0.match", "is missing"),
        ("source: a\ndata: b\n", "2:7: data", "has to be a list, got 'b'"),
        ("source: a\ndata: [b]\n", "2:8: data.0", "has to be a mapping (key: value), got 'b'"),
        ("source: a\ndata:\n- match: b\n  years: {first: x, count: 1}\n",
         "4:18: data.0.years.first", "has to be a whole number, got 'x'"),
        ("source: a\ndata:\n- match: b\n  years: {first: 1, count: 0}\n",
         "4:28: data.0.years.count", "has to be more than 0, got the number 0"),
        ("source: a\ndata:\n- match: b\n  classes: [{value: 1, name: a b}]\n",
         "4:30: data.0.classes.0.name", "digits, - and _, without spaces, got 'a b'"),
        ("source: a\ndata:\n- match: b\n  classes: [{value: 1, name: a}, {value: 1, name: b}]\n",
         "4:12: data.0.classes", "names the value 1 twice: 'a' and 'b'"),
        ("source: a\ndata:\n- match: b\n  start_datetime: soon\n",
         "4:19: data.0.start_datetime", "has to be a date such as 2020-12-31"),
        ("source: a\ndata:\n- match: b\n  variables: {v: {scal: 1}}\n",
         "4:19: data.0.variables.v.scal", "unknown key; there are: bbox, classes, "),
        (
            "source: a\ndata: [{match: b, nodata: none}]\n",
            "2:27: data.0.nodata",
            "a number or a list of numbers, got 'none'",
        ),
        ("", "mine.yml: ", "is empty, but has to be a mapping with source"),
        ("- source\n", "1:1: ", "has to be a mapping with source"),
    ],
)  # fmt: skip
def test_a_mistake(tmp_path: Path, text: str, line: str, said: str) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        Profiles.load([tmp_path])
    (problem,) = raised.value.problems
    assert problem.startswith(str(path))
    assert line in problem
    assert said in problem
    assert "Input should" not in problem


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profiles") / "made"
    ages(folder / "src" / "ages.zarr")
    config = small(folder, "ages.zarr")
    (done,) = build(load_config(config), folder / "catalogs")
    assert done.error is None, done.message
    return folder


def said(folder: Path, profile: dict[str, Any]) -> list[str]:
    """Return what a harvest and a build warn of, which has to be the same."""
    (folder / "profiles").mkdir()
    (folder / "profiles" / "mine.yml").write_text(yaml.safe_dump(profile))
    config, told, again = load_config(folder / "c_config.yml"), Told(), Told()
    harvest(config, folder / "catalogs", reporter=told)
    build(config, folder / "catalogs", reporter=again)
    assert told.warned == again.warned
    return [line.removeprefix(f"{folder / 'profiles' / 'mine.yml'}:") for line in told.warned]


@pytest.mark.parametrize(
    ("profile", "warned"),
    [
        ({"source": "file:src", "data": [{"match": "ages*", "unit": "a"}]}, []),
        ({"source": ["file:*", "s3:*"], "collections": [{"license": "other"}]},
         ["5:3: source.1: 's3:*' matches no store; there are: file:src"]),
        ({"source": "file:scr", "data": [{"match": "ages.zarr"}]},
         ["3:9: source: 'file:scr' matches no store; there are: file:src"]),
        ({"source": "file:src", "data": [{"match": "*.zarr"}, {"match": "age.zarr"}]},
         ["3:10: data.1.match: 'age.zarr' matches no data id; there are: ages.zarr"]),
        ({"source": "file:src", "collections": [{"match": "scr"}]},
         [("2:10: collections.0.match: 'scr' matches no collection; "
          "there are: ages.zarr, file-src")]),
        ({"source": "file:src", "data": [{"match": "*", "variables": {"aeg": {"unit": "a"}}}]},
         ["4:5: data.0.variables.aeg: there is no variable 'aeg'; there are: age"]),
    ],
)  # fmt: skip
def test_an_entry_for_nothing(
    made: Path, tmp_path: Path, profile: dict[str, Any], warned: list[str]
) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "made"))
    found = said(folder, profile)
    assert [line.partition(", spatial_ref")[0] for line in found] == warned
