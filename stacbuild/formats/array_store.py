"""Files of arrays (NetCDF, HDF5, GRIB) as Zarr groups, which are read in place.

The metadata are Zarr's of format 3, made when a file is opened; chunks are read and decoded when
zarr requests them.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import MemoryStore, WrapperStore

from stacbuild.errors import IntegrityError
from stacbuild.formats.array_file import Array, ArrayFile, Json, Members
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.file_format import (
    ARRAY_FILES,
    MEDIA_TYPES,
    SIGNATURE,
    Format,
    format_of,
    format_of_bytes,
)
from stacbuild.formats.zarr_attributes import sound
from stacbuild.formats.zarr_bounds import MOST_CHUNK_BYTES
from stacbuild.formats.zarr_decode import is_time_unit
from stacbuild.formats.zarr_errors import not_found
from stacbuild.formats.zarr_members import Hidden
from stacbuild.net.http import is_page
from stacbuild.net.record_urls import split_content

NETCDF = MEDIA_TYPES[Format.NETCDF]
"""Media type of a NetCDF file."""

VERSION = "stacbuild:version"
"""Key in the ``encoding`` of a source's dataset: the version of its file, if a server states it."""

# Attributes that name other arrays.
_NAMING = ("coordinates", "bounds", "grid_mapping", "ancillary_variables")
# HDF5 files may begin with a block of other content.
_USER_BLOCKS = (512, 1024, 2048, 4096)


class ArrayStore(WrapperStore[Store]):
    """A group of a file as a Zarr store.

    Parameters
    ----------
    file
        The open file.
    arrays
        Its arrays by their path in the store.
    documents
        Content of metadata keys.
    hidden
        Arrays of the group that cannot be read, by name.
    """

    def __init__(
        self,
        file: ArrayFile,
        arrays: Mapping[str, Array],
        documents: Mapping[str, bytes],
        hidden: Mapping[str, Hidden],
    ) -> None:
        of = default_buffer_prototype().buffer
        content = {key: of.from_bytes(one) for key, one in documents.items()}
        super().__init__(MemoryStore(content, read_only=True))
        self.hidden = hidden
        self.group = ""
        """Path of the group in the file."""
        self.notes: dict[str, str] = {}
        self.version = ""
        """What the server said of the file, see `stacbuild.net.versions.version_text`."""
        self._file = file
        self._arrays = arrays

    @property
    def has_data(self) -> bool:
        """Whether the group itself has arrays besides coordinates."""
        return any(len(each.dims) > 1 for name, each in self._arrays.items() if "/" not in name)

    @property
    def media_type(self) -> str:
        """Media type of the file."""
        return MEDIA_TYPES.get(format_of(self._file.name), NETCDF)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read metadata or a chunk."""
        path, mark, numbers = f"{key}/".rpartition("/c/")
        array = self._arrays.get(path) if mark else None
        if array is None:
            return await self._store.get(key, prototype, byte_range)
        index = tuple(int(number) for number in numbers.strip("/").split("/") if number)
        data = await asyncio.to_thread(self._read, array, index)
        return prototype.buffer.from_bytes(_part(data, byte_range))

    def _read(self, array: Array, index: tuple[int, ...]) -> bytes:
        if array.dtype.hasobject:
            return _encoded(self._file.texts(array))
        return self._file.chunk(array, index)

    def keep(self) -> None:
        """Keep what another run would request again."""
        self._file.keep()

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._file.close()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def attach(found: xr.Dataset, store: Store) -> xr.Dataset:
    """Return a dataset of a store with its `VERSION`; closing it does `ArrayStore.keep`."""
    found.encoding[VERSION] = store.version if isinstance(store, ArrayStore) else ""
    if isinstance(store, ArrayStore):
        found.set_close(store.keep)
    return found


def _part(data: bytes, wanted: ByteRequest | None) -> bytes:
    if isinstance(wanted, RangeByteRequest):
        return data[wanted.start : wanted.end]
    if isinstance(wanted, OffsetByteRequest):
        return data[wanted.offset :]
    if isinstance(wanted, SuffixByteRequest):
        return data[-wanted.suffix :]
    return data


def _encoded(texts: list[str]) -> bytes:
    """Return texts in the codec vlen-utf8 of Zarr."""
    parts = [struct.pack("<I", len(texts))]
    for text in texts:
        data = text.encode()
        parts += [struct.pack("<I", len(data)), data]
    return b"".join(parts)


def split_href(href: str) -> tuple[str, str] | None:
    """Return the file of an href and the path of a group in it; None if it names no such file.

    A local path counts by what is there, a URL by the names in it.
    """
    if "://" not in href:
        for path in (Path(href), *Path(href).parents):
            if path.is_file():
                group = str(Path(href).relative_to(path))
                known = format_of(str(path)) in ARRAY_FILES or _is_array_file(path)
                return (str(path), "" if group == "." else group) if known else None
            if path.is_dir():
                break
        return None
    if format_of(href) not in ARRAY_FILES:
        return None
    if (content := split_content(href)) is not None:
        return content
    names = href.rstrip("/").split("/")
    at = next(n for n, name in enumerate(names) if n > 2 and format_of(name) in ARRAY_FILES)
    return "/".join(names[: at + 1]), "/".join(names[at + 1 :])


def _is_array_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return format_of_bytes(file.read(SIGNATURE)) in ARRAY_FILES
    except OSError:
        return False


def open_store(href: str, storage_options: Json | None = None) -> ArrayStore | None:
    """Open a group of a NetCDF, HDF5 or GRIB file; None if *href* names no such file.

    Raises
    ------
    IntegrityError
        It is damaged, or of another format.
    MissingError, NotFoundError
        There is no such file or group.
    RemoteError, LocalError
        It cannot be read.
    """
    at = split_href(href)
    if at is None:
        return None
    path, group = at
    content = FileBytes(path, storage_options)
    file = _reader(content)
    groups = file.groups()
    if group not in groups:
        known = ", ".join(f"{path}/{each}" for each in sorted(groups) if each) or "no groups"
        raise not_found(href, f"the file has no group {group}; there are {known}")
    store = _store(file, groups, group)
    store.version = content.version
    return store


def _reader(content: FileBytes) -> ArrayFile:
    start = content.read(0, 512)
    kind = format_of_bytes(start)
    if kind is Format.OTHER and any(
        format_of_bytes(content.read(at, at + SIGNATURE)) is Format.HDF5 for at in _USER_BLOCKS
    ):
        kind = Format.HDF5
    if kind is Format.HDF5:
        # Imported when used: other sources do not need HDF5.
        from stacbuild.formats.hdf5 import Hdf5File

        return Hdf5File(content)
    if kind is Format.NETCDF:
        from stacbuild.formats.netcdf_classic import ClassicFile

        return ClassicFile(content)
    if kind is Format.GRIB:
        from stacbuild.formats.grib import GribFile

        return GribFile(content)
    if is_page(start):
        raise IntegrityError(
            f"{content.name}: is an HTML page, not NetCDF, HDF5 or GRIB; fetch the file anew"
        )
    if kind is Format.OTHER:
        shown = start[:8] if start else "nothing"
        raise IntegrityError(
            f"{content.name}: is neither NetCDF, HDF5 nor GRIB (it begins with {shown!r}); fetch "
            "or write it anew"
        )
    raise IntegrityError(
        f"{content.name}: is {kind}, not NetCDF, HDF5 or GRIB; name it by the suffix of its format"
    )


def _store(file: ArrayFile, groups: Mapping[str, Members], group: str) -> ArrayStore:
    members = _with_inherited(groups, group)
    notes: dict[str, str] = {}
    arrays: dict[str, Array] = dict(_with_time(members.arrays))
    nodes: dict[str, Json] = {name: _document(name, each, notes) for name, each in arrays.items()}
    below = f"{group}/" if group else ""
    for path, each in groups.items():
        inner = path.removeprefix(below)
        if path == group or not path.startswith(below):
            continue
        nodes[inner] = _group(sound(inner, each.attrs, notes))
        for name, array in each.arrays.items():
            arrays[f"{inner}/{name}"] = array
            nodes[f"{inner}/{name}"] = _document(f"{inner}/{name}", array, {})
    root = _group(sound("", members.attrs, notes))
    inline = {"kind": "inline", "must_understand": False, "metadata": nodes}
    documents = {f"{name}/zarr.json": json.dumps(each).encode() for name, each in nodes.items()}
    documents["zarr.json"] = json.dumps({**root, "consolidated_metadata": inline}).encode()
    store = ArrayStore(file, arrays, documents, members.hidden)
    store.notes = notes
    store.group = group
    return store


def _with_inherited(groups: Mapping[str, Members], group: str) -> Members:
    """Return a group with the arrays of the groups above that it refers to (CF 1.11, 2.7)."""
    own = groups[group]
    arrays = dict(own.arrays)
    above = group
    while above:
        above = above.rpartition("/")[0]
        wanted = {dim for each in arrays.values() for dim in each.dims}
        for each in arrays.values():
            for key in _NAMING:
                wanted |= set(str(each.attrs.get(key, "")).replace(":", " ").split())
        for name, array in groups[above].arrays.items():
            if name in wanted and name not in arrays:
                arrays[name] = array
    attrs = groups[""].attrs | own.attrs
    return Members(arrays, attrs, own.hidden)


def _with_time(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return arrays with the only dimension of times named ``time``."""
    used = {dim for each in arrays.values() for dim in each.dims}
    times = [
        name
        for name, each in arrays.items()
        if each.dims == (name,) and is_time_unit(each.attrs.get("units"))
    ]
    if len(times) != 1 or "time" in used or "time" in arrays:
        return arrays
    old = times[0]
    return {
        "time" if name == old else name: replace(
            each, dims=tuple("time" if dim == old else dim for dim in each.dims)
        )
        for name, each in arrays.items()
    }


def _group(attrs: Any) -> Json:
    return {"zarr_format": 3, "node_type": "group", "attributes": attrs}


def _document(path: str, array: Array, notes: dict[str, str]) -> Json:
    """Return the metadata of an array as Zarr's."""
    if array.chunk_bytes > MOST_CHUNK_BYTES:
        raise IntegrityError(
            f"{array.path}: a chunk of {array.chunk_bytes} bytes, which has to be decoded at once; "
            "rechunk the file, such as with nccopy -c"
        )
    is_text = array.dtype.hasobject
    # Texts are decoded already; xarray would decode characters in the stated encoding.
    attrs = {key: each for key, each in array.attrs.items() if not is_text or key != "_Encoding"}
    endian = "big" if array.dtype.byteorder == ">" else "little"
    plain: Json = {"name": "bytes"}
    if array.dtype.itemsize > 1:
        plain["configuration"] = {"endian": endian}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(array.shape),
        "data_type": "string" if is_text else array.dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(array.shape if is_text else array.chunks)},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "" if is_text else (False if array.dtype.kind == "b" else 0),
        "codecs": [{"name": "vlen-utf8"} if is_text else plain],
        "attributes": sound(path, attrs, notes),
        "dimension_names": list(array.dims),
    }
