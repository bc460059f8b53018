"""Harvesting of a bucket: Zarr groups and GeoTIFFs, with https and s3 hrefs."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pystac

from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.matching import Listing
from stacbuild.sources.objects import Location, Objects, harvest_objects
from stacbuild.sources.s3.files import listing_of
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.catalog import Harvest

_SCHEME = "s3"


def harvest(store: S3Store, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the wanted data ids of a bucket, as `harvest_objects`."""
    return harvest_objects(_Bucket(store), wanted, profiles)


class _Bucket(Objects[S3Store]):
    def listing(self) -> Listing:
        return listing_of(self.store)

    def locate(self, path: str) -> Location:
        store = self.store
        return Location(store.s3_url(path), store.https_url(path), store.storage_options)

    def add_access(self, item: pystac.Item, location: Location) -> None:
        """Add the s3:// href and its server (storage 2.0.0, alternate-assets 1.2.0)."""
        scheme = {
            "type": "custom-s3",
            "platform": self.store.server,
            "bucket": self.store.root.partition("/")[0],
        }
        region = (location.options or {}).get("client_kwargs", {}).get("region_name")
        item.properties["storage:schemes"] = {
            _SCHEME: scheme | ({"region": region} if region else {}),
        }
        item.assets["data"].extra_fields |= {
            "alternate:name": urlsplit(location.href).scheme.upper(),
            "storage:refs": [_SCHEME],
            "alternate": {
                "s3": {"href": location.read, "alternate:name": "S3", "storage:refs": [_SCHEME]}
            },
        }
