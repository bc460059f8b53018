"""STAC fields and links from the profile of a collection."""

from __future__ import annotations

from typing import Any

import pystac

from stacbuild.profiles import CollectionProfile

Json = dict[str, Any]


def stated_fields(profile: CollectionProfile) -> Json:
    """Return licence, providers, keywords, DOI, citation and publications in a profile.

    Common metadata of STAC 1.1 and the scientific extension 1.0.0, for items and collections.
    """
    known = profile.model_dump(mode="json", exclude_none=True)
    fields = {
        "license": known.get("license"),
        "providers": known.get("providers"),
        "keywords": known.get("keywords"),
        "sci:doi": known.get("doi"),
        "sci:citation": known.get("citation"),
        "sci:publications": known.get("publications"),
    }
    return {name: value for name, value in fields.items() if value}


def stated_links(profile: CollectionProfile) -> list[pystac.Link]:
    """Return the links to the DOI and to the terms of use in a profile."""
    links = []
    if profile.doi:
        links.append(
            pystac.Link("cite-as", f"https://doi.org/{profile.doi}", "text/html", profile.doi)
        )
    if profile.license_link:
        links.append(pystac.Link("license", profile.license_link, "text/html", "Terms of use"))
    return links
