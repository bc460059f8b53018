"""Variables that are named as a coordinate, and cubes of one pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from stacbuild.pictures.preview import preview
from tests.support.cli import configuration
from tests.support.raw_zarr import GRID, Raw, made, write

NUMBERS = np.arange(120 * 120).reshape(120, 120).astype("int16")
STORE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}


@pytest.mark.parametrize("name", ["lat", "lon", "time", "spatial_ref"])
def test_a_variable_is_not_named_as_a_coordinate(tmp_path: Path, name: str) -> None:
    variable = {"identifier": name, "store": "files", "data_id": "one.zarr"}
    path = configuration(tmp_path, [{"identifier": "cube", "variables": [variable]}], [STORE])
    with pytest.raises(ConfigError, match=rf"{name}' is the name of a coordinate") as caught:
        load_config(path)
    assert "datasets.0.variables.0.identifier" in str(caught.value)


def test_other_names_of_coordinates_are_free(tmp_path: Path) -> None:
    variable = {"identifier": "x", "store": "files", "data_id": "one.zarr"}
    path = configuration(tmp_path, [{"identifier": "cube", "variables": [variable]}], [STORE])
    load_config(path)


@pytest.mark.parametrize("east", [10.001, 10.003])
def test_a_picture_of_one_row(tmp_path: Path, east: float) -> None:
    write(tmp_path / "src" / "one.zarr", {"v": Raw(["lat", "lon"], NUMBERS), **GRID})
    cube = made(tmp_path, grid={"bbox": [10.0, 45.0, east, 45.001]})
    preview(cube, None, {}, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0
