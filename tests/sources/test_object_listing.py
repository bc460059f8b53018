"""Zarr groups and GeoTIFFs are listed folder by folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
import zarr

from stacbuild.errors import MissingError, StacbuildError
from stacbuild.sources import object_listing
from stacbuild.sources.object_listing import Root, list_objects


def listed(folder: Path, match: str | None = None) -> list[tuple[str, str]]:
    root = Root(fsspec.filesystem("file"), str(folder))
    return sorted((each.data_id, each.type) for each in list_objects(root, match))


def test_what_can_be_read_is_listed_and_nothing_below_it(tmp_path: Path) -> None:
    for name in ("a.TIF", "deep/er/b.tiff", "notes.txt", "c.zarr.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    group = zarr.open_group(tmp_path / "store.zarr", mode="w")
    group.create_group("inner").create_array("v", shape=(1,), dtype="uint8")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert listed(tmp_path) == [
        ("a.TIF", "GeoTIFF"),
        ("c.zarr.zip", "Zarr in a zip"),
        ("deep/er/b.tiff", "GeoTIFF"),
        ("store.zarr/inner", "Zarr"),
    ]
    assert listed(tmp_path, "deep/*") == [("deep/er/b.tiff", "GeoTIFF")]


def test_too_many_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_listing, "_MOST_FOLDERS", 3)
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    with pytest.raises(StacbuildError, match="more than 3 folders"):
        listed(tmp_path)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="gone"):
        listed(tmp_path / "gone")


def test_errors_of_a_server_are_ours() -> None:
    class Broken:
        def ls(self, *_: Any, **__: Any) -> None:
            raise OSError("broken")

    with pytest.raises(StacbuildError, match="s3://bucket: "):
        list(list_objects(Root(Broken(), "bucket", "s3://"), None))
