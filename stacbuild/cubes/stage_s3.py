"""A cube written to a bucket under a key of its own, which its item then names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import s3fs
from botocore.exceptions import BotoCoreError
from zarr.storage import FsspecStore

from stacbuild.config import S3Store
from stacbuild.cubes.forms import whole
from stacbuild.cubes.journal import Journal
from stacbuild.cubes.staging import Output, Staging, go_on, local_errors, say_going_on
from stacbuild.errors import RemoteError
from stacbuild.progress import Reporter


@contextmanager
def stage_s3(output: Output, storage: S3Store, reporter: Reporter) -> Iterator[Staging]:
    """Open a place for a cube in a bucket; see `stacbuild.cubes.storage.stage`."""

    # An object store cannot rename: each build has a key of its own, and the item names it.
    def key(journal: Journal) -> str:
        return f"{output.identifier}-{journal.token}.zarr"

    def public() -> str | None:
        item = output.item()
        href = whole(item).href if item else ""
        named = href.rpartition("/")[2] if href.startswith(storage.https_url("")) else ""
        # What it names is removed once it is replaced, and an item may be edited: ours only.
        ours = re.fullmatch(rf"{re.escape(output.identifier)}-[0-9a-f]+\.zarr", named)
        return named if ours else None

    found = Journal.read(output.journal)
    if found is not None and found.fingerprint != output.fingerprint:
        # What another configuration left. The item may name it, if only the end was missing.
        left = found.replaces if public() == key(found) else key(found)
        if left:
            remove_s3(storage, left)
    with local_errors(output.journal):
        journal = go_on(output, found)
    name, form = key(journal), output.form
    path = f"{storage.root}/{name}"
    fs = s3fs.S3FileSystem(**storage.storage_options, asynchronous=True, skip_instance_cache=True)
    say_going_on(name, journal, reporter)

    def commit() -> None:
        before = public()
        journal.commit(before if before != name else None)

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
            if journal.replaces and not remove_s3(storage, journal.replaces):
                old = storage.https_url(journal.replaces)
                reporter.warn(f"{old}: the cube of before could not be removed; remove it yourself")
            journal.remove()
        elif not any(journal.finished.values()) and public() != name:
            # No item names it, so what cannot be removed is litter and not a cube.
            remove_s3(storage, name)
            journal.remove()


def remove_s3(storage: S3Store, name: str) -> bool:
    """Remove what is under *name* in an S3 store; tell whether nothing is left there.

    Not an error of its own: credentials that may write but not delete are common.
    """
    fs = s3fs.S3FileSystem(**storage.storage_options)
    try:
        if fs.exists(f"{storage.root}/{name}"):
            fs.rm(f"{storage.root}/{name}", recursive=True)
    except (OSError, BotoCoreError):
        return False
    return True
