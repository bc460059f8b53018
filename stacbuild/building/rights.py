"""Licence, providers and citations of cubes and their collection, taken from the sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.planning.sources import SourceCollection
from stacbuild.stac.extensions import declare_extensions

if TYPE_CHECKING:
    from stacbuild.storage.output import Output

Json = dict[str, Any]

_PROCESSOR: Json = {"name": "stacbuild", "roles": ["processor"]}


def rights(collections: Sequence[SourceCollection]) -> Json:
    """Return licence, providers and publications of a cube, as properties of its item.

    The licence is that of all sources, or ``other`` if they differ. Hosts of the sources are not
    hosts of the cube. Citations are publications of the scientific extension (v1.0.0), since a cube
    has no DOI.
    """
    publications = [each for collection in collections for each in _publications(collection)]
    providers = [each for collection in collections for each in collection.providers]
    properties = {
        "license": _common({collection.license for collection in collections}),
        "providers": [*_without_hosts(providers), _PROCESSOR],
        "sci:publications": publications,
    }
    return {key: value for key, value in properties.items() if value}


def license_links(collections: Sequence[SourceCollection]) -> list[pystac.Link]:
    """Return the links to the licences of all sources, each once."""
    links = {
        link["href"]: link.get("title") for found in collections for link in found.license_links
    }
    return [pystac.Link("license", href, title=title) for href, title in links.items()]


def cube_collection(output: Output, items: Sequence[pystac.Item]) -> pystac.Collection:
    """Return the collection of a configuration's cubes, from the items of all of them."""
    name = output.configuration.name if output.configuration else "a configuration"
    properties = [item.properties for item in items]
    publications: list[Json] = []
    for each in _all(properties, "sci:publications"):
        if each not in publications:
            publications.append(each)
    collection = pystac.Collection(
        id=output.collection,
        title=f"Cubes of {name}",
        description=f"Analysis-ready cubes built by stacbuild from {name}.",
        license=_common({each.get("license", "other") for each in properties}),
        keywords=["data cube", "Zarr"],
        providers=[
            pystac.Provider.from_dict(each)
            for each in [*_without_hosts(_all(properties, "providers")), _PROCESSOR]
        ],
        extent=pystac.Extent.from_items(items),
        extra_fields={"sci:publications": publications} if publications else {},
    )
    licenses = {
        link.href: link.title for item in items for link in item.links if link.rel == "license"
    }
    for href, title in licenses.items():
        collection.add_link(pystac.Link("license", href, title=title))
    declare_extensions(collection)
    return collection


def _publications(collection: SourceCollection) -> list[Json]:
    first, *others = collection.dois or (None,)
    main = {"doi": first, "citation": collection.citation}
    publications = [{key: value for key, value in main.items() if value}]
    return [each for each in [*publications, *({"doi": doi} for doi in others)] if each]


def _without_hosts(providers: Iterable[Json]) -> list[Json]:
    """Return each provider once, with all of its roles except ``host``."""
    found: dict[str, Json] = {}
    for each in providers:
        roles = [role for role in each.get("roles", []) if role != "host"]
        if each["name"] == _PROCESSOR["name"] or (each.get("roles") and not roles):
            continue
        known = found.setdefault(each["name"], {**each, "roles": []})
        known["roles"] += [role for role in roles if role not in known["roles"]]
    return [{key: value for key, value in each.items() if value} for each in found.values()]


def _common(licenses: set[str]) -> str:
    return licenses.pop() if len(licenses) == 1 else "other"


def _all(properties: Iterable[Json], key: str) -> list[Json]:
    return [value for each in properties for value in each.get(key, [])]
