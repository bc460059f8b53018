"""Find, list and remove the objects of a cube in a bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from stacbuild import progress
from stacbuild.errors import RemoteError
from stacbuild.formats.s3_system import S3FileSystem
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.foreign import CONSOLIDATED, Parts, foreign_keys, is_zarr_key
from stacbuild.storage.on_disk import group_attribute
from stacbuild.storage.output import ATTRIBUTE

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.s3.store import S3Store

FAILURES = (OSError, BotoCoreError)
"""Exceptions of s3fs when a server refuses a request or does not answer."""


def is_free(store: S3Store, name: str) -> bool:
    """Return whether a key does not exist, or cannot be listed."""
    try:
        return not _filesystem(store).exists(f"{store.root}/{name}")
    except FAILURES:
        return True


def holds_cube(store: S3Store, name: str) -> bool:
    """Return whether a Zarr group exists.

    Raises
    ------
    RemoteError
        If the server does not answer.
    """
    fs, path = _filesystem(store), f"{store.root}/{name}"
    try:
        return bool(fs.exists(f"{path}/zarr.json") or fs.exists(f"{path}/.zgroup"))
    except FAILURES as error:
        raise RemoteError(f"{store.s3_url(name)}: cannot be read: {error}") from error


def remove_objects(store: S3Store, name: str, fingerprint: str | None) -> bool:
    """Remove a cube from an S3 store; return whether it could be removed.

    A failure is no error, since credentials that may write but not delete are common.

    Parameters
    ----------
    fingerprint
        Fingerprint of the cube; a cube with another one is left alone. None for a cube that was
        never published.
    """
    fs, path = _filesystem(store), f"{store.root}/{name}"
    try:
        keys = fs.find(path)
        if keys and fingerprint is not None and _fingerprint_of(fs, path) != fingerprint:
            progress.warn(f"{store.s3_url(name)}: is left alone, since it is not the expected cube")
            return True
        own = [key for key in keys if is_zarr_key(key.removeprefix(f"{path}/"))]
        if fingerprint is not None and (parts := _parts_of(fs, path)) is not None:
            foreign = {
                f"{path}/{key}"
                for key in foreign_keys([key.removeprefix(f"{path}/") for key in own], parts)
            }
            own = [key for key in own if key not in foreign]
        # The metadata last, since they identify the rest as stacbuild's.
        for last in (False, True):
            if batch := [key for key in own if (key.rpartition("/")[0] == path) is last]:
                fs.rm(batch)
    except FAILURES:
        return False
    if left := sorted(set(keys) - set(own)):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        progress.warn(f"s3://{left[0]}{more}: is left alone, since stacbuild did not write it")
    return True


def list_foreign(store: S3Store, name: str, item: pystac.Item) -> list[str]:
    """Return the URLs of foreign objects below the cube of an item.

    Nothing if another cube is there, which is not touched.

    Raises
    ------
    RemoteError
        If they cannot be listed.
    """
    fs, path = _filesystem(store), f"{store.root}/{name}"
    try:
        keys = [key.removeprefix(f"{path}/") for key in fs.find(path)]
        found = foreign_keys(sorted(keys), Parts.of_item(item))
        if not found or _fingerprint_of(fs, path) != item.properties.get(FINGERPRINT):
            return []
    except FAILURES as error:
        raise RemoteError(
            f"{store.s3_url(name)}: cannot be listed: {error}; run the same command again, with "
            "credentials that may list and delete"
        ) from error
    return [f"s3://{path}/{key}" for key in found]


def _fingerprint_of(fs: S3FileSystem, path: str) -> str | None:
    return group_attribute(lambda key: bytes(fs.cat_file(f"{path}/{key}")), ATTRIBUTE)


def _parts_of(fs: S3FileSystem, path: str) -> Parts | None:
    for name in CONSOLIDATED:
        try:
            return Parts.of_metadata(json.loads(fs.cat_file(f"{path}/{name}")))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, AttributeError, TypeError):
            return None
    return None


def _filesystem(store: S3Store) -> S3FileSystem:
    return S3FileSystem(**store.storage_options, use_listings_cache=False)
