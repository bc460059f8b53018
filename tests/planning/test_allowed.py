"""Items refer only to folders and servers that the configuration names."""

from __future__ import annotations

from pathlib import Path

import pystac
import pytest

from stacbuild.config import load_config
from stacbuild.errors import IntegrityError
from stacbuild.planning.allowed import check_items
from tests.support.cli import configuration
from tests.support.items import raster_item

FILES = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
WEB = {
    "identifier": "web", "store_id": "https", "store_params": {"root": "https://8.8.8.8/maps"}
}  # fmt: skip


def item(href: Path | str) -> pystac.Item:
    made = raster_item()
    made.assets["data"].href = str(href)
    return made


def check(folder: Path, store: str, href: Path | str) -> None:
    dataset = {"identifier": "a", "store": "files", "data_id": "a.tif"}
    other = {"identifier": "b", "store": "web", "data_id": "b.tif"}
    config = load_config(configuration(folder, [dataset, other], [FILES, WEB]))
    check_items([item(href)], config, config.store(store), folder / "catalogs")


@pytest.mark.parametrize("place", ["src/a.tif", "catalogs/c/a.png", "data/other.zarr"])
def test_folders_of_the_configuration(tmp_path: Path, place: str) -> None:
    check(tmp_path, "files", tmp_path / place)
    # They may be read from whichever store an item comes.
    check(tmp_path, "web", tmp_path / place)


def test_servers_of_the_store(tmp_path: Path) -> None:
    check(tmp_path, "web", "https://8.8.8.8/maps/b.tif")
    # Another server of the web may have what a catalog refers to.
    check(tmp_path, "web", "https://8.8.4.4/b.tif")


@pytest.mark.parametrize(
    "href",
    [
        "/etc/passwd",
        "http://127.0.0.1/b.tif",
        "http://169.254.169.254/latest/meta-data",
        "/vsicurl/https://8.8.8.8/b.tif",
    ],
)
def test_all_else_is_refused(tmp_path: Path, href: str) -> None:
    for store in ("files", "web"):
        with pytest.raises(IntegrityError, match="refused"):
            check(tmp_path, store, href)
