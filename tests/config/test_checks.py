"""Names of a configuration lead somewhere and are there once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacbuild.config.checks import problems

Json = dict[str, Any]


def data(**more: Any) -> Json:
    return {
        "datasets": [{"identifier": "one", "store": "local", "grid_mapping": "g"}],
        "data_stores": [
            {"identifier": "storage", "store_id": "file"},
            {"identifier": "local", "store_id": "file"},
        ],
        "grid_mappings": [{"identifier": "g", "crs": "EPSG:4326"}],
        **more,
    }


def found(content: Json, directory: Path | None = None) -> dict[str, str]:
    return {".".join(map(str, each.path)): each.message for each in problems(content, directory)}


def dataset(**more: Any) -> Json:
    return {"identifier": "one", "store": "local", "grid_mapping": "g", **more}


def test_a_sound_one_has_none() -> None:
    assert found(data()) == {}


@pytest.mark.parametrize("content", [{}, {"datasets": 7}, {"datasets": [None, [1]]}])
def test_what_is_of_another_shape_is_left_to_the_models(content: Json) -> None:
    assert found(content) == {}


@pytest.mark.parametrize(
    ("more", "path", "said"),
    [
        (
            {"datasets": [dataset(), dataset(identifier="ONE")]},
            "datasets.1.identifier",
            "'ONE' is the identifier of datasets.0",
        ),
        (
            {"datasets": [dataset(store="locl")]},
            "datasets.0.store",
            "no store 'locl' (did you mean 'local'?)",
        ),
        (
            {"datasets": [dataset(grid_mapping="h")]},
            "datasets.0.grid_mapping",
            "there is no grid 'h'",
        ),
        (
            {"datasets": [dataset(grid_mapping="one")]},
            "datasets.0.grid_mapping",
            "goes in a circle: one -> one",
        ),
        (
            {"preload_datasets": [{"store": "local"}]},
            "preload_datasets.0.store",
            "which is read in place",
        ),
        (
            {"data_stores": [{"identifier": "local", "store_id": "file"}]},
            "data_stores",
            "needs a store with the identifier 'storage'",
        ),
        (
            {
                "data_stores": [
                    {"identifier": "storage", "store_id": "zenodo"},
                    {"identifier": "local", "store_id": "ftp"},
                ]
            },
            "data_stores.0.store_id",
            "a store of kind 'zenodo' cannot take cubes; these can: file, memory, s3",
        ),
        (
            {
                "datasets": [
                    {
                        "identifier": "one",
                        "grid_mapping": "g",
                        "variables": [{"identifier": "lat", "store": "local"}],
                    }
                ]
            },
            "datasets.0.variables.0.identifier",
            "'lat' is the name of a coordinate",
        ),
        (
            {
                "datasets": [dataset(store="storage")],
                "data_stores": [{"identifier": "storage", "store_id": "memory"}],
            },
            "datasets.0.store",
            "which takes cubes only",
        ),
    ],
)
def test_each_mistake_is_at_its_key(more: Json, path: str, said: str) -> None:
    assert said in found(data(**more))[path]


def test_kinds_of_other_tools_are_told_what_to_do() -> None:
    stores = [
        {"identifier": "storage", "store_id": "file"},
        {"identifier": "local", "store_id": "cds"},
        {"identifier": "more", "store_id": "zenod"},
    ]
    said = found(data(data_stores=stores))
    assert "'cds' is not supported; fetch the data with cdsapi" in said["data_stores.1.store_id"]
    assert "did you mean 'zenodo'?" in said["data_stores.2.store_id"]


def custom(**processing: Any) -> Json:
    return data(datasets=[dataset(custom_processing=processing)])


@pytest.mark.parametrize(
    ("processing", "key", "said"),
    [
        (
            {"module_path": "../f", "function_name": "run"},
            "module_path",
            "relative to the configuration",
        ),
        (
            {"module_path": "gone", "function_name": "run"},
            "module_path",
            "there is no file 'gone.py'",
        ),
        (
            {"module_path": "f", "function_name": "rum"},
            "function_name",
            "no function 'rum' in f.py (did you mean 'run'?)",
        ),
        (
            {"module_path": "bad", "function_name": "run"},
            "module_path",
            "bad.py:2 is not valid Python",
        ),
        (
            {"module_path": "f", "function_name": "run", "depends_on": ["x.json"]},
            "depends_on.0",
            "there is no 'x.json'",
        ),
    ],
)
def test_functions_are_looked_for_without_running_anything(
    tmp_path: Path, processing: Json, key: str, said: str
) -> None:
    (tmp_path / "f.py").write_text("raise SystemExit\ndef run(ds): ...\n")
    (tmp_path / "bad.py").write_text("\ndef (")
    assert said in found(custom(**processing), tmp_path)[f"datasets.0.custom_processing.{key}"]


def test_a_function_that_may_be_defined_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("from os.path import *\n")
    assert found(custom(module_path="f.py", function_name="run"), tmp_path) == {}
    said = found(custom(module_path="f", function_name="run"))
    assert "base_dir" in said["datasets.0.custom_processing.module_path"]
