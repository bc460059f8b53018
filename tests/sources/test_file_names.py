"""Dates in names of files, and which names belong together."""

from __future__ import annotations

import pytest

from stacbuild.sources.file_names import alike, dated, first_word, literal, precision, wildcard


@pytest.mark.parametrize(
    ("path", "template", "time"),
    [
        ("ndvi_2020_01.tif", "ndvi_{time:%Y_%m}.tif", "2020-01-01"),
        ("ndvi_202001.tif", "ndvi_{time:%Y%m}.tif", "2020-01-01"),
        ("ndvi.2020-01-31.tif", "ndvi.{time:%Y-%m-%d}.tif", "2020-01-31"),
        ("a.2020.01.31.nc", "a.{time:%Y.%m.%d}.nc", "2020-01-31"),
        ("M.A2020032.h18v04.tif", "M.A{time:%Y%j}.h18v04.tif", "2020-02-01"),
        ("S2_20200131T101112_B02.tif", "S2_{time:%Y%m%dT%H%M%S}_B02.tif", "2020-01-31"),
        ("lai_20100101000000.nc", "lai_{time:%Y%m%d%H%M%S}.nc", "2010-01-01"),
        ("2019/forest.tif", "{time:%Y}/forest.tif", "2019-01-01"),
        ("2019/ndvi_2019_05.tif", "2019/ndvi_{time:%Y_%m}.tif", "2019-05-01"),
        ("p_20200101_20200131.tif", "p_{time:%Y%m%d}_{end_time:%Y%m%d}.tif", "2020-01-01"),
        ("a 01.02.2020.tif", "a {time:%d.%m.%Y}.tif", "2020-02-01"),
        ("Regen_02.2020.tif", "Regen_{time:%m.%Y}.tif", "2020-02-01"),
        ("wind_Jan2020.tif", "wind_{time:%b%Y}.tif", "2020-01-01"),
        ("wind_2020-march.tif", "wind_{time:%Y-%B}.tif", "2020-03-01"),
        ("x_15JUL2020.tif", "x_{time:%d%b%Y}.tif", "2020-07-15"),
        ("x_2020_Jul_15.tif", "x_{time:%Y_%b_%d}.tif", "2020-07-15"),
        ("x_2020_11_15_Jul.tif", "x_{time:%Y_%m_%d}_Jul.tif", "2020-11-15"),
        ("v1.01.2020.tif", "v1.01.{time:%Y}.tif", "2020-01-01"),
        ("tile_01_2020.tif", "tile_01_{time:%Y}.tif", "2020-01-01"),
        ("landec2020.tif", "landec{time:%Y}.tif", "2020-01-01"),
        # Not dates, or not clear ones.
        ("dem_30m.tif", "dem_30m.tif", None),
        ("x_20201301.tif", "x_20201301.tif", None),
        ("x_20200230.tif", "x_20200230.tif", None),
        ("diff_2020_to_2010.tif", "diff_2020_to_2010.tif", None),
        ("x_2020_2021_2022.tif", "x_2020_2021_2022.tif", None),
        ("x_2020_20210101.tif", "x_2020_20210101.tif", None),
        ("tile_12020.tif", "tile_12020.tif", None),
    ],
)
def test_dates_become_fields(path: str, template: str, time: str | None) -> None:
    found = dated(path)
    assert found.template == template
    assert (None if found.time is None else f"{found.time:%Y-%m-%d}") == time


def test_tiles_of_a_product_are_alike() -> None:
    one, other = dated("h18/x_2020_n45e010.tif").template, dated("h19/x_2021_n46e010.tif").template
    assert alike(one) == alike(other)
    assert wildcard([one, other]) == "h*/x_{time:%Y}_n*.tif"
    assert first_word("dem_north.tif") == first_word("dem_south.tif") != first_word("slope.tif")
    assert wildcard(["dem.tif", "old/dem.tif"]) == "**/dem.tif"
    assert wildcard(["a_{time:%Y}.tif", "b_{time:%Y}.tif"]) == "*_{time:%Y}.tif"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("dem_n4*.tif", "dem.tif"),
        ("ndvi_{time:%Y_%m}.tif", "ndvi.tif"),
        ("ndvi/{time:%Y}.tif", "ndvi.tif"),
        ("{time:%Y}/lai_h*.tif", "lai.tif"),
        ("{time:%Y}.tif", ""),
        ("n*e*.tif", "ne.tif"),
    ],
)
def test_a_dataset_is_named_after_what_does_not_differ(pattern: str, name: str) -> None:
    assert literal(pattern) == name


def test_dates_are_shown_as_precisely_as_they_are() -> None:
    assert [
        precision(f"{{time:{form}}}") for form in ("%Y", "%Y_%m", "%b%Y", "%Y%j", "%Y%m%d")
    ] == [
        "%Y",
        "%Y-%m",
        "%Y-%m",
        "%Y-%m-%d",
        "%Y-%m-%d",
    ]
