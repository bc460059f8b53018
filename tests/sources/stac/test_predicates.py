"""CQL2 on items: three-valued logic, types, times, geometries, arrays."""

from __future__ import annotations

from typing import Any

import cql2
import pytest

from stacbuild.sources.stac.filters import Filter
from tests.support.stac_documents import item

ITEM = item(
    "S2A_1",
    "x.tif",
    (7, 48, 8, 49),
    collection="sentinel-2",
    properties={
        "datetime": "2020-06-01T12:00:00+02:00",
        "start_datetime": "2020-06-01T10:00:00Z",
        "end_datetime": "2020-06-03T10:00:00Z",
        "eo:cloud_cover": 10,
        "platform": "Sentinel-2A",
        "s2:processing_baseline": "05.00",
        "s2:mgrs_tile": "32U_A%",
        "id": "inner",
        "a.b": 4,
        "nested": {"a": {"b": 3}},
        "view:off_nadir": None,
        "instruments": ["msi", "oli"],
        "day": "2020-06-01",
        "été": "É",
        "flag": True,
    },
)

POLYGON = "POLYGON((7.5 48.5, 9 48.5, 9 50, 7.5 50, 7.5 48.5))"

# As the reference implementation, the Rust library that parses the text, evaluates them.
AGREED = [
    ("eo:cloud_cover < 20 AND platform = 'Sentinel-2A'", True),
    ('"eo:cloud_cover" >= 10', True),
    ("properties.eo:cloud_cover <> 10", False),
    ("20 > eo:cloud_cover", True),
    ("eo:cloud_cover BETWEEN 5 AND 10", True),
    ("eo:cloud_cover NOT BETWEEN 5 AND 10", False),
    ("eo:cloud_cover * 2 + 1 = 21", True),
    ("eo:cloud_cover IN (1, 10)", True),
    ("platform NOT IN ('Sentinel-2A')", False),
    ("platform LIKE 'Sentinel-2_'", True),
    ("platform LIKE 'sentinel%'", False),
    ("platform LIKE '%.%'", False),
    ("CASEI(platform) LIKE CASEI('SENT%')", True),
    ("ACCENTI(été) = 'E'", True),
    ("s2:processing_baseline >= '04.00'", True),
    ("id = 'S2A_1' AND properties.id = 'inner'", True),
    ("collection = 'sentinel-2'", True),
    ("nested.a.b = 3", True),
    ("flag AND NOT flag = FALSE", True),
    ("view:off_nadir IS NULL AND missing IS NULL AND platform IS NOT NULL", True),
    ("missing < 3", False),
    ("NOT missing < 3", False),
    ("missing < 3 OR eo:cloud_cover < 20", True),
    ("NOT (missing = 1 AND eo:cloud_cover > 50)", True),
    ("missing NOT IN (1, 2)", False),
    ("missing NOT LIKE 'a%'", False),
    ("datetime = TIMESTAMP('2020-06-01T10:00:00.000Z')", True),
    ("datetime < TIMESTAMP('2020-06-01T10:30:00Z')", True),
    ("day < DATE('2020-06-02')", True),
    ("T_AFTER(datetime, DATE('2020-05-31'))", True),
    ("T_INTERSECTS(datetime, INTERVAL('2020-05-01', '2020-07-01'))", True),
    ("T_DURING(datetime, INTERVAL('2020-06-02', '..'))", False),
    (f"S_INTERSECTS(geometry, {POLYGON})", True),
    (f"S_WITHIN(geometry, {POLYGON})", False),
    ("S_INTERSECTS(geometry, BBOX(0, 0, 1, 1))", False),
    ("S_DISJOINT(geometry, POINT(1 1))", True),
    ("A_CONTAINS(instruments, ('msi'))", True),
    ("A_CONTAINEDBY(instruments, ('msi'))", False),
    ("A_OVERLAPS(instruments, ('msi', 'x'))", True),
    ("A_EQUALS(instruments, ('msi', 'oli'))", True),
]

OURS = [
    # A date is all of its day.
    ("datetime >= DATE('2020-06-01') AND datetime <= DATE('2020-06-01')", True),
    ("datetime > DATE('2020-06-01')", False),
    # One instant is written in many ways; a date without DATE() is its midnight.
    ("datetime = '2020-06-01T10:00:00.000Z' AND datetime > '2020-06-01'", True),
    ("T_INTERSECTS(INTERVAL(start_datetime, end_datetime), INTERVAL('..', '2020-06-01'))", True),
    (r"s2:mgrs_tile LIKE '32U\_A\%'", True),
    (r"s2:mgrs_tile LIKE '32U\__\%'", True),
    ('"a.b" = 4', True),
    ("CASEI(platform) IN (CASEI('sentinel-2A'), CASEI('x'))", True),
    ("eo:cloud_cover / 0 > 1", False),
]


@pytest.mark.parametrize(("text", "expected"), AGREED)
def test_an_expression_is_evaluated_as_the_reference_does(text: str, expected: bool) -> None:
    assert Filter(text).takes(ITEM) is expected
    if "missing" not in text or expected:  # it raises for what is unknown
        assert cql2.parse_text(text).matches(ITEM) is expected


@pytest.mark.parametrize(("text", "expected"), OURS)
def test_an_expression_is_evaluated_as_the_standard_says(text: str, expected: bool) -> None:
    assert Filter(text).takes(ITEM) is expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "eo:cloud_cover < '20'",
            'eo:cloud_cover is the number 10 in S2A_1, and compared with the text "20"',
        ),
        ("'msi' = instruments", "instruments is ["),
        ("platform LIKE 3 OR 3 < platform", "platform is the text"),
        ('platform = "Sentinel-2A"', "single quotes: 'Sentinel-2A'"),
    ],
)
def test_a_comparison_that_cannot_hold_is_unknown_and_told(text: str, line: str) -> None:
    for each in (Filter(text), Filter(f"NOT ({text})")):
        assert not each.takes(ITEM)
        assert line in each.differing[0]
    assert not Filter("missing = 3").differing


@pytest.mark.parametrize(
    "changes", [{"geometry": None}, {"geometry": {"type": "Point"}}, {"properties": []}, {}]
)
def test_malformed_items_do_not_match(changes: Any) -> None:
    condition = Filter("S_INTERSECTS(geometry, POINT(7.5 48.5)) AND eo:cloud_cover >= 10")
    assert condition.takes(ITEM | changes) is (not changes)
