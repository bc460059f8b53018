"""Zip archives of Zarr stores that hold groups only."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
import zarr.errors

from tests.support.raw_zarr import GRID, Raw, refused, write


@pytest.mark.filterwarnings("ignore:Consolidated metadata:zarr.errors.ZarrUserWarning")
@pytest.mark.parametrize("fmt", [2, 3])
def test_groups_in_a_zip_are_named_with_what_to_do(tmp_path: Path, fmt: int) -> None:
    store = tmp_path / "one.zarr"
    for folder in (store, store / "measurements"):
        zarr.open_group(folder, mode="a", zarr_format=fmt)  # type: ignore[arg-type]
    pixels = Raw(["lat", "lon"], np.zeros((120, 120), "int16"))
    write(store / "measurements" / "r10m", {"v": pixels, **GRID}, fmt)
    zarr.consolidate_metadata(store, zarr_format=fmt)  # type: ignore[arg-type]
    shutil.make_archive(str(tmp_path / "src" / "one.zarr"), "zip", store)
    said = refused(tmp_path, {"data_id": "one.zarr.zip"})
    assert "unpack the zip archive and name one of them: one.zarr/measurements/r10m" in said
