"""Ranges of bytes of a file: the same from a path and from a URL, and errors that name it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stacbuild.errors import IntegrityError, LocalError, MissingError, NotFoundError
from stacbuild.formats.file_bytes import FileBytes, similar_names
from tests.support.file_server import FileServer

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize("remote", [False, True])
def test_ranges(remote: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    with FileServer({"/a.bin": CONTENT}) as server:
        file = FileBytes(f"{server.url}/a.bin" if remote else str(path))
        assert (file.size, file.is_local) == (len(CONTENT), not remote)
        assert file.name.endswith("a.bin")
        file.prefetch([(0, 10), (5000, 5010)])
        assert file.read(5000, 5010) == CONTENT[5000:5010]
        assert file.read(7, 7) == b""
        # Up to the end, as of any file.
        assert file.read(len(CONTENT) - 3, len(CONTENT) + 100) == CONTENT[-3:]
        with file.open() as opened:
            opened.seek(-4, os.SEEK_END)
            assert opened.read() == CONTENT[-4:]
            assert opened.read() == b""


def test_similar_names_are_named(tmp_path: Path) -> None:
    assert similar_names(tmp_path / "landcove.tif") == ""
    for name in ("landcover.tif", "ndvi.tif"):
        (tmp_path / name).touch()
    assert similar_names(tmp_path / "landcove.tif") == "; did you mean landcover.tif?"
    assert similar_names(tmp_path / "dem.nc") == ""
    assert similar_names(tmp_path / "none" / "ndvi.tif") == ""


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.nc"):
        with pytest.raises(MissingError, match=f"{path}: there is no such file"):
            FileBytes(str(path))
    with pytest.raises(IntegrityError, match="is neither a path nor a URL"):
        FileBytes("a.nc")
    with FileServer({}) as server, pytest.raises(NotFoundError, match=r"none\.nc"):
        FileBytes(f"{server.url}/none.nc")


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    file = FileBytes(str(path))

    def failing(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(LocalError, match=r"a\.bin: cannot be read \(Input/output error\)"):
        file.read(0, 10)


def test_it_is_closed_with_the_last_reference(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    file = FileBytes(str(path))
    number = file._number
    os.fstat(number)
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
