"""The files of a record and the members of its archives, by the paths that data ids have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import requests

from stacbuild.formats import archive
from stacbuild.formats.file_format import apart
from stacbuild.net.ranges import RangeFile
from stacbuild.sources.matching import Found, Listing
from stacbuild.sources.zenodo.cache import Cache, LocalFile
from stacbuild.sources.zenodo.record import Record, RecordFile


@dataclass(frozen=True)
class Part:
    """A file of a record, or a member of one of its archives.

    Parameters
    ----------
    path
        Path in data ids.
    member
        Path in the archive; None if it is a file of the record itself.
    local
        The file in the cache; None if it is remote.
    """

    path: str
    file: RecordFile
    member: str | None = None
    local: LocalFile | None = None

    @property
    def is_packed(self) -> bool:
        """Whether it can only be read after its archive is preloaded."""
        return self.member is not None and self.local is None


class NotListedError(Exception):
    """The members of an archive are known only once it is preloaded."""

    def __init__(self, file: RecordFile) -> None:
        super().__init__(f"{file.key}: its members are known once it is preloaded")
        self.file = file


class Contents:
    """The files of one record; tables of contents and the cache are read once, when needed."""

    def __init__(self, record: Record, session: requests.Session, cache: Cache) -> None:
        self._record = record
        self._session = session
        self._cache = cache
        self._parts: dict[RecordFile, dict[str, Part]] = {}
        self._fetched: set[RecordFile] = set()
        # By path; an archive is a folder, the first of those with its name.
        self._roots: dict[str, RecordFile] = {}
        for file in record.files:
            self._roots.setdefault(archive.stem(file.key) or file.key, file)

    def parts(self, file: RecordFile) -> dict[str, Part]:
        """Return what is in a file of the record, by path: the file itself, or its members.

        Raises
        ------
        NotListedError
            It is an archive without a table of contents, and is not in the cache.
        RemoteError, IntegrityError
            The table of contents cannot be read.
        """
        if file not in self._parts:
            self._parts[file] = self._found(file, self._cache.find(file))
        return self._parts[file]

    def fetch(self, file: RecordFile, *, force: bool) -> None:
        """Download a file of the record unless it is in the cache; with *force* once anyway.

        Raises
        ------
        RemoteError, IntegrityError, LocalError, LockedError, ConflictError
            As `Cache.fetch`.
        """
        local = self._cache.find(file)
        if local is None or (force and file not in self._fetched):
            local = self._cache.fetch(file, self._session, force=force)
            self._fetched.add(file)
        self._parts[file] = self._found(file, local)

    def listing(self) -> Listing:
        """Return the record as folders of files; archives are read when they are listed."""
        return Listing(f"zenodo {self._record.id}", self._list)

    def hint(self, paths: Iterable[str]) -> str:
        """Return how members of archives are named; empty if a path or pattern does so."""
        archives = [root for root, file in self._roots.items() if archive.stem(file.key)]
        known = ("**/", "*/", *(f"{root}/" for root in archives))
        if not archives or any(path.startswith(known) for path in paths):
            return ""
        return f"; files in {self._roots[archives[0]].key} are below {archives[0]}/"

    def part(self, path: str) -> Part | None:
        """Return the file at a path that was listed; None if there is none.

        The path may go on into a group of the file.
        """
        for known in dict.fromkeys((path, apart(path)[0])):
            for root, file in self._roots.items():
                if (known == root or known.startswith(f"{root}/")) and known in self.parts(file):
                    return self.parts(file)[known]
        return None

    def _found(self, file: RecordFile, local: list[LocalFile] | None) -> dict[str, Part]:
        folder = archive.stem(file.key)
        if folder is None:
            return {file.key: Part(file.key, file, None, local[0] if local else None)}
        if local is not None:
            paths = {member_path(folder, each.name): each for each in local}
            return {path: Part(path, file, each.name, each) for path, each in paths.items()}
        if not file.key.lower().endswith(".zip"):
            # Only a zip has a table of contents that can be read without the rest.
            raise NotListedError(file)
        with RangeFile(file.url, self._session, file.size) as remote:
            names = [member.name for member in archive.members(remote, file.url)]
        by_path = {member_path(folder, name): name for name in names}
        return {path: Part(path, file, name) for path, name in by_path.items()}

    def _list(self, folder: str) -> Iterator[Found]:
        above = f"{folder}/" if folder else ""
        for root, file in self._roots.items():
            is_archive = archive.stem(file.key) is not None
            inside = is_archive and above.startswith(f"{root}/")
            for path in self.parts(file) if inside else [root]:
                if path.startswith(above):
                    name, slash, _ = path.removeprefix(above).partition("/")
                    yield Found(above + name, bool(slash) or (is_archive and not inside))


def member_path(folder: str, member: str) -> str:
    """Return the path of a member, whether it is in a folder named as the archive or not."""
    return f"{folder}/{member.removeprefix(f'{folder}/')}"
