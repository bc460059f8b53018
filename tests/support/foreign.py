"""What stacbuild did not make, put where it would write, and a folder's bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

LOCAL = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}


def snapshot(folder: Path) -> dict[str, Any]:
    """Return every file below a folder, with its bytes and where links lead to."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


def foreign_store(path: Path) -> Path:
    xr.Dataset({"mine": ("x", np.arange(5))}).to_zarr(path, zarr_format=2, consolidated=True)
    return path


def a_store(path: Path) -> None:
    foreign_store(path)


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "notes.txt").write_text("mine")


def an_empty_folder(path: Path) -> None:
    path.mkdir(parents=True)


def a_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


def a_link(path: Path) -> None:
    foreign_store(path.with_name("elsewhere.zarr"))
    path.symlink_to("elsewhere.zarr")


def a_link_to_nothing(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("nothing")


KINDS = [
    (a_store, "is a Zarr store that stacbuild did not write"),
    (a_folder, "is a folder that stacbuild did not write"),
    (an_empty_folder, "is an empty folder"),
    (a_file, "is a file that stacbuild did not write"),
    (a_link, "is a symbolic link"),
    (a_link_to_nothing, "is a symbolic link"),
]
