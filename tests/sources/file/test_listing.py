"""A folder is listed as its store has it."""

from __future__ import annotations

from pathlib import Path

from stacbuild.sources.file.listing import entries
from stacbuild.sources.file.store import FileStore
from tests.support.cli import geotiff


def test_data_ids_are_relative_to_the_root(tmp_path: Path) -> None:
    size = geotiff(tmp_path / "maps" / "deep" / "a.tif").stat().st_size
    geotiff(tmp_path / "b.tif")
    geotiff(tmp_path / "maps" / ".hidden.tif")
    geotiff(tmp_path / "maps" / ".hidden" / "a.tif")
    params = {"root": str(tmp_path / "maps")}
    store = FileStore.model_validate(
        {"identifier": "local", "store_id": "file", "store_params": params}
    )
    (found,) = entries(store, None)
    assert (found.data_id, found.type, found.size) == ("deep/a.tif", "GeoTIFF", size)
    assert store.path(found.data_id) == tmp_path / "maps" / "deep" / "a.tif"
    assert list(entries(store, "*.zarr")) == []
