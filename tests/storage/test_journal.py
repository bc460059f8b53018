"""The journal of a cube: what was recorded is read again, and an incomplete line is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.storage.journal import Journal, is_token, new_token, sync_tree

REGION = ((0, 2), (0, 4))


def read(path: Path) -> Journal:
    found = Journal.read(path)
    assert found is not None
    return found


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal.start(path, "abc", {"dataset": "a"})
    journal.folder = tmp_path / "staged"
    (tmp_path / "staged" / "v" / "c").mkdir(parents=True)
    (tmp_path / "staged" / "v" / "c" / "0").write_bytes(b"12345")
    journal.add("v", REGION, ["v/c/0"])
    found = read(path)
    assert (found.fingerprint, found.token, found.owner) == ("abc", journal.token, {"dataset": "a"})
    assert found.started == journal.started
    assert found.finished == {"v": {REGION: 5}}
    assert not found.is_unfinished


def test_a_line_that_was_cut_is_ignored_and_then_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal.start(path, "abc")
    journal.add("v", REGION, [])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"variable": "v", "reg')
    found = read(path)
    assert found.finished == {"v": {REGION: -1}}
    found.resume()
    assert path.read_bytes() == whole
    found.forget()
    assert read(path).finished == {}


def test_a_commit_is_unfinished_until_the_item_is_in_the_catalog(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal.start(path, "abc")
    journal.name = "a.zarr"
    journal.commit("old.zarr", "def")
    found = read(path)
    assert (found.is_unfinished, found.replaces, found.replaced) == (True, "old.zarr", "def")
    assert found.name == "a.zarr"
    found.resume()
    assert read(path).is_unfinished
    journal.finish()
    assert not read(path).is_unfinished
    Journal.start(path, "abc").remove_cube("abc", "a.zarr")
    assert (read(path).removing, read(path).is_unfinished) == ("abc", True)
    journal.remove()
    assert Journal.read(path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json\n",
        b"[]\n",
        b'{"version": 2, "fingerprint": "a", "started": "2020-01-01", "token": "12345678"}\n',
        b'{"version": 1, "fingerprint": "a", "started": "2020-01-01", "token": "../../x"}\n',
        b'{"version": 1, "fingerprint": "a", "started": "soon", "token": "12345678"}\n',
        b'{"version": 1, "fingerprint": "a", "started": "2020-01-01", "token": "12345678"}\n7\n',
    ],
)
def test_what_is_no_journal_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.journal").write_bytes(content)
    assert Journal.read(tmp_path / "a.journal") is None
    assert Journal.read(tmp_path) is None
    assert Journal.read(tmp_path / "gone" / "a.journal") is None


def test_only_partial_files_are_swept(tmp_path: Path) -> None:
    journal = Journal.start(tmp_path / "a.journal", "abc")
    journal.folder = tmp_path / "staged"
    journal.folder.mkdir()
    for name in ("0", f"1.{'0a' * 16}.partial"):
        (journal.folder / name).write_text("")
    journal.sweep()
    assert [each.name for each in journal.folder.iterdir()] == ["0"]
    sync_tree(journal.folder)


def test_tokens() -> None:
    assert is_token(new_token())
    assert new_token() != new_token()
    assert not any(map(is_token, ("", "1234567", "123456789", "1234567G", "12345678\n")))
