"""Metadata of cubes as zarr would write them, without a warning or a filter for the process."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import LocalStore

from stacbuild.building.zarr_metadata import consolidate
from tests.support.paths import ROOT


def test_consolidated_as_zarr_does(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    root.attrs["title"] = "a"
    for path in ("0", "1/deep", "empty"):
        group = root.require_group(path)
        if path != "empty":
            group.create_array("v", data=np.zeros((2, 3)), dimension_names=["y", "x"])
    store = LocalStore(tmp_path / "a.zarr")
    consolidate(store, 3)
    ours = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(store, zarr_format=3)
    assert ours == json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())


def test_no_process_global_filters_in_library_code() -> None:
    package = ROOT / "stacbuild"
    used = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "catch_warnings" in path.read_text() or "simplefilter" in path.read_text()
    ]
    assert [path for path in used if not path.startswith("cli/")] == []
