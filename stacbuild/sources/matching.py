"""The files that a data id matches, from listings of folders."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stacbuild.config.data_ids import entries
from stacbuild.config.patterns import Pattern, Period, compiled, is_pattern, with_any_depth
from stacbuild.errors import ConfigError, NotFoundError, StacbuildError
from stacbuild.formats.file_format import ARRAY_FILES, Format, apart, format_of
from stacbuild.net.versions import is_other_version
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.item_time import FILE

if TYPE_CHECKING:
    import pystac

# Each folder is one request, or one read of a directory.
_MOST_FOLDERS = 2000
# Most names in a message.
_NAMED = 5


@dataclass(frozen=True)
class Found:
    """A file or folder in a listing.

    Parameters
    ----------
    path
        Path below the root of the store.
    is_link
        Whether it is a symbolic link.
    version
        Which bytes a file has, see `stacbuild.stac.checksums.SERVED`; empty if not known.
    is_group
        Whether the path goes on into a group of a file of arrays; whether there is such a group is
        not known.
    """

    path: str
    is_folder: bool
    is_link: bool = False
    version: str = ""
    is_group: bool = False


@dataclass(frozen=True)
class File:
    """A file, or Zarr group, of a data id.

    Parameters
    ----------
    path
        Path below the root of the store.
    period
        The period that a field of the pattern states, if it has one.
    """

    path: str
    period: Period | None = None


@dataclass
class Matched:
    """The files of a data id, in the order in which they are mosaicked.

    Parameters
    ----------
    notes
        Warnings, about files that are left out.
    """

    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_data(path: str, *, is_folder: bool = False) -> bool:
    """Return whether the name of a file or folder is that of a source that can be read."""
    kind = format_of(path.rpartition("/")[2])
    return kind.is_read and (kind is Format.ZARR) == is_folder


class Listing:
    """Folders of a store, each listed once.

    Parameters
    ----------
    where
        Name of the store's root in messages.
    list_folder
        Returns what is in a folder below the root, ``""`` for the root; nothing if there is no such
        folder.
    checked
        Whether paths without wildcards are looked up; if not, they are taken as they are, so that
        a server need not list its folders.
    """

    def __init__(
        self, where: str, list_folder: Callable[[str], Iterable[Found]], *, checked: bool = True
    ) -> None:
        self.where = where
        self.checked = checked
        self._list = list_folder
        self._known: dict[str, dict[str, Found]] = {}

    def folder(self, path: str) -> dict[str, Found]:
        """Return what is in a folder, by name, sorted."""
        if path not in self._known:
            if len(self._known) == _MOST_FOLDERS:
                raise StacbuildError(
                    f"{self.where}: more than {_MOST_FOLDERS} folders would have to be listed; "
                    "name folders in the pattern, or one further down as root"
                )
            found = {each.path.rpartition("/")[2]: each for each in self._list(path)}
            self._known[path] = dict(sorted(found.items()))
        return self._known[path]

    def find(self, path: str) -> Found | None:
        """Return a file or folder; None if there is none."""
        if not self.checked:
            return (
                None if is_pattern(path) else Found(path.strip("/"), is_data(path, is_folder=True))
            )
        file, group = apart(path)
        above = self.find(file) if group and not is_pattern(path) else None
        if above is not None and not above.is_folder:
            return Found(path.strip("/"), is_folder=False, is_group=True)
        folder, _, name = path.strip("/").rpartition("/")
        return self.folder(folder).get(name)

    def has_other(self, path: str, version: str) -> bool:
        """Return whether a folder that was listed states another version of a file."""
        folder, _, name = apart(path)[0].rpartition("/")
        found = self._known.get(folder, {}).get(name)
        stated = found.version if found is not None else ""
        return bool(version and stated) and is_other_version(version, stated)

    def seen(self) -> Iterator[str]:
        """Yield the paths of all files that were listed."""
        for folder in self._known.values():
            for each in folder.values():
                if not each.is_folder or is_data(each.path, is_folder=True):
                    yield each.path


def match(data_id: str, listing: Listing) -> Matched:
    """Return the files that a data id of several files matches: as in its list, then by name.

    Raises
    ------
    ConfigError
        A pattern has a field that cannot be read.
    NotFoundError
        A path of a list is missing, or a pattern matches nothing; with similar names.
    StacbuildError
        There are too many folders.
    """
    matched = Matched()
    wrong: list[tuple[str, dict[str, str]]] = []
    missing: list[str] = []
    by_path: dict[str, str] = {}
    for entry in entries(data_id):
        if is_pattern(entry) and listing.find(entry) is None:
            found, unfit = _matching(entry, listing, matched)
            wrong.append((entry, unfit))
        elif listing.find(entry) is None:
            missing.append(entry)
            continue
        else:
            found = [File(entry.strip("/"))]
        # A file that is named before a pattern comes first, and once.
        new = [each for each in found if by_path.setdefault(each.path, entry) == entry]
        matched.files += new
    for entry, unfit in wrong:
        # What another entry matches is not left out.
        left_out = [text for path, text in unfit.items() if path not in by_path]
        matched.notes += _unfit(entry, left_out)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise NotFoundError(
            f"{listing.where}: there is no {', '.join(missing[:_NAMED])}{more}, named in the list"
            f"{_similar(missing[0], listing)}"
        )
    return matched


def why_other_files(data_id: str, listing: Listing, known: Mapping[str, str]) -> str:
    """Return why a data id matches other files than the known ones; empty if it does not.

    If folders cannot be listed, nothing counts as changed: harvesting would fail.

    Parameters
    ----------
    known
        The version of each known file, by path; empty if it is not known.
    """
    try:
        now = [file.path for file in match(data_id, listing).files]
    except NotFoundError as error:
        return str(error)
    except StacbuildError:
        return ""
    left = set(now)
    added = [path for path in now if path not in known]
    gone = [path for path in known if path not in left]
    changed = [path for path, version in known.items() if listing.has_other(path, version)]
    changes = [("added", added), ("removed", gone), ("changed", changed)]
    return " and ".join(f"{_listed(paths)} {what}" for what, paths in changes if paths)


def known_files(items: Iterable[pystac.Item]) -> dict[str, str]:
    """Return the version of each file of a data id, for `why_other_files`."""
    return {
        str(item.properties[FILE]): str(item.assets["data"].extra_fields.get(SERVED, ""))
        for item in items
    }


def _unfit(entry: str, wrong: Sequence[str]) -> list[str]:
    """Return the warning about files whose names do not fit the formats of a pattern."""
    names = "its name" if len(wrong) == 1 else "their names"
    left_out = f"{_listed(sorted(wrong))}: left out, as {entry} does not match {names}"
    return [left_out] if wrong else []


def _matching(entry: str, listing: Listing, matched: Matched) -> tuple[list[File], dict[str, str]]:
    """Return the files that a pattern matches, by name, and why others do not fit it."""
    try:
        pattern = compiled(entry)
    except ValueError as error:
        raise ConfigError(f"data_id: {error}") from error
    files: list[File] = []
    wrong: dict[str, str] = {}
    others: list[str] = []
    links: list[str] = []
    walked = {found.path: found for found in _walk("", _components(entry), listing, links)}
    for found in walked.values():
        try:
            period = pattern.period(found.path)
        except ValueError as error:
            why = f" ({error})" if pattern.matches(found.path) else ""
            wrong[found.path] = f"{found.path}{why}"
            continue
        if found.is_group or is_data(found.path, is_folder=found.is_folder):
            files.append(File(found.path, period))
        elif not found.is_folder:
            others.append(found.path)
    if links:
        matched.notes.append(
            f"{_listed(links)}: left out, as ** follows no links to folders; name "
            f"{'it' if len(links) == 1 else 'them'} in the pattern"
        )
    if not files:
        raise NotFoundError(_nothing(pattern, listing, others, list(wrong.values())))
    return sorted(files, key=lambda file: file.path), wrong


def _nothing(
    pattern: Pattern, listing: Listing, others: Sequence[str], wrong: Sequence[str]
) -> str:
    if others:
        return (
            f"{listing.where}: {pattern.text} matches {_listed(sorted(others))} only, of a format "
            "that is not read"
        )
    if wrong:
        names = "the name" if len(wrong) == 1 else "the names"
        return (
            f"{listing.where}: {pattern.text} matches no file; its fields do not fit {names} of "
            f"{_listed(sorted(wrong))}"
        )
    return f"{listing.where}: {pattern.text} matches no file{_similar(pattern.text, listing)}"


def _similar(name: str, listing: Listing) -> str:
    """Return the end of a message: similar names, or else some of those that there are."""
    paths = sorted(listing.seen())
    plain = re.sub(r"\{[^{}]*\}|[*?]+", "", name).lower()
    # Of very many names, only the first are compared.
    lowered = {path.lower(): path for path in reversed(paths[:1000])}
    close = difflib.get_close_matches(plain, lowered, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(lowered[each] for each in close)}?"
    found = [path for path in paths if is_data(path, is_folder=path.lower().endswith(".zarr"))]
    if paths:
        return f"; there are: {_listed(found or paths)}"
    below = "" if plain == name.lower() or "**" in name else f"; **/{name} looks into folders, too"
    return f"; there are no files in there{below}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _components(entry: str) -> list[str]:
    """Return a pattern folder by folder; a slash in a field's format separates two fields."""
    apart = with_any_depth(entry.strip("/"))
    while (
        new := re.sub(r"\{(\w+):([^{}/]*)/([^{}]*)\}", r"{\1:\2}/{\1:\3}", apart, count=1)
    ) != apart:
        apart = new
    return re.sub(r"(^|/)\*\*/(\*\*/)+", r"\1**/", apart).split("/")


def _walk(
    folder: str, components: Sequence[str], listing: Listing, links: list[str]
) -> Iterator[Found]:
    """Yield what the components of a pattern match, without the formats of its fields."""
    first, *rest = components
    if first == "**":
        yield from _walk(folder, rest, listing, links)
        for name, found in listing.folder(folder).items():
            # What is in a Zarr store is part of it.
            if not found.is_folder or name.startswith(".") or name.lower().endswith(".zarr"):
                continue
            if found.is_link:
                links.append(found.path)
                continue
            yield from _walk(found.path, components, listing, links)
        return
    if rest and not is_pattern(first):
        yield from _walk(f"{folder}/{first}".strip("/"), rest, listing, links)
        return
    matching = _loosely(first)
    for name, found in listing.folder(folder).items():
        if not matching.matches(name, loosely=True):
            continue
        if not rest:
            yield found
        elif found.is_folder:
            yield from _walk(found.path, rest, listing, links)
        elif format_of(name) in ARRAY_FILES and not any(map(is_pattern, rest)):
            yield Found("/".join((found.path, *rest)), is_folder=False, is_group=True)


def _loosely(component: str) -> Pattern:
    """Return the pattern of a component with each field as ``*``, since a date may be parted."""
    return compiled(re.sub(r"\{[A-Za-z_]\w*(:[^{}]*)?\}", "*", component))
