"""Buckets for cubes, what lies in them, and the asset that leads there."""

from __future__ import annotations

from pathlib import Path

import pystac
import s3fs

from tests.standins.s3 import S3Server
from tests.support.cli import Json


def bucket(server: S3Server, name: str) -> Json:
    # moto wants a bucket to exist; to put something makes it.
    server.put("of-others/kept.txt", b"kept", name)
    options = {"key": "testing", "secret": "testing", "endpoint_url": server.url}
    return {
        "store_id": "s3",
        "store_params": {"root": f"{name}/cubes", "storage_options": options},
    }


def keys(server: S3Server, name: str) -> set[str]:
    """Return what lies in the bucket, down to the names of cubes."""
    fs = s3fs.S3FileSystem(
        key="testing", secret="testing", endpoint_url=server.url, use_listings_cache=False
    )
    return {"/".join(path.split("/")[1:3]) for path in fs.find(name)}


def asset_of(folder: Path, cube: str = "good") -> pystac.Asset:
    item = pystac.Item.from_file(str(folder / "catalogs" / "c" / cube / f"{cube}.json"))
    return item.assets["data"]
