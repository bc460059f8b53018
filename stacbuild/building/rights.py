"""Whose data a cube is made of: what it and the collection of cubes take over from the sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.planning.sources import SourceCollection
from stacbuild.stac.extensions import declare_extensions

if TYPE_CHECKING:
    from stacbuild.storage.place import Place

Json = dict[str, Any]

_HERE: Json = {"name": "stacbuild", "roles": ["processor"]}


def rights(collections: Sequence[SourceCollection]) -> Json:
    """Return licence, providers and publications of a cube, as properties of its item.

    The licence is that of all sources, or ``other``. Their hosts are not the cube's. What is to be
    cited are publications of the scientific extension (v1.0.0): a DOI of its own a cube has not.
    """
    publications = [entry for collection in collections for entry in _publications(collection)]
    providers = [entry for collection in collections for entry in collection.providers]
    stated = {
        "license": _one({collection.license for collection in collections}),
        "providers": [*_providers(providers), _HERE],
        "sci:publications": publications,
    }
    return {key: value for key, value in stated.items() if value}


def license_links(collections: Sequence[SourceCollection]) -> list[pystac.Link]:
    """Return the links to the terms of all sources, each once."""
    links = {
        link["href"]: link.get("title") for found in collections for link in found.license_links
    }
    return [pystac.Link("license", href, title=title) for href, title in links.items()]


def cube_collection(place: Place, items: Sequence[pystac.Item]) -> pystac.Collection:
    """Describe the collection that a cube's place is in, from the items of all its cubes."""
    name = place.configuration.name if place.configuration else "a configuration"
    properties = [item.properties for item in items]
    publications = _unique(_all(properties, "sci:publications"))
    collection = pystac.Collection(
        id=place.collection,
        title=f"Cubes of {name}",
        description=f"Analysis-ready cubes that stacbuild made as {name} says.",
        license=_one({each.get("license", "other") for each in properties}),
        keywords=["data cube", "Zarr"],
        providers=[
            pystac.Provider.from_dict(entry)
            for entry in [*_providers(_all(properties, "providers")), _HERE]
        ],
        extent=pystac.Extent.from_items(items),
        extra_fields={"sci:publications": publications} if publications else {},
    )
    terms = {
        link.href: link.title for item in items for link in item.links if link.rel == "license"
    }
    for href, title in terms.items():
        collection.add_link(pystac.Link("license", href, title=title))
    declare_extensions(collection)
    return collection


def _publications(collection: SourceCollection) -> list[Json]:
    first, *others = collection.dois or (None,)
    own = {"doi": first, "citation": collection.citation}
    entries = [{key: value for key, value in own.items() if value}]
    return [entry for entry in [*entries, *({"doi": doi} for doi in others)] if entry]


def _providers(stated: Iterable[Json]) -> list[Json]:
    """Return each provider once, with all of its roles but that of a host."""
    found: dict[str, Json] = {}
    for entry in stated:
        roles = [role for role in entry.get("roles", []) if role != "host"]
        if entry["name"] == _HERE["name"] or (entry.get("roles") and not roles):
            continue
        known = found.setdefault(entry["name"], {**entry, "roles": []})
        known["roles"] += [role for role in roles if role not in known["roles"]]
    return [{key: value for key, value in each.items() if value} for each in found.values()]


def _one(licenses: set[str]) -> str:
    return licenses.pop() if len(licenses) == 1 else "other"


def _all(properties: Iterable[Json], key: str) -> list[Json]:
    return [entry for each in properties for entry in each.get(key, [])]


def _unique(entries: Iterable[Json]) -> list[Json]:
    found: list[Json] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found
