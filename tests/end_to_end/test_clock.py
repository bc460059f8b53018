"""A clock that is set back: what was written before is later than all that follows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import stacbuild
from tests.support.built import variable_of
from tests.support.cli import configuration
from tests.support.rasters import GRIDS, INSIDE, decoded, noise, write

SOURCES = [{"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}]
DAY = 86400 * 10**9


def set_back(directory: Path, days: int) -> None:
    """Let all files of a folder have been written some days later."""
    for path in [*directory.rglob("*"), directory]:
        status = path.lstat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + days * DAY))


def reason(config: Path) -> Any:
    [job] = stacbuild.plan(stacbuild.load_config(config))
    return job.reason


def check_cube(config: Path, source: Path) -> None:
    """Build, and compare the cube with its source."""
    [built] = stacbuild.build(stacbuild.load_config(config))

    with xr.open_zarr(str(built.href)) as cube:
        np.testing.assert_array_equal(variable_of(cube), decoded(source)[0][INSIDE])


@pytest.mark.parametrize("days", [10, -10])
def test_nothing_counts_as_unchanged_because_it_is_older(tmp_path: Path, days: int) -> None:
    source = write(tmp_path / "src" / "one.tif", noise("uint8"))
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "same"}
    config = configuration(tmp_path, [dataset], SOURCES, grids=GRIDS)
    check_cube(config, source)
    for folder in ("catalogs", "data", "src"):
        set_back(tmp_path / folder, days)
    stacbuild.harvest(stacbuild.load_config(config))
    check_cube(config, source)
    for later in range(2):
        # Of the same size, written before the harvest by its times.
        write(source, noise("uint8", low=1 + later, high=90))
        status = source.stat()
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns - later * 100 * DAY))
        assert "written to since it was harvested" in str(reason(config))
        check_cube(config, source)
        assert "up to date" in str(reason(config)) or not reason(config)


def test_an_item_that_is_edited_before_its_index(tmp_path: Path) -> None:
    source = write(tmp_path / "src" / "one.tif", noise("uint8"))
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "same"}
    config = configuration(tmp_path, [dataset], SOURCES, grids=GRIDS)
    check_cube(config, source)
    set_back(tmp_path / "catalogs", 10)
    assert not reason(config) or "up to date" in str(reason(config))
    [item] = (tmp_path / "catalogs").glob("file-*/one/one.json")
    text = item.read_text()
    item.write_text(text.replace('"uint8"', '"uint9"', 1))
    assert item.read_text() != text
    with pytest.raises(stacbuild.errors.StacbuildError):
        stacbuild.build(stacbuild.load_config(config))
