"""Whether a group has arrays is found by reading its members at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import zarr

from stacbuild.formats.zarr_listed import has_arrays


def group(path: Path) -> zarr.Group:
    return zarr.open_group(path, mode="a")


def test_a_group_of_groups_and_files_has_none(tmp_path: Path) -> None:
    group(tmp_path).create_group("inner")
    (tmp_path / "README.txt").write_text("")
    assert not has_arrays(group(tmp_path))
    group(tmp_path).create_array("v", shape=(1,), dtype="uint8")
    assert has_arrays(group(tmp_path))


def test_consolidated_metadata_are_enough(tmp_path: Path) -> None:
    zarr.open_group(tmp_path, mode="w", zarr_format=2).create_array("v", shape=(1,), dtype="uint8")
    zarr.consolidate_metadata(str(tmp_path), zarr_format=2)
    (tmp_path / "v" / ".zarray").unlink()
    assert has_arrays(zarr.open_group(tmp_path, mode="r", zarr_format=2))


def test_the_error_of_a_member_is_raised(tmp_path: Path) -> None:
    group(tmp_path).create_array("v", shape=(1,), dtype="uint8")
    file = tmp_path / "v" / "zarr.json"
    file.write_text(file.read_text().replace('"uint8"', '"uint9"'))
    with pytest.raises(ValueError, match="uint9"):
        has_arrays(group(tmp_path))
