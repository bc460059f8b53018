"""Listing of Zarr groups and GeoTIFFs, folder by folder, in a bucket or a local folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stacbuild import progress
from stacbuild.errors import MissingError, StacbuildError
from stacbuild.formats.file_format import Format, format_of
from stacbuild.formats.zarr_errors import read_error
from stacbuild.formats.zarr_store import group_paths
from stacbuild.sources.listing_base import Entry, matches

# Each folder is one request.
_MOST_FOLDERS = 2000

_ZARR = frozenset({"zarr.json", ".zgroup", ".zmetadata"})


@dataclass(frozen=True)
class Root:
    """The folder to list.

    Parameters
    ----------
    system
        An fsspec file system.
    path
        Path of the folder in it.
    prefix
        Prefix of URLs of such paths, such as ``s3://``.
    options
        Arguments for s3fs on S3.
    """

    system: Any
    path: str
    prefix: str = ""
    options: dict[str, Any] = field(default_factory=dict, repr=False)


def list_objects(root: Root, match: str | None) -> Iterator[Entry]:
    """Yield Zarr groups with arrays, nested ones too, and GeoTIFFs below the root.

    Raises
    ------
    StacbuildError
        There are more than 2000 folders.
    """
    system, top, options = root.system, root.path, root.options
    where = f"{root.prefix}{top}"
    folders = deque([top])
    seen = 0
    with progress.task(f"{where}: list", unit="items") as task:
        while folders:
            folder = folders.popleft()
            seen += 1
            if seen > _MOST_FOLDERS:
                raise StacbuildError(
                    f"{where}: has more than {_MOST_FOLDERS} folders; name one further down as root"
                )
            found = _listed(system, folder, where, options)
            task.advance()
            names = {each["name"].rstrip("/").rpartition("/")[2] for each in found}
            if names & _ZARR:
                # A root that is a group itself has no data id.
                for path in group_paths(f"{root.prefix}{folder}", options) or [""]:
                    name = _below(top, f"{folder}/{path}")
                    if name and matches(name, match):
                        yield Entry(name, str(Format.ZARR))
                continue
            for each in found:
                name = each["name"].rstrip("/")
                # Links may form cycles.
                if name == folder or each.get("islink"):
                    continue
                if each["type"] == "directory":
                    folders.append(name)
                elif (kind := _file_format(name)).is_read and matches(_below(top, name), match):
                    yield Entry(_below(top, name), str(kind), int(each["size"]))


def _listed(system: Any, folder: str, where: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return list(system.ls(folder, detail=True))
    except FileNotFoundError:
        raise MissingError(f"{where}: there is no such folder; check the path") from None
    except Exception as error:
        raise read_error(error, where, options) from error


def _file_format(name: str) -> Format:
    kind = format_of(name.rpartition("/")[2])
    # A file named like a folder, such as a.zarr, is none.
    return Format.OTHER if kind is Format.ZARR else kind


def _below(top: str, name: str) -> str:
    return name.removeprefix(top).strip("/")
