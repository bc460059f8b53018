"""Check that a cube does not overlap with the files of its source items.

`stacbuild.config.overlaps` compares the paths of the configuration; the files of a third-party
catalog are known only after it is harvested.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.config.addresses import Address, address_of
from stacbuild.config.overlaps import Spot, is_build
from stacbuild.errors import ConflictError

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.s3.store import S3Store

_OF_ZARR = ("zarr.json", ".zgroup", ".zarray")
_ELSEWHERE = "take another identifier, or another storage root"


def check_folder(path: Path, items: Iterable[pystac.Item]) -> None:
    """Check that a cube does not overwrite its sources, and is not inside any Zarr store.

    Parameters
    ----------
    path
        Path of the cube.
    items
        Its source items.

    Raises
    ------
    ConflictError
        If it does; names both.
    """
    output = Spot.of(path)
    _check_files(path, output, items)
    for above in output.path.parents:
        if any((above / name).is_file() for name in _OF_ZARR):
            raise ConflictError(
                f"{path}: lies within the Zarr store {above}, of which the cube would become a "
                f"part; {_ELSEWHERE}"
            )


def check_bucket(store: S3Store, identifier: str, items: Iterable[pystac.Item]) -> None:
    """Check that the sources of a cube in a bucket are not earlier builds of it.

    Raises
    ------
    ConflictError
        If one is; names both.
    """
    for item in items:
        if _is_own(item, store.address(""), identifier):
            raise ConflictError(
                f"{item.assets['data'].href}: is a cube that a build of dataset "
                f"{identifier!r} would replace, and its own source by the item "
                f"{_named(item)}; {_ELSEWHERE}"
            )


def _check_files(path: Path, output: Spot, items: Iterable[pystac.Item]) -> None:
    folders: dict[Path, Spot] = {}
    for item in items:
        href = item.assets["data"].href
        if "://" in href:
            continue
        source = Path(href)
        # Compare folders, which are few; files only differ from them if they are links.
        if source.parent not in folders:
            folders[source.parent] = Spot.of(source.parent)
        folder = folders[source.parent]
        inside = folder.is_within(output) or source == path
        if not inside and (source.is_symlink() or source.is_dir() or _is_one_file(source, path)):
            inside = Spot.of(source).is_within(output)
        if inside:
            raise ConflictError(
                f"{source}: lies where the cube would be written to ({path}), which is its own "
                f"source by the item {_named(item)}; {_ELSEWHERE}"
            )


def _is_one_file(source: Path, path: Path) -> bool:
    """Return whether a source is a hard link to the cube."""
    try:
        return path.is_file() and source.samefile(path)
    except OSError:
        return False


def _is_own(item: pystac.Item, root: Address, identifier: str) -> bool:
    """Return whether the data of an item are a build of the cube in the bucket of *root*."""
    server, key = address_of(item.assets["data"].href)
    length = len(root[1])
    return (server, key[:length]) == root and is_build(key[length:], identifier)


def _named(item: pystac.Item) -> str:
    return item.get_self_href() or item.id
