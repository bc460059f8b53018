"""The names around a cube in a folder, and how a commit to it is made, taken back and ended.

All that a run writes there, beside the cube itself, has the token of its journal in its name, and
a token is taken only if nothing has such a name yet: what has is ours, and nothing else is removed.
A file ``.<cube>.<token>.owner`` states whose a token is, as the journal does, for the case that
the journal is gone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import glob
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stacbuild import progress
from stacbuild.errors import StacbuildError
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.formats import FORMS
from stacbuild.storage.journal import Journal, sweep_partial, sync_folder
from stacbuild.storage.on_disk import fingerprint_of, is_at, is_cube
from stacbuild.storage.output import Output
from stacbuild.storage.ownership import check_output, go_on, is_own, staging_folder
from stacbuild.storage.strangers import Parts, check_inside, strangers, stray_message

_ANY_TOKEN = "[0-9a-f]" * 8


@dataclass(frozen=True)
class Site:
    """The names around a cube in a folder."""

    output: Output

    @property
    def root(self) -> Path:
        """The folder; an identifier may begin with folders, and all that goes with it is there."""
        return self.output.journal.parent

    @property
    def stem(self) -> str:
        """Name of the staged store, whatever the format, since one cube may change its own."""
        return f"{self.output.name}.zarr"

    @property
    def names(self) -> set[str]:
        """The names that the cube can have."""
        return {f"{self.output.name}{form.ending}" for form in FORMS.values()}

    def target(self, journal: Journal) -> Path:
        """Return where its run puts the cube: a previous format may have had another name."""
        return self.root / (journal.name if journal.name in self.names else self.stem)

    def folder(self, journal: Journal) -> Path:
        """Return the staging folder."""
        return staging_folder(self.output, journal.token)

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
        """Take back a commit whose item did not come to be."""
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
            item = self.output.item()
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
        self.signed(journal.token).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what runs left whose journal is gone; put back the cube that one had moved."""
        for token in self.lost_tokens():
            lost = Journal(self.output.journal, "", dt.datetime.now(dt.UTC), token)
            item = self.output.item()
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

    def begin(self, fingerprint: str) -> Journal:
        """Put in order what a run left that died; take up its journal, or start one.

        What it wrote is kept only if it was building the same. The lock has to be held.

        Raises
        ------
        ConflictError
            If something else is in the cube that it made or removed.
        """
        found = Journal.read(self.output.journal)
        if found is not None:
            public = self.is_public(found)
            found = self.mend(found)
            if found is not None and public:
                if found.fingerprint == fingerprint:
                    self.undo(found)
                else:
                    self.finish(found)
                    found = None
        if found is not None and found.fingerprint != fingerprint:
            self.remove_staged(found)
        journal = go_on(self.output, fingerprint, found, self.is_free)
        self.sweep()
        self.sign(journal.token)
        journal.name = f"{self.output.name}{self.output.form.ending}"
        journal.folder = self.folder(journal) / self.output.form.inner
        # Of a pyramid the levels and their group, too.
        sweep_partial(self.folder(journal))
        return journal

    def commit(self, journal: Journal) -> None:
        """Rename what was staged to the cube, and an older cube out of its way.

        Raises
        ------
        ConflictError
            If something lies there that is not replaced.
        """
        # Once more: it may have been hours.
        check_output(self.output, whole_tree=True, locked=True)
        final, item = self.target(journal), self.output.item()
        replaced = fingerprint_of(final) or journal.replaced
        for other in self.names - {final.name}:
            if item is not None and is_at(item, self.root / other):
                # In another format, which has another name.
                journal.replaces, replaced = other, item.properties.get(FINGERPRINT)
        journal.commit(journal.replaces, replaced)
        # Two renames: between them there is no cube, but never half a one.
        if os.path.lexists(final):
            final.rename(self.old(journal))
        self.staged(journal).rename(final)
        sync_folder(self.root)

    def leave(self, journal: Journal) -> None:
        """Take back a commit without an item; keep what was staged if any region is finished."""
        if self.is_public(journal):
            return
        self.undo(journal)
        if not any(journal.finished.values()) and not os.path.lexists(self.old(journal)):
            self.remove_staged(journal)
            journal.remove()

    def clear(self) -> None:
        """Remove what earlier runs left, but for the cube itself."""
        journal = Journal.read(self.output.journal)
        self.sweep()
        left = self.mend(journal) if journal is not None else None
        if left is not None and self.is_public(left):
            self.finish(left)
        elif left is not None:
            self.remove_staged(left)
            left.remove()

    def sign(self, token: str) -> None:
        """Write the file that states whose the names with a token are."""
        content = {"version": 1, "token": token, "owner": self.output.owner()}
        self.signed(token).write_text(json.dumps(content))

    def signed(self, token: str) -> Path:
        """Return the file that states whose the names with a token are."""
        return staging_folder(self.output, token).with_suffix(".owner")

    def lost_tokens(self) -> list[str]:
        """Return the tokens of runs of this cube whose journal is gone; nobody else's."""
        journal, found = Journal.read(self.output.journal), []
        pattern = f".{glob.escape(self.output.name)}.zarr.{_ANY_TOKEN}.owner"
        for path in sorted(self.root.glob(pattern)):
            if path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                content = json.loads(path.read_bytes())
                token, owner = str(content["token"]), dict(content["owner"])
                if owner and is_own(self.output, owner) and path == self.signed(token):
                    found.append(token)
        return [token for token in found if journal is None or token != journal.token]

    def lost_paths(self) -> list[Path]:
        """Return what runs of this cube left whose journal is gone."""
        found = []
        for token in self.lost_tokens():
            folder = staging_folder(self.output, token)
            names = (folder, folder.with_suffix(".old"), folder.with_suffix(".gone"))
            found += [path for path in (*names, self.signed(token)) if path.exists()]
        return found


def remove_tree(path: Path) -> None:
    """Remove a file or a folder, if it is there; a link, and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
