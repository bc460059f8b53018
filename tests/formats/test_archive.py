from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.formats.archive import Member, extract, members, stem

FILES = {"a.tif": b"aa", "folder/b.tif": b"bbb"}
Maker = Callable[[Path, dict[str, bytes]], Path]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


KINDS = pytest.mark.parametrize(
    ("name", "make"),
    [("x.zip", zipped), ("x.tar", tarred), ("x.tar.gz", tarred), ("x.tgz", tarred)],
)


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@KINDS
def test_members_are_listed_and_extracted(tmp_path: Path, name: str, make: Maker) -> None:
    path = make(tmp_path / name, FILES)
    assert stem(name) == "x"
    assert members(path) == [Member("a.tif", 2), Member("folder/b.tif", 3)]
    into = tmp_path / "into"
    assert extract(path, into) == [into / "a.tif", into / "folder" / "b.tif"]
    assert (into / "folder" / "b.tif").read_bytes() == b"bbb"


def test_what_was_there_is_replaced_whole(tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (into / "old").write_text("old")
    extract(zipped(tmp_path / "x.zip", FILES), into)
    assert left(into) == ["a.tif", "folder", "folder/b.tif"]


@KINDS
@pytest.mark.parametrize(
    "names",
    [
        ["../evil"],
        ["a/../../evil"],
        ["/evil"],
        ["C:/evil"],
        ["..\\evil"],
        ["same.tif", "same.tif"],
        ["Same.tif", "same.TIF"],
        ["a", "a/b"],
        ["new\nline"],
        ["left\u202eright.tif"],
        ["caf\u00e9.tif", "cafe\u0301.tif"],
        ["."],
    ],
)
def test_a_hostile_name_refuses_the_whole_archive(
    tmp_path: Path, name: str, make: Maker, names: list[str]
) -> None:
    path = tmp_path / name
    if make is zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("good.tif", b"1")
            for hostile in names:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("warnings.warn", lambda *a, **k: None)
                    archive.writestr(hostile, b"1")
    else:
        with tarfile.open(path, "w") as archive:
            for hostile in ["good.tif", *names]:
                archive.addfile(tarfile.TarInfo(hostile))
    with pytest.raises(IntegrityError, match=rf"{name}: refused"):
        members(path)
    with pytest.raises(IntegrityError, match=rf"{name}: refused"):
        extract(path, tmp_path / "into")
    assert left(tmp_path) == [name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(info)
    with pytest.raises(IntegrityError, match="is a link, a device or encrypted"):
        extract(tmp_path / "x.tar", tmp_path / "into")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(IntegrityError, match="is a link"):
        extract(tmp_path / "x.zip", tmp_path / "into")


@pytest.mark.parametrize(("name", "make"), [("x.zip", zipped), ("x.tar.gz", tarred)])
def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, name: str, make: Maker) -> None:
    path = make(tmp_path / name, {"zeros": bytes(200 << 20)})
    with pytest.raises(IntegrityError, match="unpack to more than 1000 times its size"):
        extract(path, tmp_path / "into")
    assert left(tmp_path) == [name]


def test_members_that_share_their_bytes_are_counted_once(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"00.tif": bytes(5 << 20)})
    raw = bytearray(path.read_bytes())
    start = raw.index(b"PK\1\2")
    entry, end = raw[start : raw.index(b"PK\5\6")], raw[raw.index(b"PK\5\6") :]
    more = b"".join(entry.replace(b"00.tif", b"%02d.tif" % number) for number in range(20))
    end[8:12] = struct.pack("<HH", 20, 20)
    end[12:16] = struct.pack("<I", len(more))
    path.write_bytes(raw[:start] + more + end)
    # Each is 1000 times smaller packed, and all together are as large on disk as one.
    with pytest.raises(IntegrityError, match="unpack to more than 1000 times its size"):
        extract(path, tmp_path / "into")
    assert left(tmp_path) == ["x.zip"]


def test_headers_of_a_tar_are_small_and_few(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "large.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, 200 << 20
        archive.addfile(info, io.BytesIO(bytes(200 << 20)))
    with pytest.raises(IntegrityError, match=r"large.tar.gz: refused, a header in it has"):
        extract(tmp_path / "large.tar.gz", tmp_path / "into")
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    many = (header.tobuf() + bytes(512)) * 5000
    (tmp_path / "many.tar").write_bytes(many)
    with pytest.raises(IntegrityError, match=r"many.tar: refused, its headers never end"):
        extract(tmp_path / "many.tar", tmp_path / "into")


def test_a_tar_does_not_end_where_it_is_damaged(tmp_path: Path) -> None:
    path = tarred(tmp_path / "x.tar", {"a.tif": b"a" * 100, "b.tif": b"b" * 100})
    raw = bytearray(path.read_bytes())
    raw[1024 + 5] ^= 1  # the name in the second header
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match="is not an archive or is damaged"):
        members(path)


def test_archives_in_archives_become_folders(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", FILES).read_bytes()
    path = zipped(tmp_path / "x.zip", {"deep/inner.zip": inner, "readme.txt": b"r"})
    into = tmp_path / "into"
    names = [file.relative_to(into).as_posix() for file in extract(path, into, nested=True)]
    assert names == ["deep/inner/a.tif", "deep/inner/folder/b.tif", "readme.txt"]
    names = [file.relative_to(into).as_posix() for file in extract(path, into)]
    assert names == ["deep/inner.zip", "readme.txt"]


def test_archives_nested_too_deep_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", FILES)
    for _ in range(3):
        path = zipped(tmp_path / "y.zip", {"x.zip": path.read_bytes()})
    with pytest.raises(IntegrityError, match="nested too deep"):
        extract(path, tmp_path / "into", nested=True)
    assert not (tmp_path / "into").exists()


def test_a_hostile_inner_archive_refuses_all(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "i.zip", {"../evil": b"1"}).read_bytes()
    path = zipped(tmp_path / "x.zip", {"good.tif": b"1", "i.zip": inner})
    with pytest.raises(IntegrityError, match=r"x.zip/i.zip: refused"):
        extract(path, tmp_path / "into", nested=True)
    assert left(tmp_path) == ["i.zip", "x.zip"]


@pytest.mark.parametrize(("name", "make"), [("x.zip", zipped), ("x.tar.gz", tarred)])
def test_damage_is_named_and_leaves_what_was_there(tmp_path: Path, name: str, make: Maker) -> None:
    path = make(tmp_path / name, {"a.tif": bytes(range(256)) * 40})
    into = tmp_path / "into"
    extract(path, into)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=f"{name}: is not an archive or is damaged"):
        extract(path, into)
    assert (into / "a.tif").read_bytes() == bytes(range(256)) * 40


def test_what_is_no_archive_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("<!DOCTYPE html>")
    with pytest.raises(IntegrityError, match=r"x.zip: is not an archive"):
        members(tmp_path / "x.zip")
    with pytest.raises(LocalError, match=r"y.zip: there is no such file"):
        members(tmp_path / "y.zip")


def test_real_deliveries_unpack(tmp_path: Path, realdata: Path) -> None:
    for path in sorted((realdata / "hrl_eea").glob("*.zip")):
        files = extract(path, tmp_path / path.stem, nested=True)
        assert len([file for file in files if file.suffix == ".tif"]) == 1
    assert members(realdata / "zenodo" / "4924875_store.zip")


def sparse(path: Path, listed: bytes) -> Path:
    """Write a tar archive of a sparse file (GNU, version 1.0), whose map precedes its content."""
    content = listed.ljust(512, b"\0") + b"data"
    info = tarfile.TarInfo("GNUSparseFile.0/s.bin")
    info.size = len(content)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "s.bin",
        "GNU.sparse.realsize": "1004",
    }
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(content))
    return path


def test_sparse_files(tmp_path: Path) -> None:
    (found,) = extract(sparse(tmp_path / "a.tar", b"1\n1000\n4\n"), tmp_path / "a")
    assert found.read_bytes() == bytes(1000) + b"data"
    for number, listed in enumerate((b"x\n0\n4\n", b"9\n0\n4\n", b"1\nx\n4\n", b"")):
        path = sparse(tmp_path / f"{number}.tar", listed)
        with pytest.raises(IntegrityError, match="is damaged"):
            extract(path, tmp_path / str(number))
