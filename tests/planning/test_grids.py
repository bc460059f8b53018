"""Grids of cubes: as configured, cut to a bbox, and not too large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stacbuild.config import Config, load_config
from stacbuild.errors import ConfigError
from stacbuild.geo.bbox import BBox
from stacbuild.geo.grid import Grid
from stacbuild.planning.grids import (
    MAX_SIDE,
    check_pixels,
    configured_grid,
    grid_name,
    known_grid,
)
from stacbuild.stac.catalog import Catalog
from tests.support.cli import configuration

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}


def config(folder: Path, **grid: Any) -> Config:
    entry = {"identifier": "c", "store": "files", "data_id": "a.tif"}
    changed = {"identifier": "mine", "crs": "EPSG:4326", "bbox": [0, 40, 1, 42], "spatial_res": 0.5}
    on_grid = [entry | {"grid_mapping": "mine"}, entry | {"identifier": "d", "grid_mapping": "c"}]
    own = {key: value for key, value in entry.items() if key != "grid_mapping"}
    path = configuration(
        folder, [*on_grid, own | {"identifier": "own"}], [SOURCE], grids=[changed | grid]
    )
    text = path.read_text().replace("- grid_mapping: grid\n  identifier: own", "- identifier: own")
    path.write_text(text)
    return load_config(path)


def grid_of(found: Config, name: str, bbox: BBox | None = None) -> Grid | None:
    return configured_grid(found, found.dataset(name), bbox)


def test_the_grid_of_a_dataset(tmp_path: Path) -> None:
    found = config(tmp_path)
    grid = grid_of(found, "c")
    assert grid is not None
    assert (grid.shape, grid.name) == ((4, 2), "mine")
    assert grid_name(found, found.dataset("c")) == "mine"


def test_a_part_has_the_pixels_of_the_whole(tmp_path: Path) -> None:
    found = config(tmp_path)
    part = grid_of(found, "c", (0.1, 40.6, 0.9, 41.4))
    assert part is not None
    # By pixel centres, from 0.25 to 0.75 and from 40.75 to 41.25.
    assert part.shape == (2, 2)
    assert part.bounds == (0, 40.5, 1, 41.5)
    with pytest.raises(ConfigError, match="contains no pixel centre"):
        grid_of(found, "c", (20, 40, 21, 41))


def test_a_grid_of_a_source_that_is_not_harvested(tmp_path: Path) -> None:
    found = config(tmp_path)
    dataset = found.dataset("own")
    assert configured_grid(found, dataset, None) is None
    assert known_grid(found, dataset, Catalog(tmp_path / "catalogs"), None) is None
    assert grid_name(found, dataset) == "of a.tif"


@pytest.mark.parametrize("size", [1e-8, [1e-8, 0.5]])
def test_too_many_pixels(tmp_path: Path, size: Any) -> None:
    found = config(tmp_path, spatial_res=size)
    # Nothing is counted row by row before that is known.
    grid = grid_of(found, "c", (0.1, 40.6, 0.9, 41.4))
    assert grid is not None
    assert max(grid.shape) > MAX_SIDE
    with pytest.raises(ConfigError, match=r"grid_mappings\.mine: .* pixels are too many"):
        check_pixels(grid)


def test_too_many_pixels_of_a_grid_without_a_mapping(tmp_path: Path) -> None:
    grid = grid_of(config(tmp_path, spatial_res=1e-8), "c")
    assert grid is not None
    with pytest.raises(ConfigError, match=r"^the grid of s2: .* pixels are too many"):
        check_pixels(replace(grid, name="of s2"))
