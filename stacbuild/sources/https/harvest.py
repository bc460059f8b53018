"""Harvesting of Zarr groups and GeoTIFFs under a URL."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.https.files import listing_of
from stacbuild.sources.https.store import HttpsStore
from stacbuild.sources.matching import Listing
from stacbuild.sources.objects import Location, Objects, harvest_objects
from stacbuild.stac.catalog import Harvest


def harvest(store: HttpsStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids under a URL, as `harvest_objects`."""
    return harvest_objects(_Urls(store), wanted, profiles)


class _Urls(Objects[HttpsStore]):
    def listing(self) -> Listing:
        return listing_of(self.store)

    def locate(self, path: str) -> Location:
        url = f"{self.store.root}/{quote(path)}"
        return Location(url, url)
