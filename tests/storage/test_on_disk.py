"""What is at a path: a cube with a fingerprint, another store, or something else."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
import zarr

from stacbuild.storage.on_disk import attribute_of, fingerprint_of, group_attribute, is_cube
from stacbuild.storage.output import ATTRIBUTE


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_fingerprint_of_a_group(tmp_path: Path, zarr_format: int) -> None:
    path = tmp_path / "a.zarr"
    zarr.open_group(path, mode="w", zarr_format=zarr_format).attrs[ATTRIBUTE] = "abc"
    assert fingerprint_of(path) == "abc"
    assert is_cube(path, "abc")
    assert not is_cube(path, "def")
    assert not is_cube(path, None)
    (tmp_path / "link").symlink_to(path)
    assert not is_cube(tmp_path / "link", "abc")


def test_the_fingerprint_of_a_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs[ATTRIBUTE] = b"abc"
    assert fingerprint_of(tmp_path / "a.nc") == "abc"
    (tmp_path / "b.nc").write_text("no HDF5")
    assert fingerprint_of(tmp_path / "b.nc") == ""


def test_what_is_not_there_and_what_has_none_differ(tmp_path: Path) -> None:
    assert attribute_of(tmp_path / "gone", "x") is None
    assert attribute_of(tmp_path, "x") is None
    zarr.open_group(tmp_path / "a.zarr", mode="w")
    assert attribute_of(tmp_path / "a.zarr", "x") == ""


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"attributes": 7}', b"7", b"[" * 100_000])
def test_damaged_metadata_have_no_attribute(content: bytes) -> None:
    assert group_attribute(lambda _: content, "x") == ""


def test_attributes_of_format_2_stand_in_a_file_of_their_own() -> None:
    files = {".zattrs": json.dumps({"x": 7}).encode()}

    def read(key: str) -> bytes:
        if key not in files:
            raise FileNotFoundError(key)
        return files[key]

    assert group_attribute(read, "x") == "7"
