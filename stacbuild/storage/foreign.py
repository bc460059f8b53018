"""Find foreign files and objects in a cube."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import ConflictError
from stacbuild.storage.formats import whole

if TYPE_CHECKING:
    import pystac

CONSOLIDATED = ("zarr.json", ".zmetadata")
"""Keys of a group's consolidated metadata, in either Zarr format."""

# Number of files in a message.
_NAMED = 3
_OF_A_GROUP = frozenset({"zarr.json", ".zgroup", ".zattrs", ".zmetadata", ".zarray"})


@dataclass(frozen=True)
class Parts:
    """The arrays and levels of a cube.

    Parameters
    ----------
    arrays
        Names of its variables and coordinates; None if unknown.
    levels
        Whether it is a pyramid, each level of which is a group with these arrays.
    """

    arrays: frozenset[str] | None
    levels: bool

    @classmethod
    def of_item(cls, item: pystac.Item) -> Parts:
        """Return the parts that the item of a cube lists."""
        names = (item.properties.get(key, {}) for key in ("cube:variables", "cube:dimensions"))
        arrays = frozenset(name for each in names for name in each)
        return cls(arrays, whole(item) is not item.assets["data"])

    @classmethod
    def of_metadata(cls, content: Mapping[str, Any]) -> Parts:
        """Return the parts that the consolidated metadata of a cube list.

        Raises
        ------
        KeyError, TypeError, AttributeError
            If the metadata are not consolidated.
        """
        if "consolidated_metadata" in content:
            nodes = content["consolidated_metadata"]["metadata"]
            paths = {path for path, node in nodes.items() if node["node_type"] == "array"}
        else:
            found = (key.rpartition("/") for key in content["metadata"])
            paths = {path for path, _, name in found if name == ".zarray"}
        names = frozenset(path.rpartition("/")[2] for path in paths)
        return cls(names, any("/" in path for path in paths))

    @classmethod
    def of_cube(cls, path: Path) -> Parts:
        """Return the parts that a cube in a folder lists; those of a netCDF file are unknown."""
        if path.is_file():
            return cls(None, levels=False)
        for name in CONSOLIDATED:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                return cls.of_metadata(json.loads((path / name).read_bytes()))
        return cls(frozenset(), levels=False)

    def is_level(self, name: str) -> bool:
        """Return whether a name is that of a level."""
        return self.levels and name.isdecimal()


def foreign_paths(path: Path, parts: Parts, *, whole_tree: bool) -> Iterator[Path]:
    """Yield foreign files, folders, and variables of a netCDF file, in a cube.

    Parameters
    ----------
    whole_tree
        Check the chunks too, which may be many.
    """
    arrays = parts.arrays
    if arrays is None:
        return
    if path.is_file():
        yield from (path / name for name in _variables(path) if name not in arrays)
        return
    for entry in _scan(path):
        if entry.is_symlink() or (
            entry.name not in _OF_A_GROUP
            and not (entry.is_dir() and (entry.name in arrays or parts.is_level(entry.name)))
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


def check_foreign(path: Path, item: pystac.Item | None = None) -> None:
    """Check that no foreign files are in a cube that is to be removed.

    Raises
    ------
    ConflictError
        If there are some; names them.
    """
    parts = Parts.of_cube(path) if item is None else Parts.of_item(item)
    if found := list(foreign_paths(path, parts, whole_tree=True)):
        raise ConflictError(foreign_message(found))


def foreign_message(found: Sequence[object]) -> str:
    """Return the message on foreign files or objects in a cube."""
    named = ", ".join(map(str, found[:_NAMED]))
    if len(found) == 1:
        return f"{named}: is in the cube, but stacbuild did not write it; move it away"
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{named}{more}: are in the cube, but stacbuild did not write them; move them away"


def foreign_keys(keys: Iterable[str], parts: Parts) -> list[str]:
    """Return the foreign ones of keys below a cube in a bucket.

    Parameters
    ----------
    keys
        Keys of objects, relative to the cube.
    """
    arrays = parts.arrays or frozenset()

    def is_own(key: str) -> bool:
        first, _, rest = key.partition("/")
        if first not in arrays and rest and parts.is_level(first):
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


def _variables(path: Path) -> list[str]:
    """Return the names of variables and groups in a netCDF file; none if it cannot be read."""
    # Imported late: it is slow to import, and most cubes are folders.
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


def _scan(path: Path) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    return []
