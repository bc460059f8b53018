"""Consolidated metadata of local Zarr stores that are not those of the arrays any more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.raw_zarr import GRID, Raw, Warned, result, write
from tests.support.zarr_metadata import change, consolidate

NUMBERS = np.arange(120 * 120).reshape(120, 120).astype("float32")


def consolidated(directory: Path, fmt: int, **more: Raw) -> Path:
    path = directory / "src" / "one.zarr"
    variables = {"v": Raw(["lat", "lon"], NUMBERS, {"offset": np.nan}), **GRID, **more}
    write(path, variables, fmt)
    consolidate(path, fmt)
    return path


def warnings_of(directory: Path, **dataset: Any) -> list[str]:
    warned = Warned()
    found = result(directory, dataset, warned=warned)
    assert found.status == "COMPLETED", found.message
    return warned.warnings


@pytest.mark.parametrize("fmt", [2, 3])
class TestWarning:
    def test_none_where_they_agree(self, tmp_path: Path, fmt: int) -> None:
        # "c" is also the folder of an array's chunks in format 3.
        consolidated(tmp_path, fmt, c=Raw(["lat", "lon"], NUMBERS))
        assert warnings_of(tmp_path) == []

    def test_of_an_array_that_came_later(self, tmp_path: Path, fmt: int) -> None:
        path = consolidated(tmp_path, fmt)
        write(tmp_path / "other.zarr", {"late": Raw(["lat", "lon"], NUMBERS)}, fmt)
        shutil.copytree(tmp_path / "other.zarr" / "late", path / "late")
        [said] = warnings_of(tmp_path)
        assert "one.zarr: its consolidated metadata, which are used, lack the array late" in said
        assert "zarr.consolidate_metadata" in said

    def test_of_an_array_that_is_gone(self, tmp_path: Path, fmt: int) -> None:
        path = consolidated(tmp_path, fmt, gone=Raw(["lat", "lon"], NUMBERS))
        shutil.rmtree(path / "gone")
        [said] = warnings_of(tmp_path, open_params={"variable_names": ["v"]})
        assert "name the array gone, which is not there" in said

    def test_of_another_fill_value(self, tmp_path: Path, fmt: int) -> None:
        path = consolidated(tmp_path, fmt)
        change(path / "v", fmt, fill_value=-9999.0)
        [said] = warnings_of(tmp_path)
        assert "differ from those of v in fill_value" in said

    def test_of_another_attribute(self, tmp_path: Path, fmt: int) -> None:
        path = consolidated(tmp_path, fmt)
        file = path / "v" / (".zattrs" if fmt == 2 else "zarr.json")
        document = json.loads(file.read_text())
        (document if fmt == 2 else document["attributes"])["_FillValue"] = -9999.0
        file.write_text(json.dumps(document))
        [said] = warnings_of(tmp_path)
        assert "differ from those of v in _FillValue" in said

    def test_none_where_only_they_can_be_read(self, tmp_path: Path, fmt: int) -> None:
        path = consolidated(tmp_path, fmt)
        (path / "v" / (".zarray" if fmt == 2 else "zarr.json")).write_text("{")
        assert warnings_of(tmp_path) == []
