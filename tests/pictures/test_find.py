"""A cube is found by its store, its item, or its name in the catalog."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pystac
import pytest

from stacbuild.errors import MissingError
from stacbuild.pictures.find import find_cube


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = pystac.Catalog("stacbuild", "A catalog.")
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    extent = pystac.Extent(
        pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[when, None]])
    )
    collection = pystac.Collection("c", "C", extent)
    root.add_child(collection)
    for name, properties in (("senf", {"cube:variables": {}}), ("map", {})):
        item = pystac.Item(name, None, None, when, properties)
        item.add_asset("data", pystac.Asset(f"../../../data/{name}.zarr"))
        collection.add_item(item)
    root.normalize_and_save(str(tmp_path / "cat"), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path / "cat"


def test_stores_and_files_are_what_they_are(tmp_path: Path, catalog: Path) -> None:
    (tmp_path / "a.nc").write_text("")
    for text in ("https://host.example/a.zarr", str(tmp_path), str(tmp_path / "a.nc")):
        assert find_cube(text, catalog) == text


def test_an_item_leads_to_its_store(tmp_path: Path, catalog: Path) -> None:
    store = str(tmp_path / "data" / "senf.zarr")
    assert find_cube(str(catalog / "c" / "senf" / "senf.json"), catalog) == store
    assert find_cube("senf", catalog) == store


def test_what_is_no_cube_is_named_with_those_there_are(catalog: Path) -> None:
    # An item without variables is of a source.
    with pytest.raises(MissingError, match=r"map: .*senf"):
        find_cube("map", catalog)
