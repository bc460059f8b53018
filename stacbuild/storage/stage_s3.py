"""A cube written to a bucket under a key of its own, which its item then names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import s3fs
from botocore.exceptions import BotoCoreError
from zarr.storage import FsspecStore

from stacbuild import progress
from stacbuild.errors import ConflictError, RemoteError
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.formats import whole
from stacbuild.storage.journal import Journal, is_token
from stacbuild.storage.ownership import ATTRIBUTE, Place, check_place
from stacbuild.storage.staging import Output, Staging, go_on, local_errors
from stacbuild.storage.strangers import CONSOLIDATED, Parts, is_zarr_key, strange_keys

if TYPE_CHECKING:
    import pystac


@contextmanager
def stage_s3(output: Output, storage: S3Store) -> Iterator[Staging]:
    """Open a place for a cube in a bucket; see `stacbuild.storage.places.stage`."""
    place = output.place

    # An object store cannot rename: each build has a key of its own, and the item names it.
    def is_free(token: str) -> bool:
        try:
            return not bucket.exists(f"{storage.root}/{output.identifier}-{token}.zarr")
        except (OSError, BotoCoreError):
            # What cannot be listed cannot be written either, which is told in a moment.
            return True

    bucket = s3fs.S3FileSystem(**storage.storage_options, use_listings_cache=False)
    check_place(place, locked=True)
    _check_strangers(place, storage)
    found = Journal.read(output.journal)
    if found is not None and (
        found.done or found.removing or found.fingerprint != output.fingerprint
    ):
        # What another configuration left, or only its end was missing.
        mend_s3(place, storage)
        found = None
    with local_errors(output.journal):
        journal = go_on(output, found, is_free)
    name, form = _key(place, journal), output.form
    path = f"{storage.root}/{name}"
    fs = s3fs.S3FileSystem(**storage.storage_options, asynchronous=True, skip_instance_cache=True)

    def commit() -> None:
        check_place(output.place, locked=True)
        before, item = _public(place, storage), output.item()
        if before != name and item is not None:
            journal.commit(before, item.properties.get(FINGERPRINT))
        else:
            journal.commit(journal.replaces, journal.replaced)

    done = False
    try:
        yield Staging(
            FsspecStore(fs, path=f"{path}/{form.inner}".rstrip("/")),
            FsspecStore(fs, path=path),
            storage.https_url(f"{name}/{form.public}".rstrip("/")),
            storage.https_url(name),
            commit,
            journal.started,
            journal,
            s3_whole=f"s3://{path}",
        )
        done = True
    except (OSError, BotoCoreError) as error:
        raise RemoteError(f"{storage.s3_url(name)}: cannot be written: {error}") from error
    finally:
        if done:
            _finish(storage, journal)
        elif not any(journal.finished.values()) and _public(place, storage) != name:
            # No item names it, so what cannot be removed is litter and not a cube.
            remove_s3(storage, name, None)
            journal.remove()


def _check_strangers(place: Place, storage: S3Store) -> None:
    """Refuse to replace a cube below whose key lies what stacbuild did not write."""
    item, name = place.item(), _public(place, storage)
    if item is None or name is None:
        return
    try:
        found = strangers_s3(storage, name, item)
    except RemoteError:
        # What cannot be listed is not removed either.
        return
    if found:
        raise ConflictError(
            f"{found[0]}: is in the cube that is to be replaced, yet stacbuild did not write it; "
            "move it away"
        )


def own_key(storage: S3Store, identifier: str, item: pystac.Item) -> str | None:
    """Return the key of the cube that an item names, if a build gave it to this cube.

    An item can be edited, and what it names is removed once it is replaced.
    """
    href, there = whole(item).href, storage.https_url("")
    named = href.removeprefix(there).strip("/") if href.startswith(there) else ""
    token = named.removeprefix(f"{identifier}-").removesuffix(".zarr")
    return named if is_token(token) and named == f"{identifier}-{token}.zarr" else None


def mend_s3(place: Place, storage: S3Store) -> None:
    """Remove what an earlier run left, but for the cube that the item names."""
    found = Journal.read(place.journal)
    if found is None:
        return
    if found.done or _public(place, storage) == _key(place, found):
        _finish(storage, found)
    elif found.removing:
        _remove_previous(storage, str(found.name), found.removing)
        found.remove()
    else:
        remove_s3(storage, _key(place, found), None)
        found.remove()


def _key(place: Place, journal: Journal) -> str:
    return f"{place.identifier}-{journal.token}.zarr"


def _public(place: Place, storage: S3Store) -> str | None:
    item = place.item()
    return own_key(storage, place.identifier, item) if item else None


def _finish(storage: S3Store, journal: Journal) -> None:
    journal.finish()
    if journal.replaces:
        _remove_previous(storage, journal.replaces, journal.replaced)
    journal.remove()


def _remove_previous(storage: S3Store, name: str, fingerprint: str | None) -> None:
    if not remove_s3(storage, name, fingerprint):
        old = storage.https_url(name)
        progress.warn(f"{old}: could not delete the previous cube; remove it yourself")


def remove_s3(storage: S3Store, name: str, fingerprint: str | None) -> bool:
    """Remove a cube under *name* in an S3 store; return whether nothing of it is left there.

    Not an error of its own: credentials that may write but not delete are common.

    Parameters
    ----------
    fingerprint
        Of the cube; what bears another one is left alone. None for what was never published.
    """
    fs = s3fs.S3FileSystem(**storage.storage_options, use_listings_cache=False)
    path = f"{storage.root}/{name}"
    try:
        keys = fs.find(path)
        if keys and fingerprint is not None and _fingerprint_of(fs, path) != fingerprint:
            progress.warn(f"{storage.s3_url(name)}: is left alone, as it is not the cube that was")
            return True
        own = [key for key in keys if is_zarr_key(key.removeprefix(f"{path}/"))]
        if fingerprint is not None and (parts := _parts_of(fs, path)) is not None:
            strange = {
                f"{path}/{key}"
                for key in strange_keys([key.removeprefix(f"{path}/") for key in own], parts)
            }
            own = [key for key in own if key not in strange]
        # The metadata last: as long as they are there, the rest is known as ours.
        for last in (False, True):
            if batch := [key for key in own if (key.rpartition("/")[0] == path) is last]:
                fs.rm(batch)
    except (OSError, BotoCoreError):
        return False
    if left := sorted(set(keys) - set(own)):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        progress.warn(f"s3://{left[0]}{more}: is left alone, as stacbuild did not write it")
    return True


def strangers_s3(storage: S3Store, name: str, item: pystac.Item) -> list[str]:
    """Return the URLs of objects that are below the cube of an item and no part of it.

    None if what lies there is not that cube, which stays as it is.

    Raises
    ------
    RemoteError
        If they cannot be listed.
    """
    fs = s3fs.S3FileSystem(**storage.storage_options, use_listings_cache=False)
    path = f"{storage.root}/{name}"
    try:
        keys = [key.removeprefix(f"{path}/") for key in fs.find(path)]
        found = strange_keys(sorted(keys), Parts.of_item(item))
        if not found or _fingerprint_of(fs, path) != item.properties.get(FINGERPRINT):
            return []
    except (OSError, BotoCoreError) as error:
        raise RemoteError(
            f"{storage.s3_url(name)}: cannot be listed: {error}; run the same command again, with "
            "credentials that may list and delete"
        ) from error
    return [f"s3://{path}/{key}" for key in found]


def _fingerprint_of(fs: s3fs.S3FileSystem, path: str) -> str | None:
    for metadata, inside in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads(fs.cat_file(f"{path}/{metadata}"))
            return str((content[inside] if inside else content).get(ATTRIBUTE, ""))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, AttributeError, TypeError):
            return ""
    return None


def _parts_of(fs: s3fs.S3FileSystem, path: str) -> Parts | None:
    for name in CONSOLIDATED:
        try:
            return Parts.of_metadata(json.loads(fs.cat_file(f"{path}/{name}")))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, AttributeError, TypeError):
            return None
    return None
