"""The files next to a cube in a folder: commit, roll back and clean up.

Everything that a run writes next to the cube has the token of its journal in its name. A token is
only used if no such name exists, so files with it were made by stacbuild, and nothing else is
removed. A file ``.<cube>.<token>.owner`` states the owner of a token, as the journal does, in case
the journal gets lost.
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
from stacbuild.storage.foreign import Parts, check_foreign, foreign_message, foreign_paths
from stacbuild.storage.formats import FORMATS
from stacbuild.storage.journal import Journal, sweep_partial, sync_folder
from stacbuild.storage.on_disk import fingerprint_of, is_at, is_cube
from stacbuild.storage.output import Output
from stacbuild.storage.ownership import check_output, is_own, resume, staging_folder

_ANY_TOKEN = "[0-9a-f]" * 8


@dataclass(frozen=True)
class Site:
    """The files next to a cube in a folder."""

    output: Output

    @property
    def root(self) -> Path:
        """The folder of the cube; its identifier may contain folders."""
        return self.output.journal.parent

    @property
    def stem(self) -> str:
        """Name of the staged store, which does not depend on the format."""
        return f"{self.output.name}.zarr"

    @property
    def names(self) -> set[str]:
        """The names of the cube in all formats."""
        return {f"{self.output.name}{fmt.ending}" for fmt in FORMATS.values()}

    def target(self, journal: Journal) -> Path:
        """Return the final path of a run's cube, which depends on its format."""
        return self.root / (journal.name if journal.name in self.names else self.stem)

    def folder(self, journal: Journal) -> Path:
        """Return the staging folder."""
        return staging_folder(self.output, journal.token)

    def staged(self, journal: Journal) -> Path:
        """Return the path that a run renames: the staging folder, or the file in it."""
        named = self.target(journal).name
        folder = self.folder(journal)
        return folder if named == self.stem else folder / named

    def old(self, journal: Journal) -> Path:
        """Return the path to which a run moves the previous cube."""
        return self.folder(journal).with_suffix(".old")

    def gone(self, journal: Journal) -> Path:
        """Return the path to which a cube is moved before it is deleted."""
        return self.folder(journal).with_suffix(".gone")

    def is_free(self, token: str) -> bool:
        """Return whether no file has this token in its name."""
        return not any(self.root.glob(f".*.{token}.*"))

    def undo(self, journal: Journal) -> None:
        """Roll back a commit whose item was not written."""
        here, there = self.target(journal), self.staged(journal)
        if journal.committing and is_cube(here, journal.fingerprint) and not os.path.lexists(there):
            there.parent.mkdir(exist_ok=True)
            here.rename(there)
        journal.committing = False
        self.restore(journal)

    def restore(self, journal: Journal) -> None:
        """Move the previous cube back, unless its path is occupied."""
        old, here = self.old(journal), self.target(journal)
        if os.path.lexists(old) and not os.path.lexists(here):
            old.rename(here)

    def is_public(self, journal: Journal) -> bool:
        """Return whether the item of a run's cube was written."""
        try:
            item = self.output.item()
        except StacbuildError:
            # An unreadable item names no cube.
            item = None
        return (
            journal.committing
            and item is not None
            and item.properties.get(FINGERPRINT) == journal.fingerprint
            and is_cube(self.target(journal), journal.fingerprint)
        )

    def finish(self, journal: Journal) -> None:
        """Remove leftovers of a run whose item is in the catalog, its journal last."""
        journal.finish()
        if journal.replaces in self.names and journal.replaces != self.target(journal).name:
            self.remove_cube(journal, self.root / str(journal.replaces), journal.replaced)
        self.remove_staged(journal)
        journal.remove()

    def remove_staged(self, journal: Journal) -> None:
        """Remove the files with the token of a journal.

        What cannot be deleted keeps the file that states its owner, so that a later run finds it.
        """
        paths = (self.gone(journal), self.old(journal), self.folder(journal))
        # All are tried: one that cannot be deleted does not keep the others.
        removed = [self._remove(path, journal) for path in paths]
        if all(removed):
            self.owner_file(journal.token).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove leftovers of runs whose journal is missing; move a previous cube back."""
        for token in self.lost_tokens():
            lost = Journal(self.output.journal, "", dt.datetime.now(dt.UTC), token)
            item = self.output.item()
            for here in (self.root / name for name in sorted(self.names)):
                named = item.properties.get(FINGERPRINT) if item and is_at(item, here) else None
                if is_cube(self.old(lost), named) and not os.path.lexists(here):
                    self.old(lost).rename(here)
            self.remove_staged(lost)

    def remove_cube(self, journal: Journal, path: Path, fingerprint: str | None) -> None:
        """Remove a cube, if it has the fingerprint and contains no foreign files."""
        if not os.path.lexists(path):
            return
        if not is_cube(path, fingerprint):
            progress.warn(f"{path}: is left alone, since it is not the cube that was replaced")
            return
        if found := list(foreign_paths(path, Parts.of_cube(path), whole_tree=True)):
            progress.warn(f"{path}: is left alone: {foreign_message(found)}")
            return
        self._remove(path, journal)

    def _remove(self, path: Path, journal: Journal) -> bool:
        """Remove a file or folder; return whether it is gone, and warn if it is not.

        It is renamed first: a cube that is removed in part must never be restored.
        """
        gone = self.gone(journal)
        try:
            remove_tree(gone)
            if os.path.lexists(path):
                path.rename(gone)
                remove_tree(gone)
        except OSError as error:
            left = gone if os.path.lexists(gone) else path
            progress.warn(
                f"{left}: is no longer used, but cannot be deleted: {error.strerror or error}; "
                f"the next run of {self.output.identifier!r} tries again"
            )
            return False
        return True

    def check_foreign(self, journal: Journal) -> None:
        """Check that the cube of an interrupted run contains no foreign files.

        Raises
        ------
        ConflictError
            If it does; names them.
        """
        path = self.target(journal)
        expected = journal.removing or (journal.fingerprint if journal.committing else None)
        if is_cube(path, expected):
            check_foreign(path)

    def recover(self, journal: Journal) -> Journal | None:
        """Recover from an interrupted run; return its journal if it can be resumed.

        Raises
        ------
        ConflictError
            If foreign files are in the cube that it made or removed.
        """
        if journal.done:
            self.finish(journal)
            return None
        self.check_foreign(journal)
        if journal.removing:
            self.remove_cube(journal, self.target(journal), journal.removing)
            self.remove_staged(journal)
            journal.remove()
            return None
        if self.is_public(journal):
            # Only the cleanup is missing.
            return journal
        self.undo(journal)
        return journal

    def begin(self, fingerprint: str) -> Journal:
        """Recover from an interrupted run; return its journal, or a new one.

        Its finished regions are kept if it had the same fingerprint. The lock has to be held.

        Raises
        ------
        ConflictError
            If foreign files are in the cube that it made or removed.
        """
        found = Journal.read(self.output.journal)
        if found is not None:
            public = self.is_public(found)
            found = self.recover(found)
            if found is not None and public:
                if found.fingerprint == fingerprint:
                    self.undo(found)
                else:
                    self.finish(found)
                    found = None
        if found is not None and found.fingerprint != fingerprint:
            self.remove_staged(found)
        journal = resume(self.output, fingerprint, found, self.is_free)
        self.sweep()
        self.write_owner(journal.token)
        journal.name = f"{self.output.name}{self.output.format.ending}"
        journal.folder = self.folder(journal) / self.output.format.inner
        # The whole folder, since a pyramid has files above *inner*.
        sweep_partial(self.folder(journal))
        return journal

    def commit(self, journal: Journal) -> None:
        """Rename the staged cube to its final path, and the previous one to `old`.

        Raises
        ------
        ConflictError
            If the path is occupied by something else.
        """
        # Checked again, since the build may have taken hours.
        check_output(self.output, whole_tree=True, locked=True)
        final, item = self.target(journal), self.output.item()
        replaced = fingerprint_of(final) or journal.replaced
        for other in self.names - {final.name}:
            if item is not None and is_at(item, self.root / other):
                # The previous cube has another format, and so another name.
                journal.replaces, replaced = other, item.properties.get(FINGERPRINT)
        journal.commit(journal.replaces, replaced)
        # Two renames: between them there is no cube, but never a part of one.
        if os.path.lexists(final):
            final.rename(self.old(journal))
        self.staged(journal).rename(final)
        sync_folder(self.root)

    def leave(self, journal: Journal) -> None:
        """Roll back a commit without an item; keep the staged store if any region is finished."""
        if self.is_public(journal):
            return
        self.undo(journal)
        if not any(journal.finished.values()) and not os.path.lexists(self.old(journal)):
            self.remove_staged(journal)
            journal.remove()

    def clear(self) -> None:
        """Remove leftovers of earlier runs, but not the cube."""
        journal = Journal.read(self.output.journal)
        self.sweep()
        recovered = self.recover(journal) if journal is not None else None
        if recovered is not None and self.is_public(recovered):
            self.finish(recovered)
        elif recovered is not None:
            self.remove_staged(recovered)
            recovered.remove()

    def write_owner(self, token: str) -> None:
        """Write the file that states the owner of a token."""
        content = {"version": 1, "token": token, "owner": self.output.owner()}
        self.owner_file(token).write_text(json.dumps(content))

    def owner_file(self, token: str) -> Path:
        """Return the path of the file that states the owner of a token."""
        return staging_folder(self.output, token).with_suffix(".owner")

    def lost_tokens(self) -> list[str]:
        """Return the tokens of runs of this cube whose journal is missing."""
        journal, found = Journal.read(self.output.journal), []
        pattern = f".{glob.escape(self.output.name)}.zarr.{_ANY_TOKEN}.owner"
        for path in sorted(self.root.glob(pattern)):
            if path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(
                OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError
            ):
                content = json.loads(path.read_bytes())
                token, owner = str(content["token"]), dict(content["owner"])
                if owner and is_own(self.output, owner) and path == self.owner_file(token):
                    found.append(token)
        return [token for token in found if journal is None or token != journal.token]

    def lost_paths(self) -> list[Path]:
        """Return the leftovers of runs of this cube whose journal is missing."""
        found = []
        for token in self.lost_tokens():
            folder = staging_folder(self.output, token)
            names = (folder, folder.with_suffix(".old"), folder.with_suffix(".gone"))
            found += [path for path in (*names, self.owner_file(token)) if path.exists()]
        return found


def remove_tree(path: Path) -> None:
    """Remove a file or a folder if it exists; a link is removed, but not its target.

    Raises
    ------
    OSError
        If anything in it cannot be removed; everything else is removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        # Once more if something is left, for the reason.
        if path.exists():
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
