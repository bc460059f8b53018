"""Reading of HDF5 and NetCDF-4 files: metadata by HDF5 itself, chunks by their byte ranges.

HDF5 reads one chunk at a time in the whole process. Here it returns where the chunks of an array
are, once, and they are read and decoded concurrently. The dimensions of netCDF-4 are HDF5's
dimension scales (https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html).
"""

from __future__ import annotations

import math
import threading
import traceback
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.array_file import (
    MOST_TEXTS,
    Array,
    Json,
    Members,
    attribute,
    fill_value,
    padded,
    parts,
)
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.hdf5_filters import DECODED, NAMES, Filter, decode
from stacbuild.formats.kept_pages import keep, restore
from stacbuild.formats.zarr_members import Hidden

# Attributes by which HDF5 and netCDF-4 state dimensions and versions.
_INTERNAL = {
    *("CLASS", "DIMENSION_LABELS", "DIMENSION_LIST", "NAME", "REFERENCE_LIST"),
    *("_NCCOPY", "_NCProperties", "_Netcdf4Coordinates", "_Netcdf4Dimid", "_nc3_strict"),
}
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
_NO_COORDINATE = "_nc4_non_coord_"
_MOST_GROUPS = 1000
# Arrays of one dimension are read by HDF5, whole.
_SMALL = 64 << 20

Index = dict[tuple[int, ...], tuple[int, int, int]]
"""Offset, length and filter mask of each chunk, by its position."""


@dataclass(frozen=True)
class _Layout:
    """How the values of an array are stored: in chunks with filters, or in one piece."""

    filters: tuple[Filter, ...]
    start: int | None
    by_hdf5: bool


class Hdf5File:
    """A reader of HDF5 (an `stacbuild.formats.array_file.ArrayFile`).

    Raises
    ------
    IntegrityError
        It is damaged; here and in all methods.
    RemoteError, LocalError
        Its bytes cannot be read.
    """

    def __init__(self, content: FileBytes) -> None:
        self._bytes = content
        self._lock = threading.RLock()
        self._layouts: dict[str, _Layout] = {}
        self._indices: dict[str, Index] = {}
        self._stored_shapes: dict[str, tuple[int, ...]] = {}
        self._groups: dict[str, Members] | None = None
        with self._reading("is not a readable HDF5 file"):
            # By its path HDF5 would lock a local file against writers, and refuse one that another
            # library has open in this process with other locks.
            opened = content.open()
            self._pages = None if content.is_local else opened.pages
            self._kept = restore(self._pages, content.identity) if self._pages else 0
            self._file = h5py.File(opened, "r")
        # Also at exit: HDF5 would close it after Python has ended, and crash.
        weakref.finalize(self, self._file.close)

    @property
    def name(self) -> str:
        """Name of the file in messages."""
        return self._bytes.name

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def keep(self) -> None:
        """Keep what HDF5 read of a remote file, for other runs."""
        if self._pages is not None:
            self._kept = keep(self._pages, self._bytes.identity, self._kept)

    def groups(self) -> dict[str, Members]:
        """Return the content of each group by its path, ``""`` for the root."""
        with self._lock:
            if self._groups is None:
                with self._reading("its metadata are damaged"):
                    self._groups = dict(self._walked())
                    self._extend(self._groups)
            return self._groups

    def _walked(self) -> Iterator[tuple[str, Members]]:
        waiting: list[tuple[str, h5py.Group]] = [("", self._file)]
        seen: set[int] = set()
        while waiting and len(seen) < _MOST_GROUPS:
            path, group = waiting.pop(0)
            # Links may form cycles.
            address = h5py.h5o.get_info(group.id).addr
            if address in seen:
                continue
            seen.add(address)
            found = Members(attrs=_attributes(group))
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    # Links may lead to other files.
                    continue
                node = group[name]
                inner = f"{path}/{name}".strip("/")
                if isinstance(node, h5py.Group):
                    waiting.append((inner, node))
                elif isinstance(node, h5py.Dataset):
                    self._add(found, name.removeprefix(_NO_COORDINATE), inner, node)
            yield path, found

    def _extend(self, groups: dict[str, Members]) -> None:
        """Make arrays as long as their unlimited dimensions, which few may reach."""
        axes: dict[str, list[str | None]] = {}
        lengths: dict[str, int] = {}
        for array in (each for group in groups.values() for each in group.arrays.values()):
            node = self._file[array.path]
            if None not in node.maxshape:
                continue
            ends = zip(_scales(node), node.maxshape, strict=True)
            axes[array.path] = [scale if end is None else None for scale, end in ends]
            for scale, length in zip(axes[array.path], node.shape, strict=True):
                if scale is not None:
                    lengths[scale] = max(length, lengths.get(scale, 0))
        for group in groups.values():
            for name, array in group.arrays.items():
                known = list(zip(axes.get(array.path, ()), array.shape, strict=False))
                shape = tuple(lengths.get(scale or "", length) for scale, length in known)
                if known and shape != array.shape:
                    self._stored_shapes[array.path] = array.shape
                    whole = self._layouts[array.path].by_hdf5 and len(shape) == 1
                    chunks = shape if whole or array.dtype.hasobject else array.chunks
                    group.arrays[name] = replace(array, shape=shape, chunks=chunks)

    def _add(self, found: Members, name: str, path: str, node: h5py.Dataset) -> None:
        if h5py.h5ds.is_scale(node.id) and _text(node.attrs.get("NAME")).startswith(_NO_VARIABLE):
            return
        dims = _dims(node)
        reason = _unreadable(node) or self._add_layout(path, node)
        if reason is None and None in dims:
            reason = "names no dimensions (it has no dimension scales)"
        if reason is not None:
            found.hidden[name] = Hidden(reason, tuple(dim for dim in dims if dim is not None))
            return
        layout = self._layouts[path]
        shape = tuple(node.shape)
        is_text = _is_text(node)
        if layout.by_hdf5 and (node.ndim <= 1 or is_text):
            chunks = shape
        else:
            chunks = node.chunks or parts(shape, node.dtype.itemsize)
        dtype = np.dtype(object) if is_text else _plain(node.dtype)
        named = tuple(dim for dim in dims if dim is not None)
        if is_text and node.dtype == np.dtype("S1") and node.ndim:
            # Characters of netCDF: the last dimension is that of a text.
            shape, chunks, named = shape[:-1], chunks[:-1], named[:-1]
        chunks = tuple(max(1, length) for length in chunks)
        found.arrays[name] = Array(path, shape, chunks, dtype, named, _attributes(node, dtype))

    def _add_layout(self, path: str, node: h5py.Dataset) -> str | None:
        """Find out how an array is stored; return why it cannot be read, if so."""
        plist = node.id.get_create_plist()
        count = plist.get_nfilters()
        filters = []
        for number in range(count):
            code, _, values, name = plist.get_filter(number)
            filters.append(Filter(code, tuple(values)))
            if code not in DECODED and not h5py.h5z.filter_avail(code):
                title = NAMES.get(code) or name.decode("ascii", "replace").split(";")[0] or "?"
                return f"cannot be read (its filter {title}, number {code}, is not supported)"
        small = node.ndim <= 1 and node.size * node.dtype.itemsize <= _SMALL
        foreign = any(each.code not in DECODED for each in filters)
        compact = plist.get_layout() == h5py.h5d.COMPACT
        start = None if node.chunks or compact else node.id.get_offset()
        whole = small or foreign or compact or _is_text(node)
        self._layouts[path] = _Layout(tuple(filters), start, whole)
        return None

    def chunk(self, array: Array, index: tuple[int, ...]) -> bytes:
        """Return a chunk in C order, complete also at the array's end."""
        layout = self._layouts[array.path]
        if layout.by_hdf5:
            data = self._by_hdf5(array, index)
        elif layout.start is None:
            data = self._stored(array, index, layout)
        else:
            data = self._part(array, index, layout.start)
        return data if array.path not in self._stored_shapes else self._filled(array, index, data)

    def _filled(self, array: Array, index: tuple[int, ...], data: bytes) -> bytes:
        """Return a chunk with the fill value where nothing was written."""
        values = np.frombuffer(self._missing(array, array.chunks), array.dtype).copy()
        block, stored = values.reshape(array.chunks), self._stored_shapes[array.path]
        written = tuple(
            slice(max(0, length - at * chunk))
            for at, chunk, length in zip(index, array.chunks, stored, strict=True)
        )
        block[written] = np.frombuffer(data, array.dtype).reshape(array.chunks)[written]
        return block.tobytes()

    def _by_hdf5(self, array: Array, index: tuple[int, ...]) -> bytes:
        window = _window(array, index)
        with self._lock, self._reading(f"{array.path} cannot be decoded"):
            block = self._file[array.path][window]
        return padded(np.asarray(block), array)

    def _stored(self, array: Array, index: tuple[int, ...], layout: _Layout) -> bytes:
        at = self._index(array).get(index)
        if at is None:
            return self._missing(array, array.chunks)
        offset, length, mask = at
        data = self._read(array, offset, length)
        try:
            return decode(data, layout.filters, mask, array.chunk_bytes)
        except ValueError as error:
            raise IntegrityError(
                f"{self.name}: {array.path} cannot be decoded at chunk {index} ({error}); fetch "
                "or write the file anew"
            ) from error

    def _part(self, array: Array, index: tuple[int, ...], start: int) -> bytes:
        window = _window(array, index)
        lengths = tuple(each.stop - each.start for each in window)
        first = int(np.ravel_multi_index([each.start for each in window], array.shape))
        size = array.dtype.itemsize
        offset = start + first * size
        data = self._read(array, offset, int(np.prod(lengths)) * size)
        return padded(np.frombuffer(data, array.dtype).reshape(lengths), array)

    def _read(self, array: Array, offset: int, length: int) -> bytes:
        data = self._bytes.read(offset, offset + length)
        if len(data) != length:
            raise IntegrityError(
                f"{self.name}: is cut off, {array.path} should reach up to byte {offset + length} "
                f"of {self._bytes.size}"
            )
        return data

    def _missing(self, array: Array, shape: tuple[int, ...]) -> bytes:
        """Return the values of a chunk that was never written."""
        with self._lock, self._reading(f"{array.path} cannot be decoded"):
            fill = self._file[array.path].fillvalue
        return np.full(shape, fill, array.dtype).tobytes()

    def _index(self, array: Array) -> Index:
        with self._lock:
            if array.path not in self._indices:
                found: Index = {}

                def add(info: Any) -> None:
                    at = tuple(a // b for a, b in zip(info.chunk_offset, array.chunks, strict=True))
                    found[at] = (info.byte_offset, info.size, info.filter_mask)

                with self._reading(f"the index of the chunks of {array.path} is damaged"):
                    node = self._file[array.path]
                    if node.chunks:
                        node.id.chunk_iter(add)
                self._indices[array.path] = found
            return self._indices[array.path]

    def texts(self, array: Array) -> list[str]:
        """Return the texts of an array in C order."""
        with self._lock, self._reading(f"{array.path} cannot be decoded"):
            values = np.asarray(self._file[array.path][()])
        if values.dtype == np.dtype("S1") and values.ndim > len(array.shape):
            values = values.reshape(-1, values.shape[-1])
            found = [_decoded(b"".join(row.tolist())) for row in values]
        else:
            found = [_decoded(each) for each in values.ravel().tolist()]
        # Nothing was written at the end.
        return found + [""] * (math.prod(array.shape) - len(found))

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # HDF5's objects in its frames would be freed at exit, after Python has ended: a crash.
            traceback.clear_frames(error.__traceback__)
            if isinstance(error, StacbuildError):
                raise
            # h5py raises OSError, RuntimeError, KeyError and ValueError for damage.
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise IntegrityError(
                f"{self._bytes.name}: {what} ({text}); fetch or write it anew"
            ) from error


def _window(array: Array, index: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(at * chunk, min(length, (at + 1) * chunk))
        for at, chunk, length in zip(index, array.chunks, array.shape, strict=True)
    )


def _decoded(value: Any) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ").decode("utf-8", "replace")
    return str(value)


def _text(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | np.bytes_) else str(value or "").encode()


def _is_text(node: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(node.dtype) is not None or node.dtype.kind == "S"


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type without h5py's metadata of enumerations."""
    return np.dtype(dtype.str)


def _unreadable(node: h5py.Dataset) -> str | None:
    """Return why an array cannot be read, if so."""
    if node.shape is None:
        return "cannot be read (it is empty)"
    if node.is_virtual or node.external:
        return "cannot be read (its values are in other files)"
    if _is_text(node):
        return "cannot be read (too many texts)" if node.size > MOST_TEXTS else None
    if node.dtype.kind not in "biuf" or node.dtype.itemsize > 8:
        return f"cannot be read (values of type {node.dtype.kind!r} are not numbers)"
    return None


def _dims(node: h5py.Dataset) -> list[str | None]:
    """Return the names of the dimensions, None for unknown ones."""
    return [scale and scale.rpartition("/")[2] for scale in _scales(node)]


def _scales(node: h5py.Dataset) -> list[str | None]:
    """Return the paths of the dimensions' scales, None for unknown ones."""
    if not node.shape:
        return []
    own = node.name
    if h5py.h5ds.is_scale(node.id):
        ids = node.attrs.get("_Netcdf4Coordinates")
        if ids is None or len(ids) == 1:
            return [own] if node.ndim == 1 else [None] * node.ndim
        names = {
            int(each.attrs["_Netcdf4Dimid"]): each.name
            for each in node.parent.values()
            if isinstance(each, h5py.Dataset) and "_Netcdf4Dimid" in each.attrs
        }
        return [names.get(int(number)) for number in ids]
    found: list[str | None] = []
    for dim in node.dims:
        scale = dim[0] if len(dim) else None
        found.append(None if scale is None else scale.name)
    return found


def _attributes(node: h5py.Group | h5py.Dataset, dtype: np.dtype[Any] | None = None) -> Json:
    found: Json = {}
    for name in node.attrs:
        if name in _INTERNAL:
            continue
        try:
            stored = node.attrs[name]
        except Exception:  # noqa: BLE001, S112 - of a type that h5py cannot read
            continue
        value = None if isinstance(stored, h5py.Empty) else attribute(stored)
        if name == "_FillValue" and dtype is not None:
            value = fill_value(stored, dtype)
        if value is not None:
            found[name] = value
    return found
