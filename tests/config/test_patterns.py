"""Patterns of file names."""

from __future__ import annotations

import pytest

from stacbuild.config.patterns import check_braces, compiled, is_pattern


@pytest.mark.parametrize(
    ("text", "path", "period"),
    [
        ("n_{time:%Y}.tif", "n_2020.tif", "2020-01-01T00:00:00 2020-12-31T23:59:59"),
        ("n_{time:%Y_%m}.tif", "n_2020_02.tif", "2020-02-01T00:00:00 2020-02-29T23:59:59"),
        ("n_{time:%Y%m%d}.tif", "n_20201231.tif", "2020-12-31T00:00:00 2020-12-31T23:59:59"),
        ("A{time:%Y%j}.*.tif", "A2020366.h18.tif", "2020-12-31T00:00:00 2020-12-31T23:59:59"),
        ("{time:%Y%m%dT%H}.tif", "20200101T23.tif", "2020-01-01T23:00:00 2020-01-01T23:59:59"),
        ("{time:%d%b%y}.tif", "01mar99.tif", "1999-03-01T00:00:00 1999-03-01T23:59:59"),
        ("{time:%Y}/n_{time:%m}.tif", "2020/n_12.tif", "2020-12-01T00:00:00 2020-12-31T23:59:59"),
        ("{time:%Y/%m}/n.tif", "2020/12/n.tif", "2020-12-01T00:00:00 2020-12-31T23:59:59"),
        ("{time:%Y}_{end_time:%Y}.tif", "2000_2004.tif", "2000-01-01T00:00:00 2004-12-31T23:59:59"),
        ("{start_time:%Y}.tif", "1999.TIF", "1999-01-01T00:00:00 1999-12-31T23:59:59"),
        ("{tile}_{time:%Y}_*.tif", "N50_E10_2020_v2.tif",
         "2020-01-01T00:00:00 2020-12-31T23:59:59"),
        ("**/{tile}_{time:%Y}.tif", "a/b/x_2020.tif", "2020-01-01T00:00:00 2020-12-31T23:59:59"),
    ],
)  # fmt: skip
def test_the_period_of_a_name(text: str, path: str, period: str) -> None:
    found = compiled(text).period(path)
    assert found is not None
    ends = [f"{each:%Y-%m-%dT%H:%M:%S}" for each in (found.start, found.end)]
    assert ends == period.split()


@pytest.mark.parametrize(
    ("text", "path", "matches"),
    [
        ("dem_*.tif", "dem_1.tif", True),
        ("dem_*.tif", "dem_1.TIF", True),
        ("dem_*.tif", "DEM_1.tif", False),
        ("dem_*.tif", "a/dem_1.tif", False),
        ("dem_*.tif", "dem_1.tif.aux.xml", False),
        ("**/dem_*.tif", "dem_1.tif", True),
        ("**/dem_*.tif", "a/b/dem_1.tif", True),
        ("**/dem_*.tif", "a/.cache/dem_1.tif", False),
        ("*.tif", ".hidden.tif", False),
        ("a/**", "a/b/c.tif", True),
        ("?.tif", "ü.tif", True),
        ("x[1]_*.tif", "x[1]_2.tif", True),
        ("t_{tile:03d}.tif", "t_012.tif", True),
        ("t_{tile:03d}.tif", "t_12.tif", False),
        ("t_{tile}.tif", "t_a/b.tif", False),
        ("n_{time:%Y_%m}.tif", "n_2020_1.tif", False),
    ],
)
def test_matching(text: str, path: str, matches: bool) -> None:
    assert compiled(text).matches(path) is matches


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("n_{time:%Y_%m}.tif", "n_2020_13.tif"),
        ("n_{time:%Y%j}.tif", "n_2021366.tif"),
        ("{time:%Y}/{time:%Y%m}.tif", "2020/202101.tif"),
        ("{time:%Y}_{end_time:%Y}.tif", "2020_2019.tif"),
        ("n_{time:%Y}.tif", "n_0000.tif"),
    ],
)
def test_dates_that_no_calendar_has(text: str, path: str) -> None:
    assert compiled(text).matches(path)
    with pytest.raises(ValueError, match=r"\w"):
        compiled(text).period(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{time}.tif", "needs a format"),
        ("{time:%m}.tif", "needs a year"),
        ("{time:%Y%d}.tif", "a day without a month"),
        ("{time:%Y%m%j}.tif", "in two ways"),
        ("{time:%Y%H}.tif", "without day"),
        ("{time:%Q}.tif", "%Q is not known"),
        ("{end_time:%Y}.tif", "no {time}"),
        ("{tile:>3}.tif", "a format that is not known"),
    ],
)
def test_fields_that_cannot_be_read(text: str, message: str) -> None:
    assert is_pattern(text)
    with pytest.raises(ValueError, match=message):
        compiled(text)


@pytest.mark.parametrize("text", ["a.tif", "a[1].tif", "a{1}.tif", "a{}.tif", "a{b c}.tif"])
def test_plain_paths(text: str) -> None:
    assert not is_pattern(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a_{time:%Y%m%d.nc", r"field '\{time:%Y%m%d.nc' .* no closing .* as in \{time:%Y%m%d\}"),
        ("{time_{tile}.tif", r"no closing brace"),
        ("{time:%Y}/{end_time:%m.tif", r"as in \{end_time:%m\}"),
        ("a_{tile:03d.tif", r"as in \{time:%Y_%m\}"),
        ("a_time:%Y%m}.nc", r"no opening brace .* as in \{time:%Y%m\}"),
    ],
)
def test_fields_that_lack_a_brace(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_braces(text)


@pytest.mark.parametrize("text", ["a{1}.tif", "{a.tif", "}a{.tif", "{time:%Y}.nc", "times.tif"])
def test_braces_that_are_part_of_a_name(text: str) -> None:
    check_braces(text)
