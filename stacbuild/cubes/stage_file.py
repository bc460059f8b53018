"""A cube staged in a folder, and renamed when it is whole."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zarr.storage import LocalStore

from stacbuild.cubes.estimate import free_bytes
from stacbuild.cubes.fingerprint import FINGERPRINT
from stacbuild.cubes.forms import FORMS, whole
from stacbuild.cubes.journal import Journal, sync_folder
from stacbuild.cubes.staging import Output, Staging, go_on, local_errors, say_going_on, size_text
from stacbuild.errors import LocalError, StacbuildError
from stacbuild.progress import Reporter

# Whatever the format, since one cube may change its own: of its lock, journal and staging, too.
_NAME = ".zarr"


@contextmanager
def stage_file(output: Output, root: Path, needed: int, reporter: Reporter) -> Iterator[Staging]:
    """Open a place for a cube below *root*; see `stacbuild.cubes.storage.stage`."""
    stem = f"{output.identifier}{_NAME}"
    names = {f"{output.identifier}{form.ending}" for form in FORMS.values()}
    name = f"{output.identifier}{output.form.ending}"
    final = root / name

    def target(journal: Journal) -> Path:
        """Give where its run puts the cube: a format of before may have had another name."""
        return root / (journal.name if journal.name in names else stem)

    def folder(journal: Journal) -> Path:
        return root / f".{stem}.{journal.token}.staging"

    def staged(journal: Journal) -> Path:
        """Give what its run renames: the folder, or the one file that was made in it."""
        named = target(journal).name
        return folder(journal) if named == stem else folder(journal) / named

    def commit() -> None:
        before = _named(output)
        journal.commit(journal.replaces or (before if before in names - {name} else None))
        # Two renames: between them there is no cube, but never half a one.
        if final.exists():
            final.rename(_old(final))
        staged(journal).rename(final)
        sync_folder(root)

    def undo(journal: Journal) -> None:
        """Take a commit back whose item did not come to be."""
        here, there = target(journal), staged(journal)
        if journal.committing and here.exists() and not there.exists():
            there.parent.mkdir(exist_ok=True)
            here.rename(there)
        journal.committing = False
        _restore(here)

    def is_public(journal: Journal) -> bool:
        try:
            item = output.item()
        except StacbuildError:
            # What cannot be read names nothing.
            item = None
        return (
            journal.committing
            and target(journal).exists()
            and not staged(journal).exists()
            and item is not None
            and item.properties.get(FINGERPRINT) == journal.fingerprint
        )

    def remove_replaced(journal: Journal) -> None:
        """Remove the cube in another format that its item named before."""
        if journal.replaces in names and (root / journal.replaces).exists():
            # Under a name that is swept, so that half of it is never seen.
            away = folder(journal).with_suffix(".gone.staging")
            _remove(away)
            (root / journal.replaces).rename(away)
            _remove(away)

    with local_errors(final):
        found = Journal.read(output.journal)
        if found is None:
            for each in names:
                _restore(root / each)
        elif not is_public(found):
            undo(found)
        else:
            # Only its end was missing. An old cube without a journal is never put back.
            remove_replaced(found)
            if found.fingerprint == output.fingerprint:
                undo(found)
            else:
                found.remove()
                _remove(_old(target(found)))
        journal = go_on(output, found)
        journal.name = name
        for path in root.glob(f".{glob.escape(stem)}.*.staging"):
            if path != folder(journal):
                _remove(path)
        journal.folder = folder(journal) / output.form.inner
        journal.sweep()
        say_going_on(name, journal, reporter)
    done = False
    try:
        with local_errors(final):
            _check_space(final, needed, journal)
            yield Staging(
                LocalStore(journal.folder),
                LocalStore(folder(journal)),
                str(final / output.form.public),
                str(final),
                commit,
                journal.started,
                journal,
                file=None if staged(journal) == folder(journal) else staged(journal),
            )
        done = True
    finally:
        if done:
            remove_replaced(journal)
            # In this order: what is half removed must not be put back.
            journal.remove()
            _remove(_old(final))
            _remove(folder(journal))
        elif not is_public(journal):
            undo(journal)
            if not any(journal.finished.values()):
                _remove(folder(journal))
                journal.remove()


def _named(output: Output) -> str | None:
    """Give the name of the cube that the catalog's item leads to."""
    item = output.item()
    return Path(whole(item).href).name if item else None


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _restore(path: Path) -> None:
    """Put an older cube back where no other one is; else remove it."""
    old = _old(path)
    if old.exists() and not path.exists():
        old.rename(path)
    _remove(old)


def _remove(path: Path) -> None:
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
