"""What lies in a cube and is no part of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.cubes.forms import whole

if TYPE_CHECKING:
    import pystac

_OF_A_GROUP = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zmetadata", ".zarray"})


def strangers(path: Path, item: pystac.Item, *, whole_tree: bool) -> Iterator[Path]:
    """Yield what lies in a cube and is no part of it: files, folders, variables of a netCDF file.

    Parameters
    ----------
    item
        That of the cube, which names its arrays.
    whole_tree
        Whether to look at the chunks too, which may be many.
    """
    arrays = _arrays(item)
    if path.is_file():
        yield from (path / name for name in _variables(path) if name not in arrays)
        return
    for entry in _scan(path):
        if entry.is_symlink() or (
            entry.name not in _OF_A_GROUP
            and not (entry.is_dir() and (entry.name in arrays or _is_level(entry.name, item)))
        ):
            yield Path(entry.path)
        elif entry.is_dir() and entry.name in arrays:
            yield from _in_array(Path(entry.path), whole_tree)
        elif entry.is_dir():
            for inner in _scan(Path(entry.path)):
                is_known = inner.name in _OF_A_GROUP or inner.name in arrays
                if inner.is_symlink() or not is_known:
                    yield Path(inner.path)
                elif inner.is_dir():
                    yield from _in_array(Path(inner.path), whole_tree)


def strange_keys(keys: Iterable[str], item: pystac.Item) -> list[str]:
    """Return which keys below a cube in a bucket are no part of it.

    Parameters
    ----------
    keys
        Of objects, below the cube.
    item
        That of the cube, which names its arrays.
    """
    arrays = _arrays(item)

    def is_own(key: str) -> bool:
        first, _, rest = key.partition("/")
        if first not in arrays and rest and _is_level(first, item):
            first, _, rest = rest.partition("/")
        return is_chunk_key(rest) if first in arrays and rest else not rest and first in _OF_A_GROUP

    return [key for key in keys if not is_own(key)]


def is_chunk_key(key: str) -> bool:
    """Return whether a key below an array is one of its chunks or metadata, in any Zarr format."""
    parts = key.split("/")
    if key in ("zarr.json", ".zarray", ".zattrs"):
        return True
    numbers = parts[1:] if parts[0] == "c" else [part for name in parts for part in name.split(".")]
    return key == "c" or all(part.isdecimal() for part in numbers)


def is_zarr_key(key: str) -> bool:
    """Return whether a key below a cube is of a group, or of an array in it or in a level."""
    parts = key.split("/")
    if parts[-1] in _OF_A_GROUP:
        return len(parts) <= 3
    return any(is_chunk_key("/".join(parts[above:])) for above in (1, 2) if parts[above:])


def _arrays(item: pystac.Item) -> set[str]:
    return {
        *item.properties.get("cube:variables", {}),
        *item.properties.get("cube:dimensions", {}),
    }


def _variables(path: Path) -> list[str]:
    """Return the names of variables and groups in a netCDF file; none if it cannot be read."""
    # Imported when used: it takes a while, and most cubes are folders.
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        return []
    with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError), h5py.File(path) as file:
        return sorted(file)
    return []


def _in_array(path: Path, whole_tree: bool) -> Iterator[Path]:
    for entry in _scan(path):
        if entry.is_symlink() or not is_chunk_key(entry.name):
            yield Path(entry.path)
        elif whole_tree and entry.is_dir():
            for folder, folders, names in os.walk(entry.path):
                for name in [*folders, *names]:
                    inner = Path(folder, name)
                    if not is_chunk_key(inner.relative_to(path).as_posix()) or inner.is_symlink():
                        yield inner


def _is_level(name: str, item: pystac.Item) -> bool:
    return name.isdecimal() and whole(item) is not item.assets["data"]


def _scan(path: Path) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    return []
