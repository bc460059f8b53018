"""Cubes in a bucket: each build has its own key, which the item of the cube names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild import progress
from stacbuild.config.addresses import S3_HOST
from stacbuild.errors import ConflictError, RemoteError
from stacbuild.net.hrefs import Allowed, check_item
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.foreign import foreign_message
from stacbuild.storage.formats import whole
from stacbuild.storage.journal import Journal, is_token, new_token
from stacbuild.storage.output import Output, Staging, Storage
from stacbuild.storage.own_sources import check_bucket
from stacbuild.storage.ownership import check_output, resume
from stacbuild.storage.staging import local_errors

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.s3.store import S3Store
    from stacbuild.stac.catalog import Catalog

# `stacbuild.storage.objects` is imported late: it is slow to import, and most plans do not need it.


@dataclass(frozen=True)
class Bucket(Storage):
    """A bucket on an S3 server, or a prefix in one."""

    store: S3Store

    def journals(self, catalog: Catalog, names: Iterable[str]) -> Iterator[Path]:
        """Yield the journals in the catalog's folder."""
        yield from sorted(catalog.root.glob(".*.journal"))

    def check_sources(self, output: Output, items: Iterable[pystac.Item]) -> None:
        """Refuse a cube whose sources are builds of it."""
        check_bucket(self.store, output.identifier, items)

    def absence(self, output: Output, item: pystac.Item | None) -> str | None:
        """Return why the cube of an item has to be rebuilt."""
        if item is None:
            return "not in the catalog"
        href, here = whole(item).href, self.store.https_url("")
        if not href.startswith(here):
            return "its location changed"
        from stacbuild.storage.objects import holds_cube

        is_there = holds_cube(self.store, href.removeprefix(here).strip("/"))
        return None if is_there else "the cube is gone"

    @contextmanager
    def stage(self, output: Output, fingerprint: str) -> Iterator[Staging]:
        """Open a store under a new key: an object store cannot rename."""
        from zarr.storage import FsspecStore

        from stacbuild.formats.s3_system import S3FileSystem
        from stacbuild.storage.objects import FAILURES, is_free, remove_objects

        store, fmt = self.store, output.format
        check_output(output, locked=True)
        self._check_strangers(output)
        found = Journal.read(output.journal)
        if found is not None and (found.done or found.removing or found.fingerprint != fingerprint):
            # Of other inputs, or only its cleanup is missing.
            self.clear(output)
            found = None
        with local_errors(output.journal):
            journal = resume(
                output, fingerprint, found, lambda token: is_free(store, _key(output, token))
            )
        name = _key(output, journal.token)
        path = f"{store.root}/{name}"
        fs = S3FileSystem(**store.storage_options, asynchronous=True, skip_instance_cache=True)

        def commit() -> None:
            check_output(output, locked=True)
            before, item = self._public(output), output.item()
            if before != name and item is not None:
                journal.commit(before, item.properties.get(FINGERPRINT))
            else:
                journal.commit(journal.replaces, journal.replaced)

        done = False
        try:
            yield Staging(
                FsspecStore(fs, path=f"{path}/{fmt.inner}".rstrip("/")),
                FsspecStore(fs, path=path),
                store.https_url(f"{name}/{fmt.public}".rstrip("/")),
                store.https_url(name),
                commit,
                journal.started,
                journal,
                s3_whole=f"s3://{path}",
            )
            done = True
        except FAILURES as error:
            raise RemoteError(f"{store.s3_url(name)}: cannot be written: {error}") from error
        finally:
            if done:
                self._finish(journal)
            elif not any(journal.finished.values()) and self._public(output) != name:
                # No item names it, so objects that cannot be removed are not taken for a cube.
                remove_objects(store, name, None)
                journal.remove()

    def clear(self, output: Output) -> None:
        """Remove leftovers of an earlier run, but not the cube that the item names."""
        found = Journal.read(output.journal)
        if found is None:
            return
        name = _key(output, found.token)
        if found.done or self._public(output) == name:
            self._finish(found)
            return
        if found.removing:
            self._remove_previous(str(found.name), found.removing)
        else:
            from stacbuild.storage.objects import remove_objects

            remove_objects(self.store, name, None)
        found.remove()

    def removable(
        self, output: Output, item: pystac.Item | None, has_leftovers: bool
    ) -> tuple[str | None, tuple[str, ...]]:
        """Return the URL of the cube; `remove` checks that it has the item's fingerprint."""
        if item is None:
            return None, ()
        href = whole(item).href
        if self._own_key(output.identifier, item) is None:
            return None, (f"{href}: is not in the storage",)
        self._check_foreign(output, item)
        return href, ()

    def remove(self, output: Output) -> None:
        """Remove the cube that the item names; a journal records the removal."""
        from stacbuild.storage.objects import remove_objects

        self.clear(output)
        item = output.item()
        name = self._own_key(output.identifier, item) if item is not None else None
        if item is None or name is None:
            output.remove_item()
            return
        self._check_foreign(output, item)
        fingerprint = str(item.properties.get(FINGERPRINT))
        journal = Journal.start(output.journal, fingerprint, output.owner(), new_token())
        journal.remove_cube(fingerprint, name)
        output.remove_item()
        if not remove_objects(self.store, name, fingerprint):
            raise RemoteError(
                f"{self.store.s3_url(name)}: cannot be deleted; run the same command again, with "
                "credentials that may delete"
            )
        journal.remove()

    def find_cube(self, output: Output) -> tuple[str, dict[str, Any] | None] | None:
        """Return the URL that the item names, and the credentials.

        Raises
        ------
        IntegrityError
            If the URL is not in the bucket.
        """
        item = output.item()
        if item is None:
            return None
        server = self.store.endpoint_url or f"https://{S3_HOST}"
        check_item(item, Allowed((output.catalog.root,), (server,), self.store.s3_url("")))
        return self.address(item.assets["data"])

    def address(self, asset: pystac.Asset) -> tuple[str, dict[str, Any] | None]:
        """Return the ``s3://`` address and the credentials; the public URL if there are none."""
        if self.store.anonymous:
            return asset.href, None
        return asset.extra_fields["alternate"]["s3"]["href"], self.store.storage_options

    def foreign_objects(self, identifier: str, item: pystac.Item) -> list[str]:
        """Return the URLs of foreign objects below the cube of an item."""
        name = self._own_key(identifier, item)
        if name is None:
            return []
        from stacbuild.storage.objects import list_foreign

        return list_foreign(self.store, name, item)

    def _own_key(self, identifier: str, item: pystac.Item) -> str | None:
        """Return the key of the cube that an item names, if it is a key of this dataset.

        An item can be edited, but the key that it names is removed when the cube is replaced.
        """
        href, there = whole(item).href, self.store.https_url("")
        named = href.removeprefix(there).strip("/") if href.startswith(there) else ""
        token = named.removeprefix(f"{identifier}-").removesuffix(".zarr")
        return named if is_token(token) and named == f"{identifier}-{token}.zarr" else None

    def _public(self, output: Output) -> str | None:
        item = output.item()
        return self._own_key(output.identifier, item) if item else None

    def _check_foreign(self, output: Output, item: pystac.Item) -> None:
        """Raise `ConflictError` if foreign objects are below a cube."""
        if found := self.foreign_objects(output.identifier, item):
            raise ConflictError(foreign_message(found))

    def _check_strangers(self, output: Output) -> None:
        """Raise `ConflictError` if foreign objects are below the cube that is to be replaced."""
        item = output.item()
        if item is None:
            return
        try:
            found = self.foreign_objects(output.identifier, item)
        except RemoteError:
            # Objects that cannot be listed cannot be removed either.
            return
        if found:
            raise ConflictError(
                f"{found[0]}: is in the cube that is to be replaced, but stacbuild did not write "
                "it; move it away"
            )

    def _finish(self, journal: Journal) -> None:
        journal.finish()
        if journal.replaces:
            self._remove_previous(journal.replaces, journal.replaced)
        journal.remove()

    def _remove_previous(self, name: str, fingerprint: str | None) -> None:
        from stacbuild.storage.objects import remove_objects

        if not remove_objects(self.store, name, fingerprint):
            old = self.store.https_url(name)
            progress.warn(f"{old}: could not delete the previous cube; remove it yourself")


def _key(output: Output, token: str) -> str:
    return f"{output.identifier}-{token}.zarr"
