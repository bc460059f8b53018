"""Files in a folder, described and grouped into data ids."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.config.patterns import is_pattern
from stacbuild.errors import Failures, LocalError, StacbuildError
from stacbuild.formats.file_format import Format, format_of
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted, harvester_of, lister_of
from stacbuild.sources.file_names import dated
from stacbuild.sources.listing_base import make_store
from stacbuild.sources.own_file_groups import FileGroup, OwnFile, files_apart, groups_of
from stacbuild.stac.catalog import DATA_ID

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.file_names import DatedName

_MOST_FILES = 10_000


@dataclass(frozen=True)
class OwnFiles:
    """What a folder has.

    Parameters
    ----------
    root
        Absolute path of the folder.
    unreadable
        One line for each file that cannot be a source, with its path and the reason.
    apart
        One line for files that others belong to by their names, but not by their headers.
    """

    root: Path
    groups: tuple[FileGroup, ...]
    unreadable: tuple[str, ...]
    apart: tuple[str, ...] = ()


def find_files(paths: Sequence[Path]) -> OwnFiles:
    """Return the data in folders and files on this machine; only headers are read.

    Parameters
    ----------
    paths
        A folder, or files and Zarr stores.

    Raises
    ------
    LocalError
        A path does not exist, or there is nothing that can be read.
    """
    root, entries, unreadable = _entries(paths)
    if len(entries) > _MOST_FILES:
        raise LocalError(f"{root}: has {len(entries)} files, more than {_MOST_FILES}; name some")
    items, failed = _describe(root, entries)
    unreadable += failed
    names = {path: dated(path) for path in items}
    templates = {name.template for name in names.values()}
    files = [OwnFile(path, _may(names[path], templates), item) for path, item in items.items()]
    if not files:
        why = f" ({len(unreadable)} cannot be read: {unreadable[0]})" if unreadable else ""
        raise LocalError(
            f"{root}: has no data that stacbuild reads{why}; it reads GeoTIFF, Zarr, NetCDF"
        )
    groups = tuple(groups_of(files, entries))
    return OwnFiles(root, groups, tuple(unreadable), tuple(files_apart(files, groups)))


def _may(name: DatedName, templates: set[str]) -> DatedName:
    """Return a name whose May is that of the other names: the short form equals the long one."""
    long = name.template.replace("%b", "%B")
    return replace(name, template=long) if long in templates else name


def _entries(paths: Sequence[Path]) -> tuple[Path, list[str], list[str]]:
    """Return the common folder, paths below it, and lines about those that are left out."""
    for path in paths:
        if not path.exists():
            raise LocalError(
                f"{path}: there is no such folder or file; name that of your data, or a "
                "configuration that ends in .yml"
            )
    # Links are kept, as a user wrote them.
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    folders = [path for path in absolute if path.is_dir() and not _is_zarr(path)]
    if len(folders) == len(absolute) == 1:
        root = folders[0]
    else:
        above = [path if path in folders else path.parent for path in absolute]
        root = Path(os.path.commonpath(above))
    found: dict[str, None] = {}
    left_out: list[str] = []
    for path in absolute:
        if path in folders:
            for name in _below(path, left_out):
                found.setdefault((path / name).relative_to(root).as_posix())
        else:
            found.setdefault(path.relative_to(root).as_posix())
    return root, sorted(found), left_out


def _below(folder: Path, left_out: list[str]) -> Iterator[str]:
    store = make_store("file", str(folder))
    yield from (entry.data_id for entry in lister_of(store).entries(store, None))
    for where, folders, names in os.walk(folder):
        folders[:] = [
            each for each in folders if not (each.startswith(".") or _is_zarr(Path(where, each)))
        ]
        for name in sorted(names):
            kind, path = format_of(name), Path(where, name)
            if kind.is_read and path.is_symlink() and path.is_file():
                # Listings leave links out, as those to folders may form cycles.
                yield path.relative_to(folder).as_posix()
            if not kind.is_read and kind is not Format.OTHER:
                left_out.append(f"{path.relative_to(folder)}: is {kind}, which is not read")


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _describe(root: Path, entries: Sequence[str]) -> tuple[dict[str, pystac.Item], list[str]]:
    """Return the items of the paths below a folder, and one line for each without."""
    store = make_store("file", str(root))
    usable = [path for path in entries if not is_pattern(path)]
    others = [path for path in entries if is_pattern(path)]
    failed = [f"{path}: has a wildcard or a brace in its name; rename it" for path in others]
    items: dict[str, pystac.Item] = {}
    with progress.reported_to(_OnlyTasks(progress.current())):
        try:
            wanted = Wanted(tuple(usable))
            for found in harvester_of(store).harvest(store, wanted, Profiles.load(())):
                for item in found.items:
                    items[str(item.properties[DATA_ID])] = item
        except Failures as failures:
            failed += [_line(root, name, error) for name, error in failures.failures]
        except StacbuildError as error:
            missing = [path for path in usable if path not in items]
            failed += [_line(root, path, error) for path in missing]
    for path in [each for each, item in items.items() if _is_cube(root / each)]:
        del items[path]
        failed.append(f"{path}: is a cube that stacbuild built")
    return items, failed


class _OnlyTasks:
    """Shows progress, but no messages: they come with the harvest, too."""

    def __init__(self, reporter: progress.Reporter) -> None:
        self.task = reporter.task

    def say(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""


def _is_cube(path: Path) -> bool:
    """Return whether a Zarr store is a cube of stacbuild, or a level of one."""
    import zarr

    if not path.is_dir():
        return False
    found = (zarr.open_group(each, mode="r") for each in (path, path.parent) if _is_zarr(each))
    return any("stacbuild_fingerprint" in group.attrs for group in found)


def _line(root: Path, path: str, error: StacbuildError) -> str:
    text = " ".join(str(error).split())
    for prefix in (f"{root / path}: ", f"{path}: "):
        text = text.removeprefix(prefix)
    return f"{path}: {text}"
