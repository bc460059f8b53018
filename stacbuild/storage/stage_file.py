"""A cube staged in a folder, and renamed when it is whole.

All that a run writes there, beside the cube itself, has the token of its journal in its name, and
a token is taken only if nothing has such a name yet: what has is ours, and nothing else is removed.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zarr.storage import LocalStore

from stacbuild import progress
from stacbuild.errors import LocalError, StacbuildError
from stacbuild.machine import free_bytes
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.formats import FORMS
from stacbuild.storage.journal import Journal, sweep_partial, sync_folder
from stacbuild.storage.ownership import (
    Place,
    check_place,
    fingerprint_of,
    is_at,
    is_cube,
    staging_folder,
)
from stacbuild.storage.signs import lost_tokens, sign, signed_path
from stacbuild.storage.staging import Output, Staging, go_on, local_errors, size_text
from stacbuild.storage.strangers import Parts, check_inside, strangers, stray_message


@dataclass(frozen=True)
class Site:
    """The names around a cube in a folder."""

    place: Place
    root: Path

    @property
    def stem(self) -> str:
        """Name of the staged store, whatever the format, since one cube may change its own."""
        return f"{self.place.name}.zarr"

    @property
    def names(self) -> set[str]:
        """The names that the cube can have."""
        return {f"{self.place.name}{form.ending}" for form in FORMS.values()}

    def target(self, journal: Journal) -> Path:
        """Return where its run puts the cube: a previous format may have had another name."""
        return self.root / (journal.name if journal.name in self.names else self.stem)

    def folder(self, journal: Journal) -> Path:
        """Return the staging folder."""
        return staging_folder(self.place, journal.token)

    def staged(self, journal: Journal) -> Path:
        """Return what its run renames: the folder, or the one file that was made in it."""
        named = self.target(journal).name
        folder = self.folder(journal)
        return folder if named == self.stem else folder / named

    def old(self, journal: Journal) -> Path:
        """Return where the cube is that its run replaces."""
        return self.folder(journal).with_suffix(".old")

    def gone(self, journal: Journal) -> Path:
        """Return where a cube is while it is removed, so that half of it is never seen."""
        return self.folder(journal).with_suffix(".gone")

    def is_free(self, token: str) -> bool:
        """Return whether nothing has a name with this token."""
        return not any(self.root.glob(f".*.{token}.*"))

    def undo(self, journal: Journal) -> None:
        """Take a commit back whose item did not come to be."""
        here, there = self.target(journal), self.staged(journal)
        if journal.committing and is_cube(here, journal.fingerprint) and not os.path.lexists(there):
            there.parent.mkdir(exist_ok=True)
            here.rename(there)
        journal.committing = False
        self.restore(journal)

    def restore(self, journal: Journal) -> None:
        """Put the older cube back where nothing else is."""
        old, here = self.old(journal), self.target(journal)
        if os.path.lexists(old) and not os.path.lexists(here):
            old.rename(here)

    def is_public(self, journal: Journal) -> bool:
        """Return whether the item of a run's cube came to be."""
        try:
            item = self.place.item()
        except StacbuildError:
            # What cannot be read names nothing.
            item = None
        return (
            journal.committing
            and item is not None
            and item.properties.get(FINGERPRINT) == journal.fingerprint
            and is_cube(self.target(journal), journal.fingerprint)
        )

    def finish(self, journal: Journal) -> None:
        """Remove all that a run leaves whose item is in the catalog, its journal last."""
        journal.finish()
        if journal.replaces in self.names and journal.replaces != self.target(journal).name:
            self.remove_cube(journal, self.root / str(journal.replaces), journal.replaced)
        self.remove_staged(journal)
        journal.remove()

    def remove_staged(self, journal: Journal) -> None:
        """Remove what has the token of a journal in its name."""
        for path in (self.gone(journal), self.old(journal), self.folder(journal)):
            remove_tree(path)
        # Last: as long as it is there, the others are known as ours.
        signed_path(self.place, journal.token).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what runs left whose journal is gone; put back the cube that one had moved."""
        for token in lost_tokens(self.place):
            lost = Journal(self.place.journal, "", dt.datetime.now(dt.UTC), token)
            item = self.place.item()
            for here in (self.root / name for name in sorted(self.names)):
                said = item.properties.get(FINGERPRINT) if item and is_at(item, here) else None
                if is_cube(self.old(lost), said) and not os.path.lexists(here):
                    self.old(lost).rename(here)
            self.remove_staged(lost)

    def remove_cube(self, journal: Journal, path: Path, fingerprint: str | None) -> None:
        """Remove a cube, if it still is that of a fingerprint and nothing else is in it."""
        if not os.path.lexists(path):
            return
        if not is_cube(path, fingerprint):
            progress.warn(f"{path}: is left alone, as it is not the cube that was replaced")
            return
        if found := list(strangers(path, Parts.of_cube(path), whole_tree=True)):
            progress.warn(f"{path}: is left alone: {stray_message(found)}")
            return
        remove_tree(self.gone(journal))
        path.rename(self.gone(journal))
        remove_tree(self.gone(journal))

    def check_inside(self, journal: Journal) -> None:
        """Refuse to move or remove the cube of a run that died if something else is in it.

        Raises
        ------
        ConflictError
            Naming what is in it.
        """
        path = self.target(journal)
        said = journal.removing or (journal.fingerprint if journal.committing else None)
        if is_cube(path, said):
            check_inside(path)

    def mend(self, journal: Journal) -> Journal | None:
        """Put in order what a run left that died; return its journal if it can be gone on with.

        Raises
        ------
        ConflictError
            If something else is in the cube that it made or removed.
        """
        if journal.done:
            self.finish(journal)
            return None
        self.check_inside(journal)
        if journal.removing:
            self.remove_cube(journal, self.target(journal), journal.removing)
            self.remove_staged(journal)
            journal.remove()
            return None
        if self.is_public(journal):
            # Only its end was missing.
            return journal
        self.undo(journal)
        return journal


@contextmanager
def stage_file(output: Output, root: Path, needed: int) -> Iterator[Staging]:
    """Open a place for a cube below *root*; see `stacbuild.storage.places.stage`."""
    # An identifier may begin with folders: all that goes with the cube lies in its own.
    final = root / f"{output.identifier}{output.form.ending}"
    root, name = final.parent, final.name
    site = Site(output.place, root)

    def commit() -> None:
        # Once more: it may have been hours.
        check_place(output.place, whole_tree=True, locked=True)
        item = output.item()
        replaced = fingerprint_of(final) or journal.replaced
        for other in site.names - {name}:
            if item is not None and is_at(item, root / other):
                # In another format, which has another name.
                journal.replaces, replaced = other, item.properties.get(FINGERPRINT)
        journal.commit(journal.replaces, replaced)
        # Two renames: between them there is no cube, but never half a one.
        if os.path.lexists(final):
            final.rename(site.old(journal))
        site.staged(journal).rename(final)
        sync_folder(root)

    with local_errors(final):
        check_place(output.place, locked=True)
        found = Journal.read(output.journal)
        if found is not None:
            public = site.is_public(found)
            found = site.mend(found)
            if found is not None and public:
                if found.fingerprint == output.fingerprint:
                    site.undo(found)
                else:
                    site.finish(found)
                    found = None
        if found is not None and found.fingerprint != output.fingerprint:
            site.remove_staged(found)
        journal = go_on(output, found, site.is_free)
        site.sweep()
        sign(output.place, journal.token)
        journal.name = name
        journal.folder = site.folder(journal) / output.form.inner
        # Of a pyramid the levels and their group, too.
        sweep_partial(site.folder(journal))
    done = False
    try:
        with local_errors(final):
            _check_space(final, needed, journal)
            staged = site.staged(journal)
            yield Staging(
                LocalStore(journal.folder),
                LocalStore(site.folder(journal)),
                str(final / output.form.public),
                str(final),
                commit,
                journal.started,
                journal,
                file=None if staged == site.folder(journal) else staged,
            )
        done = True
    finally:
        if done:
            with local_errors(final):
                site.finish(journal)
        elif not site.is_public(journal):
            site.undo(journal)
            if not any(journal.finished.values()) and not os.path.lexists(site.old(journal)):
                site.remove_staged(journal)
                journal.remove()


def remove_tree(path: Path) -> None:
    """Remove a file or a folder, if it is there; a link, and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _check_space(final: Path, needed: int, journal: Journal) -> None:
    left = needed - sum(sum(regions.values()) for regions in journal.finished.values())
    free = free_bytes(final)
    if left > free:
        raise LocalError(
            f"{final}: needs about {size_text(left)}, and {size_text(free)} are free in "
            f"{final.parent}; make room, move the storage, or take a smaller grid"
        )
