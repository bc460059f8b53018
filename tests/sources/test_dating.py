"""Times of files from their names and tags."""

from __future__ import annotations

import pytest

from stacbuild.config.patterns import Period
from stacbuild.sources.dating import date_in_name, date_of_tags, date_of_tiff, first_of, shown


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("a/dem_20200131.tif", "2020-01-31"),
        ("2020-01-31.tif", "2020-01-31"),
        ("x_2020_01_31_30m.tif", "2020-01-31"),
        ("ndvi_2020_01.tif", "2020-01-01 to 2020-01-31"),
        ("ndvi_2020_01_30m.tif", "2020-01-01 to 2020-01-31"),
        ("S2A_20200131T103251_T32.zarr", "2020-01-31"),
        ("ü 2020-02.tiff", "2020-02-01 to 2020-02-29"),
    ],
)
def test_one_date_in_a_name(name: str, days: str) -> None:
    found = date_in_name(name)
    assert found is not None
    assert shown(found) == days


@pytest.mark.parametrize(
    "name",
    [
        "lc_2019_v2020.tif", "lc_2019.tif", "N50E010_30m.tif", "tile_12345678.tif", "2020031.tif",
        "a_20200131_20200201.tif", "a_2020_01_2020_12.tif", "v2019_20200131.tif", "x20200131.tif",
        "a_2020_13.tif", "a_20201301.tif", "2020-01/dem.tif", "202001.tif", "a_2020_0131.tif",
        "a_1820_01.tif", "epsg_2056.tif", "", "a_2020-01-31T10-30-00.tif", "a_2020-01-5.tif",
        "a_2020_01_5_x.tif",
    ],
)  # fmt: skip
def test_no_date_or_an_ambiguous_one(name: str) -> None:
    assert date_in_name(name) is None


def test_tags() -> None:
    written = date_of_tiff({"TIFFTAG_DATETIME": "2020:01:31 10:00:00"})
    assert written is not None
    assert written.start.isoformat() == "2020-01-31T10:00:00+00:00"
    for text in ("0000:00:00 00:00:00", "2020", "yesterday", ""):
        assert date_of_tiff({"TIFFTAG_DATETIME": text}) is None
    covered = date_of_tags(
        {"NC_GLOBAL#time_coverage_start": "2020-01-01T02:00:00+02:00",
         "NC_GLOBAL#time_coverage_end": "2020-12-31"}
    )  # fmt: skip
    assert covered is not None
    assert shown(covered) == "2020-01-01 to 2020-12-31"
    assert date_of_tags({"time_coverage_start": "then"}) is None


def test_the_first_statement_counts_and_a_contradiction_is_named() -> None:
    month, day = date_in_name("2020-01.tif"), date_in_name("2020-01-31.tif")
    other = date_in_name("2021-05-05.tif")
    assert first_of([("its name", None)]).period is None
    assert first_of([("its name", month), ("its tag", day)]).note == ""
    dated = first_of([("its name", month), ("its tag", other)])
    assert dated.period == month
    assert isinstance(dated.period, Period)
    assert dated.note == (
        "its name states the time 2020-01-01 to 2020-01-31, but its tag states 2021-05-05; its "
        "name counts"
    )
