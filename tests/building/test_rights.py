"""Licence, providers and citations of a cube are those of its sources."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stacbuild.building.rights import license_links, rights


def source(license_: str = "CC-BY-4.0", **more: Any) -> Any:
    fields = {
        "license": license_,
        "providers": (),
        "dois": (),
        "citation": None,
        "license_links": (),
    }
    return SimpleNamespace(**fields | more)


def test_a_licence_that_all_share() -> None:
    assert rights([source(), source()])["license"] == "CC-BY-4.0"
    assert rights([source(), source("CC0-1.0")])["license"] == "other"


def test_hosts_of_sources_are_no_hosts_of_the_cube() -> None:
    providers = [
        {"name": "TUM", "roles": ["producer", "host"], "url": "https://tum.example"},
        {"name": "Zenodo", "roles": ["host"]},
        {"name": "somebody"},
    ]
    again = [{"name": "TUM", "roles": ["licensor"]}]
    found = rights([source(providers=providers), source(providers=again)])["providers"]
    assert found == [
        {"name": "TUM", "roles": ["producer", "licensor"], "url": "https://tum.example"},
        {"name": "somebody"},
        {"name": "stacbuild", "roles": ["processor"]},
    ]


def test_publications_of_each_source() -> None:
    found = rights([source(dois=("10.1/a", "10.1/b"), citation="A."), source()])
    assert found["sci:publications"] == [{"doi": "10.1/a", "citation": "A."}, {"doi": "10.1/b"}]
    assert "sci:publications" not in rights([source()])


def test_links_to_licences_once() -> None:
    links = ({"href": "https://a.example", "title": "A"}, {"href": "https://a.example"})
    (link,) = license_links([source(license_links=links)])
    assert (link.rel, link.target) == ("license", "https://a.example")
