"""Paths of vector files: relative to the configuration, with a layer where a file has several."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.config.code import CodeError
from stacbuild.config.regions import check_region, find_region, is_region


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("roi.geojson", True),
        ("areas/roi.GPKG|land", True),
        ("roi.geoparquet", True),
        ("roi.tif", False),
        ("roi.gpkg.zip", False),
        ("roi|x.gpkg", False),
        ("", False),
        ([1, 2, 3, 4], False),
        (None, False),
    ],
)
def test_files_are_recognised_by_their_suffix(value: object, expected: bool) -> None:
    assert is_region(value) is expected


@pytest.mark.parametrize("value", ["roi.shp", "areas/roi.json", "roi.gpkg|a|b", "a..b.geojson"])
def test_paths_below_the_configuration(value: str) -> None:
    assert check_region(value) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("roi.kml", "vector file: .geojson"),
        ("/data/roi.gpkg", "relative to the configuration"),
        ("../roi.gpkg", "without '..'"),
        ("a/../roi.gpkg|land", "without '..'"),
        ("~/roi.gpkg", "relative"),
        ("https://host.example/roi.geojson", "relative"),
    ],
)
def test_other_paths_are_refused(value: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_region(value)


def test_the_file_and_its_layer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "roi.gpkg"
    file.touch()
    assert find_region("a/roi.gpkg|land", tmp_path) == (file, "land")
    assert find_region("a/roi.gpkg|", tmp_path) == (file, None)
    assert find_region("a/roi.gpkg", tmp_path) == (file, None)
    # A layer may have any name.
    assert find_region("a/roi.gpkg|x|y", tmp_path) == (file, "x|y")


def test_files_elsewhere_are_not_found(tmp_path: Path) -> None:
    folder = tmp_path / "configured"
    folder.mkdir()
    (tmp_path / "roi.gpkg").touch()
    (folder / "roi.gpkg").symlink_to(tmp_path / "roi.gpkg")
    (folder / "shapes.shp").mkdir()
    for value in ("roi.gpkg", "none.gpkg", "shapes.shp"):
        with pytest.raises(CodeError, match=value):
            find_region(value, folder)
