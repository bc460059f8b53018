"""Items of the files of one data id."""

from __future__ import annotations

from typing import Any

import pystac
import pytest

from stacbuild.config.patterns import Period, period_of
from stacbuild.errors import StacbuildError
from stacbuild.progress import reported_to
from stacbuild.sources.dating import TIFF_DATE
from stacbuild.sources.several import Member, Note, combine, warn_of
from stacbuild.stac.item_time import time_fields
from tests.support.zenodo import Told


def member(file: str, period: Period | None, place: int = 0, **properties: Any) -> Member:
    fields = time_fields(period)
    item = pystac.Item(
        "x", None, None, period.start if period else None,
        {"title": "*.tif", "proj:bbox": [place], **fields, **properties},
    )  # fmt: skip
    item.add_asset("data", pystac.Asset(file))
    return Member(item, file, TIFF_DATE if period else "")


def day(number: int) -> Period:
    return period_of({"year": "2020", "month": "01", "day": str(number)})


def test_ids_that_are_alike_get_digests_and_files_their_names() -> None:
    members = [member("ä.tif", None, 0), member("ö.tif", None, 1)]
    combine("*.tif", members)
    assert len({each.item.id for each in members}) == 2
    assert [each.item.properties["title"] for each in members] == ["ä.tif", "ö.tif"]


def test_only_tiles_beside_each_other_are_of_one_time() -> None:
    told = Told()
    with reported_to(told):
        apart = [member("a.tif", day(1), 0), member("b.tif", day(3), 1)]
        combine("*.tif", apart)
        series = [member("a.tif", day(1)), member("b.tif", day(3))]
        combine("*.tif", series)
    starts = [[each.item.properties["start_datetime"][:10] for each in m] for m in (apart, series)]
    assert starts == [["2020-01-01", "2020-01-01"], ["2020-01-01", "2020-01-03"]]
    assert {each.item.properties["end_datetime"][:10] for each in apart} == {"2020-01-03"}
    assert len(told.warned) == 1


def test_files_of_two_kinds_are_refused() -> None:
    zarr = member("b.zarr", None, **{"cube:variables": {}})
    with pytest.raises(StacbuildError, match=r"a\.tif is a raster, and b\.zarr is not"):
        combine("*", [member("a.tif", None), zarr])


@pytest.mark.parametrize(
    ("dimensions", "why"),
    [
        ({"valid_time": {"type": "temporal"}}, r"b\.nc has a dimension of times .*\(valid_time\)"),
        ({"time": {"type": "other", "values": [1, 2]}}, r"b\.nc has a dimension time without"),
    ],
)
def test_dimensions_of_times_that_cannot_be_joined(dimensions: dict[str, Any], why: str) -> None:
    members = [
        member(name, day(number), **{"cube:variables": {}, "cube:dimensions": each})
        for number, (name, each) in enumerate((("a.nc", {}), ("b.nc", dimensions)), 1)
    ]
    with pytest.raises(StacbuildError, match=why):
        combine("*.nc", members)


def test_a_kind_of_note_is_shown_once() -> None:
    told = Told()
    with reported_to(told):
        warn_of([("a", Note("x")), ("b", Note("x")), ("c", Note("y", "k")), ("d", Note("z", "k"))])
    assert told.warned == ["a: x (so 1 more of its files)", "c: y (so 1 more of its files)"]
