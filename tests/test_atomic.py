"""Files are replaced as a whole, and what dead processes left beside them is swept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stacbuild.atomic import sweep, sweep_dead, temporary, write_bytes
from stacbuild.errors import LocalError

NO_PROCESS = 2**22 + 1
"""More than the largest number of a process on Linux."""


def test_only_other_bytes_are_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "item.json"
    assert write_bytes(path, b"one")
    before = path.stat().st_ino
    assert not write_bytes(path, b"one")
    assert path.stat().st_ino == before
    assert write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match=r"file/item\.json: cannot be written: "):
        write_bytes(tmp_path / "file" / "item.json", b"")


def test_only_what_the_dead_were_writing_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "a[1].json"
    mine = temporary(path)
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}.", f"-{NO_PROCESS}."))
    elsewhere = tmp_path / f".{path.name}.00000000-{NO_PROCESS}.stacbuild.tmp"
    foreign = tmp_path / f".{path.name}.stacbuild.tmp"
    other = temporary(tmp_path / "b.json").with_name(f".b.json.{NO_PROCESS}.stacbuild.tmp")
    for each in (mine, elsewhere, foreign, other):
        each.write_text("")
    dead.mkdir()
    (dead / "chunk").write_text("")
    sweep_dead(path)
    assert not dead.exists()
    assert all(each.exists() for each in (mine, elsewhere, foreign, other))
    # Another machine's process has to have been silent for a week.
    os.utime(elsewhere, (0, 0))
    sweep_dead(path)
    assert not elsewhere.exists()


def test_who_holds_the_lock_sweeps_what_anybody_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    mine = temporary(path, "1.")
    mine.write_text("")
    link = tmp_path / f".a.json.{NO_PROCESS}.stacbuild.tmp"
    link.symlink_to(tmp_path)
    sweep(path)
    assert not mine.exists()
    assert link.is_symlink()
