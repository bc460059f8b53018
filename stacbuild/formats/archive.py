"""Safe extraction of archives (zip, tar, compressed tar): all members or none.

Refused are names that are absolute, contain ``..``, are not printable, or are equal except for case
or Unicode normalization; links, devices and encrypted members; and decompression bombs. The folder
appears only when all members are extracted.
"""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import re
import secrets
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

from stacbuild.atomic import sweep_dead, temporary
from stacbuild.errors import IntegrityError, LocalError
from stacbuild.machine import check_space

SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")

RATIO = 1000
"""Largest ratio of unpacked to packed size."""

_SMALL = 64 << 20
_MANY = 100_000
_DEPTH = 2
"""Largest depth of nested archives."""

_BLOCK = 1 << 20

_LONGEST_HEADER = 1 << 20
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path with forward slashes, and its size in bytes."""

    name: str
    size: int


def stem(name: str) -> str | None:
    """Return the name of an archive without its suffix; None if it has none of an archive."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return None


def members(source: Path | io.RawIOBase, name: str | None = None) -> list[Member]:
    """Return the files in an archive, sorted by name, after checking that all of it is safe.

    Parameters
    ----------
    source
        A file, or a seekable object for a zip (*name* is then its name in messages).

    Raises
    ------
    IntegrityError
        It is not an archive, is damaged or is hostile.
    LocalError
        There is no such file.
    """
    name = name or str(source)
    with _opened(source, name) as archive:
        return sorted(
            (member for member, _ in _listed(archive, name, _limit(archive))), key=lambda m: m.name
        )


def extract(path: Path, into: Path, *, nested: bool = False) -> list[Path]:
    """Unpack an archive to the folder *into*, which is replaced once all members are unpacked.

    Parameters
    ----------
    nested
        Whether to unpack archives in the archive, each to a folder of its own name.

    Returns
    -------
    list of Path
        All files, sorted, as paths under *into*.

    Raises
    ------
    IntegrityError
        As `members`; also if a member's checksum is wrong. *into* is not changed.
    LocalError
        No space, no permission.
    """
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        # Several threads may unpack to the same folder.
        sweep_dead(into)
        beside = temporary(into, f"{secrets.token_hex(4)}.")
        beside.mkdir(mode=0o700)
        try:
            _unpack(path, beside, str(path), _DEPTH if nested else None, None)
            beside.chmod(0o755)
            if into.exists():
                shutil.rmtree(into)
            beside.rename(into)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise LocalError(f"{into}: cannot be written: {error.strerror or error}") from error
    return sorted(file for file in into.rglob("*") if file.is_file())


def _unpack(path: Path, into: Path, name: str, levels: int | None, limit: int | None) -> int:
    """Unpack into an empty folder and return the number of bytes.

    *levels* of nested archives are unpacked and deeper ones refused (None: none is unpacked);
    *limit* is the number of bytes that the outermost archive still allows.
    """
    with _opened(path, name) as archive:
        limit = _limit(archive) if limit is None else limit
        listed = _listed(archive, name, limit)
        total = sum(member.size for member, _ in listed)
        check_space(into.parent, total, f"to unpack {name}")
        for member, info in listed:
            target = into / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(archive, info, member, target, name)
    if levels is None:
        return total
    for file in sorted(file for file in into.rglob("*") if stem(file.name) and file.is_file()):
        inner = f"{name}/{file.relative_to(into).as_posix()}"
        inside = file.with_name(str(stem(file.name)))
        if levels == 0:
            raise IntegrityError(f"{inner}: refused, archives are nested too deep")
        if inside.exists():
            raise IntegrityError(f"{inner}: refused, it would unpack over {inside.name}")
        inside.mkdir()
        total += _unpack(file, inside, inner, levels - 1, limit - total)
        file.unlink()
    return total


_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
)

_Archive = zipfile.ZipFile | tarfile.TarFile
_Info = zipfile.ZipInfo | tarfile.TarInfo


@contextmanager
def _opened(source: Path | io.RawIOBase, name: str) -> Iterator[_Archive]:
    """Open an archive by its content; raise errors within as `IntegrityError` or `LocalError`."""
    try:
        if not isinstance(source, Path) or zipfile.is_zipfile(source):
            # A raw file can read and seek, which is all that zipfile needs.
            with zipfile.ZipFile(cast("IO[bytes]", source)) as archive:
                yield archive
        else:
            with tarfile.open(source, tarinfo=_TarInfo) as archive:
                yield archive
    except FileNotFoundError as error:
        raise LocalError(f"{name}: there is no such file") from error
    except _DAMAGE as error:
        raise IntegrityError(f"{name}: is not an archive or is damaged ({error})") from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise
        # Raised by bz2 for damaged data, and by seeking before the start.
        raise IntegrityError(f"{name}: is not an archive or is damaged ({error})") from error
    except (NotImplementedError, UnicodeError) as error:
        raise IntegrityError(f"{name}: cannot be unpacked here ({error})") from error


class _TarInfo(tarfile.TarInfo):
    """A member with limits on extended headers, which are read into memory."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (
            tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
            tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
        ) as error:
            # tarfile takes it for the end of the archive, except at the start.
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _LONGEST_HEADER:
            raise IntegrityError(f"{archive.name!s}: refused, a header in it has {self.size} bytes")
        try:
            return super()._proc_member(archive)  # type: ignore[misc,no-any-return]
        except RecursionError:
            raise IntegrityError(f"{archive.name!s}: refused, its headers never end") from None
        except (ValueError, IndexError, OverflowError) as error:
            # The map of a sparse file (GNU) is parsed without checks.
            raise tarfile.ReadError(f"a header cannot be read: {error}") from error


def _listed(archive: _Archive, name: str, limit: int) -> list[tuple[Member, _Info]]:
    """Return the files of an archive with their records, after checking all of them."""
    found: list[tuple[Member, _Info]] = []
    seen: dict[str, str] = {}
    total = 0
    infos = archive.infolist() if isinstance(archive, zipfile.ZipFile) else archive
    for info in infos:
        raw = info.filename if isinstance(info, zipfile.ZipInfo) else info.name
        path = _safe_name(raw, name)
        if _is_folder(info):
            continue
        if not _is_plain(info):
            raise IntegrityError(f"{name}: refused, {raw!r} is a link, a device or encrypted")
        # Names that are equal on some file systems.
        same = unicodedata.normalize("NFC", path.casefold())
        if same in seen:
            raise IntegrityError(f"{name}: refused, {raw!r} and {seen[same]!r} clash")
        seen[same] = raw
        member = Member(path, info.file_size if isinstance(info, zipfile.ZipInfo) else info.size)
        total += member.size
        found.append((member, info))
        if len(found) > _MANY:
            raise IntegrityError(f"{name}: refused, it has more than {_MANY} members")
        if total > limit:
            raise IntegrityError(
                f"{name}: refused, it would unpack to more than {RATIO} times its size"
            )
    for path in seen:
        if any(parent in seen for parent in _parents(path)):
            raise IntegrityError(f"{name}: refused, {seen[path]!r} lies under a file")
    return found


def _safe_name(raw: str, name: str) -> str:
    path = raw.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts or not parts:
        raise IntegrityError(f"{name}: refused, the member {raw!r} would leave its folder")
    if not path.isprintable():
        # Control characters, and bytes that are not text, which a catalog cannot name.
        raise IntegrityError(f"{name}: refused, the member {raw!a} has no printable name")
    return "/".join(parts)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _is_folder(info: _Info) -> bool:
    return info.is_dir() if isinstance(info, zipfile.ZipInfo) else info.isdir()


def _is_plain(info: _Info) -> bool:
    if isinstance(info, tarfile.TarInfo):
        return info.isreg()
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind in (0, stat.S_IFREG) and not info.flag_bits & 1


def _limit(archive: _Archive) -> int:
    """Return the limit on the unpacked size of an archive, in bytes."""
    if isinstance(archive, zipfile.ZipFile):
        packed = sum(info.compress_size for info in archive.infolist())
        if archive.fp is not None:
            # Overlapping members would be counted several times.
            packed = min(packed, archive.fp.seek(0, io.SEEK_END))
    else:
        packed = Path(str(archive.name)).stat().st_size
    return max(_SMALL, RATIO * packed)


def _write(archive: _Archive, info: _Info, member: Member, target: Path, name: str) -> None:
    """Write a member, up to the size that it states."""
    if isinstance(archive, zipfile.ZipFile) and isinstance(info, zipfile.ZipInfo):
        source: IO[bytes] | None = archive.open(info)
    elif isinstance(archive, tarfile.TarFile) and isinstance(info, tarfile.TarInfo):
        source = archive.extractfile(info)
    else:
        source = None
    if source is None:
        raise IntegrityError(f"{name}: {member.name} has no content")
    with source, target.open("xb") as file:
        written = 0
        while block := source.read(_BLOCK):
            written += len(block)
            if written > member.size:
                raise IntegrityError(
                    f"{name}: refused, {member.name} is longer than its header states"
                )
            file.write(block)
    if written != member.size:
        raise IntegrityError(f"{name}: {member.name} is shorter than its header states")
