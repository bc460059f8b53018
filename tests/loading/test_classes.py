"""Classes that several files of one data id state."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

import stacbuild
from tests.support.cli import configuration
from tests.support.own_files import EAST, NORTH, raster

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
GRID = {
    "identifier": "g", "crs": "EPSG:32632", "spatial_res": 10,
    "bbox": [EAST, NORTH - 200, EAST + 600, NORTH],
}  # fmt: skip


def built(folder: Path, names: list[list[str]]) -> xr.DataArray:
    """Return the cube of a tile for each list of names of the values from 0."""
    for column, each in enumerate(names):
        path = folder / "src" / f"t_{column}.tif"
        raster(path, column=column)
        listed = "".join(f"<Category>{name}</Category>" for name in each)
        path.with_name(f"{path.name}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{listed}</CategoryNames>'
            "</PAMRasterBand></PAMDataset>"
        )
    dataset = {"identifier": "c", "store": "files", "data_id": "t_*.tif", "grid_mapping": "g"}
    [made] = stacbuild.build(configuration(folder, [dataset], [SOURCE], grids=[GRID]))
    return xr.open_zarr(made.href, decode_cf=False)["c"]


def test_the_classes_of_all_tiles_are_in_the_cube(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    array = built(tmp_path, [["", "forest"], ["", "Forest", "water"]])
    assert list(array.attrs["flag_values"]) == [1, 2]
    assert array.attrs["flag_meanings"] == "forest water"
    assert "differ" not in caplog.text


def test_names_that_contradict_each_other_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    array = built(tmp_path, [["", "forest", "water"], ["", "water", "forest"]])
    assert array.attrs["flag_meanings"] == "forest water"
    assert "1 is 'forest' in t_0 and 'water' in t_1, and 1 more values" in caplog.text
