"""What the profile of a collection states, as fields and links."""

from __future__ import annotations

from stacbuild.profiles import CollectionProfile
from stacbuild.sources.stated import stated_fields, stated_links


def test_only_what_is_stated() -> None:
    assert stated_fields(CollectionProfile()) == {}
    assert stated_links(CollectionProfile()) == []


def test_fields_and_links() -> None:
    profile = CollectionProfile.model_validate(
        {
            "license": "CC-BY-4.0",
            "doi": "10.1234/abc",
            "citation": "A. (2020)",
            "license_link": "https://host.example/terms",
        }
    )
    assert stated_fields(profile) == {
        "license": "CC-BY-4.0",
        "sci:doi": "10.1234/abc",
        "sci:citation": "A. (2020)",
    }
    assert [(link.rel, link.target) for link in stated_links(profile)] == [
        ("cite-as", "https://doi.org/10.1234/abc"),
        ("license", "https://host.example/terms"),
    ]
