"""Filters of items: what an API is sent, what is evaluated here, and mistakes in them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stacbuild.errors import NotFoundError, StacbuildError
from stacbuild.progress import reported_to
from stacbuild.sources.stac.filters import Filter
from stacbuild.sources.stac.query import parse
from stacbuild.sources.stac.reader import Reader
from stacbuild.sources.stac.search import find
from tests.standins.server import Request, Response
from tests.support.stac_documents import Told, Web, collection, item, link, root, store

CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"
SEARCH = "https://api.stacspec.org/v1.0.0/item-search"
BASIC = [f"{SEARCH}#filter", f"{CQL2}/cql2-json", f"{CQL2}/basic-cql2"]

TILES = {
    "clear": {"eo:cloud_cover": 5, "platform": "sentinel-2a", "landsat:wrs_path": "193"},
    "cloudy": {"eo:cloud_cover": 80.5, "platform": "sentinel-2a", "landsat:wrs_path": "194"},
    "other": {"eo:cloud_cover": 5, "platform": "sentinel-2b", "title": "50% & more+"},
    "bare": {},
}


class Api(Web):
    """An API that returns all items, whatever it is asked."""

    def __init__(self, folder: Path, conforms: Any) -> None:
        super().__init__(folder)
        self.asked: list[Any] = []
        self.documents["collections/forest"] = collection("forest")
        self.conforms = conforms

    def respond(self, request: Request) -> Response:
        where = {"rel": "search", "type": "application/geo+json", "href": f"{self.url}/search"}
        self.documents[""] = root() | {"conformsTo": self.conforms, "links": [where]}
        self.documents["search"] = {"type": "FeatureCollection", "features": items(), "links": []}
        if request.path == "/search":
            self.asked.append(json.loads(request.body))
        return super().respond(request)


def items() -> list[Any]:
    time = {"datetime": "2018-06-01T00:00:00Z"}
    return [
        item(name, "x.tif", properties=time | fields, collection="forest")
        for name, fields in TILES.items()
    ]


def found(url: str, search: str, **terms: str) -> list[str]:
    parts = "&".join(f"{key}={quote(value)}" for key, value in terms.items())
    with Reader(store(url=url)) as reader:
        return [each.id for each in find(reader, parse(f"{search}?{parts}"))]


CASES = [
    ({"filter": "eo:cloud_cover < 20 AND platform = 'sentinel-2a'"}, ["clear"]),
    ({"filter": "eo:cloud_cover >= 20 OR platform LIKE '%b'"}, ["cloudy", "other"]),
    ({"filter": "eo:cloud_cover IS NULL"}, ["bare"]),
    ({"filter": "title = '50% & more+'"}, ["other"]),
    ({"filter": "datetime <= DATE('2018-06-01') AND eo:cloud_cover > 50"}, ["cloudy"]),
    ({"query": "eo:cloud_cover<20"}, ["clear", "other"]),
    ({"query": "platform=sentinel-2b"}, ["other"]),
    ({"query": "landsat:wrs_path=193"}, ["clear"]),
    ({"query": "eo:cloud_cover=80.5"}, ["cloudy"]),
    ({"query": '{"eo:cloud_cover": {"gte": 5, "lt": 80.5}}'}, ["clear", "other"]),
    ({"query": '{"platform": {"startsWith": "sentinel", "endsWith": "2b"}}'}, ["other"]),
    ({"query": '{"title": {"contains": "% &"}}'}, ["other"]),
    ({"query": '{"eo:cloud_cover": {"in": [5, 6]}, "platform": {"neq": "x"}}'}, ["clear", "other"]),
    ({"query": "eo:cloud_cover<20", "filter": "platform = 'sentinel-2b'"}, ["other"]),
]


@pytest.mark.parametrize(("terms", "expected"), CASES)
def test_static_catalogs_and_apis_that_ignore_it_give_the_same(
    tmp_path: Path, terms: dict[str, str], expected: list[str]
) -> None:
    for conforms in ([SEARCH], [f"{SEARCH}#query"], BASIC, None):
        with Api(tmp_path, conforms) as api:
            assert found(api.url, "forest", **terms) == expected
    with Web(tmp_path) as web:
        web.documents["catalog.json"] = root("forest.json")
        links = [link("item", f"{each['id']}.json") for each in items()]
        web.documents["forest.json"] = collection("forest", *links)
        web.documents |= {f"{each['id']}.json": each for each in items()}
        assert found(f"{web.url}/catalog.json", "forest", **terms) == expected
        web.documents["saved.json"] = {"type": "FeatureCollection", "features": items()}
        assert found(f"{web.url}/saved.json", "forest", **terms) == expected


TEXT = "eo:cloud_cover < 20 AND platform LIKE 's%' AND datetime > DATE('2018-01-01')"
SENT: list[tuple[list[str] | None, Filter, Any]] = [
    (None, Filter(TEXT, ("a=b",)), {}),
    ([SEARCH], Filter(TEXT, ("a=b",)), {}),
    # What basic CQL2 has; a date is the midnight of its day there.
    (BASIC, Filter(TEXT), {"filter": {"op": "<", "args": [{"property": "eo:cloud_cover"}, 20.0]}}),
    (
        ["https://api.stacspec.org/v1.0.0-rc.2/item-search#filter", f"{CQL2}/cql2-text"],
        Filter("eo:cloud_cover < 20 AND a = 'b'"),
        {"filter": "eo:cloud_cover < 20 AND a = 'b'", "filter-lang": "cql2-text"},
    ),
    # Of Earth Search, which has no filter extension.
    (
        [f"{SEARCH}#query"],
        Filter(TEXT + " AND a BETWEEN 1 AND 2", ("eo:cloud_cover>5", "a=07")),
        {
            "query": {
                "eo:cloud_cover": {"gt": 5.0, "lt": 20.0},
                "a": {"eq": "07", "gte": 1, "lte": 2},
            }
        },
    ),
    (BASIC, Filter(None, ("a=b",)), {"filter": {"op": "=", "args": [{"property": "a"}, "b"]}}),
    ([*BASIC, f"{SEARCH}#query"], Filter(None, ("a=b",)), {"query": {"a": {"eq": "b"}}}),
    (
        [*BASIC, f"{CQL2}/advanced-comparison-operators"],
        Filter("NOT a LIKE 's%'"),
        {
            "filter": {
                "op": "not",
                "args": [{"op": "like", "args": [{"property": "a"}, "s%"]}],
            }
        },
    ),
    (
        [*BASIC, f"{CQL2}/temporal-functions"],
        Filter("T_AFTER(datetime, INTERVAL('2018-01-01', '..'))"),
        {},
    ),
]


@pytest.mark.parametrize(("conforms", "condition", "expected"), SENT)
def test_an_api_is_sent_what_it_says_that_it_evaluates(
    tmp_path: Path, conforms: Any, condition: Filter, expected: Any
) -> None:
    with Api(tmp_path, conforms) as api:
        terms = {"filter": condition.text} if condition.text else {}
        query = "".join(f"&query={quote(term)}" for term in condition.terms)
        with Reader(store(url=api.url)) as reader:
            data_id = f"forest?{'&'.join(f'{k}={quote(v)}' for k, v in terms.items())}{query}"
            with contextlib.suppress(NotFoundError):
                find(reader, parse(data_id.replace("?&", "?")))
        (asked,) = api.asked
    if "filter" in expected:
        expected = {"filter-lang": "cql2-json"} | expected
    sent = {key: asked[key] for key in ("query", "filter", "filter-lang") if key in asked}
    assert sent == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("eo:cloud_cover < 20 AND", "at its end: expected a property"),
        ("eo:cloud_cover << 20", r"at character 17, '< 20'"),
        ("eo cloud_cover < 3", r"at character 4, 'cloud_cover < 3': expected an operator"),
        ("(a < 20", "at its end: expected an operator"),
        ("a = 'x", "at character 5"),
        ("foo(a) = 3", r"foo is not a function of CQL2 \(at character 1\)"),
        ("S_INTERSECTS(geometry)", "1 arguments is not"),
        ("a > DATE('2020-13-01')", r"'2020-13-01' is not a date \(at character 11\)"),
        ("a > TIMESTAMP('soon')", "'soon' is not a timestamp"),
        ("T_AFTER(a, INTERVAL('x', '..'))", "'x' is not a time"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 1 1)))", "is not a geometry"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", "Self-intersection"),
        ("10", "neither true nor false"),
        ("a + 1", "neither true nor false"),
    ],
)
def test_a_mistake_in_a_filter_is_one_line_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(StacbuildError, match=reason) as caught:
        parse(f"forest?filter={quote(text)}")
    message = str(caught.value)
    assert message.startswith("forest?filter=")
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "text",
    ["eo:cloud_cover", "<20", "{", "{}x", '{"a": 3}', '{"a": {"like": 3}}', '{"a": {"in": 3}}',
     '{"a": {"contains": 3}}'],
)  # fmt: skip
def test_a_mistake_in_a_query_is_named(text: str) -> None:
    with pytest.raises(StacbuildError, match="query="):
        parse(f"forest?query={quote(text)}")


def test_values_are_percent_encoded_and_plus_is_no_space() -> None:
    query = parse("forest?filter=a = 'x+y=z' AND b > 1 + 2&query=c=1+%26+2")
    assert query.filter == Filter("a = 'x+y=z' AND b > 1 + 2", ("c=1+&+2",))
    with pytest.raises(StacbuildError, match="%26 for an '&'"):
        parse("forest?filter=a = 'x&y'")


def test_a_filter_that_nothing_passes_is_told_why(tmp_path: Path) -> None:
    with Api(tmp_path, BASIC) as api:
        with pytest.raises(NotFoundError, match=r"that passes the filter .*is the number 5 in"):
            found(api.url, "forest", filter="eo:cloud_cover < '20'")
        told = Told()
        with reported_to(told):
            assert found(api.url, "forest", filter="platform = 5 OR eo:cloud_cover = 80.5")
    (line,) = told.warnings
    assert "platform is the text" in line
    assert "and compared with the number 5; such items do not match" in line
