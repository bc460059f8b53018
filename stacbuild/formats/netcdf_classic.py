"""Reading of NetCDF classic files: CDF-1, CDF-2 (64-bit offsets) and CDF-5 (64-bit data).

The format is that of the NetCDF Users Guide, appendix B, and of PnetCDF's CDF-5
(https://parallel-netcdf.github.io/doc/c-reference/pnetcdf-c/CDF_002d5-file-format-specification.html).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stacbuild.errors import IntegrityError
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
from stacbuild.formats.zarr_members import Hidden

_TYPES = {
    1: ">i1",
    2: "S1",
    3: ">i2",
    4: ">i4",
    5: ">f4",
    6: ">f8",
    7: ">u1",
    8: ">u2",
    9: ">u4",
    10: ">i8",
    11: ">u8",
}
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_MOST = 1 << 20
_MOST_HEADER = 64 << 20
_STREAMING = {4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}


@dataclass(frozen=True)
class _Place:
    """Where the values of a variable are: its first byte, whether by record, length of texts."""

    begin: int
    by_record: bool
    text_length: int


class ClassicFile:
    """A reader of NetCDF classic (an `stacbuild.formats.array_file.ArrayFile`).

    Raises
    ------
    IntegrityError
        It is damaged or cut off; here and in all methods.
    RemoteError, LocalError
        Its bytes cannot be read.
    """

    def __init__(self, content: FileBytes) -> None:
        self._bytes = content
        self._places: dict[str, _Place] = {}
        self._record = 0
        header = _Header(content)
        try:
            self._members = self._parsed(header)
        except (ValueError, KeyError, IndexError, OverflowError, UnicodeError) as error:
            raise IntegrityError(
                f"{content.name}: its NetCDF header is damaged ({error}); fetch or write it anew"
            ) from error

    @property
    def name(self) -> str:
        """Name of the file in messages."""
        return self._bytes.name

    def keep(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing; the bytes are closed when they are not used any more."""

    def groups(self) -> Mapping[str, Members]:
        """Return the content of the only group."""
        return {"": self._members}

    def _parsed(self, header: _Header) -> Members:
        records = header.count()
        streaming = records == _STREAMING[header.width]
        dims = [(header.name(), header.count()) for _ in header.list_of(_DIMENSIONS)]
        attrs = _attributes(header)
        stored = [_variable(header, dims) for _ in header.list_of(_VARIABLES)]
        by_record = [each for each in stored if each.by_record]
        sizes = [math.prod(each.lengths[1:]) * each.dtype.itemsize for each in by_record]
        # Records are padded to four bytes, unless there is only one variable of them.
        self._record = sizes[0] if len(sizes) == 1 else sum(-(-size // 4) * 4 for size in sizes)
        if streaming:
            # The number of records is unknown to a writer that cannot seek.
            first = min((each.begin for each in by_record), default=self._bytes.size)
            records = (self._bytes.size - first) // self._record if self._record else 0
        found = Members(attrs={key: value for key, value, _ in attrs})
        for each in stored:
            shape = (records, *each.lengths[1:]) if each.by_record else each.lengths
            end = self._end(each, shape)
            if math.prod(shape) and end > self._bytes.size:
                raise IntegrityError(
                    f"{self.name}: is cut off, {each.name} should reach up to byte {end} of "
                    f"{self._bytes.size}; fetch it anew"
                )
            length = shape[-1] if shape else 1
            self._places[each.name] = _Place(each.begin, each.by_record, length)
            self._add(found, each, shape)
        return found

    def _end(self, each: _Variable, shape: tuple[int, ...]) -> int:
        size = each.dtype.itemsize
        if not each.by_record:
            return each.begin + math.prod(shape) * size
        last = max(0, shape[0] - 1)
        return each.begin + last * self._record + math.prod(shape[1:]) * size

    def _add(self, found: Members, each: _Variable, shape: tuple[int, ...]) -> None:
        is_text = each.dtype == np.dtype("S1")
        if is_text and math.prod(shape) > MOST_TEXTS:
            found.hidden[each.name] = Hidden("cannot be read (too many texts)", each.dims)
            return
        dtype = np.dtype(object) if is_text else each.dtype
        attrs: Json = {}
        for key, value, numbers in each.attrs:
            known = fill_value(numbers, dtype) if key == "_FillValue" else value
            if known is not None:
                attrs[key] = known
        dims = each.dims
        if is_text:
            shape, dims = shape[:-1], dims[:-1]
            chunks = shape
        elif len(shape) <= 1 and not each.by_record:
            chunks = shape
        elif len(shape) == 1:
            # Coordinates are needed whole.
            chunks = shape
        else:
            chunks = parts(shape, dtype.itemsize, whole=1 if each.by_record else 0)
        chunks = tuple(max(1, length) for length in chunks)
        found.arrays[each.name] = Array(each.name, shape, chunks, dtype, dims, attrs)

    def chunk(self, array: Array, index: tuple[int, ...]) -> bytes:
        """Return a chunk in C order, complete also at the array's end."""
        window = [
            (at * chunk, min(length, (at + 1) * chunk))
            for at, chunk, length in zip(index, array.chunks, array.shape, strict=True)
        ]
        place = self._places[array.path]
        if not place.by_record:
            block = self._block(array, window, array.shape, place.begin)
        else:
            # One dimension of records is read in one piece, others record by record.
            rows = range(*window[0])
            starts = [place.begin + row * self._record for row in rows]
            size = array.dtype.itemsize
            self._bytes.prefetch([(start, start + size) for start in starts] if size else [])
            block = (
                np.stack(
                    [self._block(array, window[1:], array.shape[1:], start) for start in starts]
                )
                if starts
                else np.empty((0, *array.chunks[1:]), array.dtype)
            )
        return padded(block, array)

    def _block(
        self,
        array: Array,
        window: list[tuple[int, int]],
        shape: tuple[int, ...],
        begin: int,
    ) -> np.ndarray[Any, np.dtype[Any]]:
        lengths = tuple(stop - start for start, stop in window)
        first = int(np.ravel_multi_index([start for start, _ in window], shape)) if shape else 0
        size = array.dtype.itemsize
        start = begin + first * size
        data = self._bytes.read(start, start + math.prod(lengths) * size)
        if len(data) != math.prod(lengths) * size:
            raise IntegrityError(f"{self.name}: is cut off in {array.path}; fetch it anew")
        return np.frombuffer(data, array.dtype).reshape(lengths)

    def texts(self, array: Array) -> list[str]:
        """Return the texts of an array in C order."""
        place = self._places[array.path]
        rows = array.shape[0] if place.by_record else 1
        each = math.prod(array.shape[1:] if place.by_record else array.shape) * place.text_length
        starts = [place.begin + row * self._record for row in range(rows)]
        data = b"".join(self._bytes.read(start, start + each) for start in starts)
        width = place.text_length
        rows_of = [data[at : at + width] for at in range(0, len(data), width)] if width else []
        found = [text.rstrip(b"\0 ").decode("utf-8", "replace") for text in rows_of]
        # Texts of no length have no bytes.
        return found or [""] * math.prod(array.shape)


@dataclass(frozen=True)
class _Variable:
    name: str
    dims: tuple[str, ...]
    lengths: tuple[int, ...]
    attrs: list[tuple[str, Any, Any]]
    dtype: np.dtype[Any]
    begin: int
    by_record: bool


class _Header:
    """Sequential access to the header."""

    def __init__(self, content: FileBytes) -> None:
        self._bytes = content
        self._data = b""
        self._at = 4
        version = content.read(3, 4)[0]
        self.width = 8 if version == 5 else 4
        self.offset_width = 4 if version == 1 else 8

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        stop = self._at + length
        if length < 0 or stop > min(self._bytes.size, _MOST_HEADER):
            msg = "it ends too early"
            raise ValueError(msg)
        if stop > len(self._data):
            self._data = self._bytes.read(0, max(stop, 2 * len(self._data), 1 << 16))
        found = self._data[self._at : stop]
        self._at = stop
        return found

    def integer(self, width: int) -> int:
        """Return an unsigned integer."""
        return int.from_bytes(self.take(width), "big")

    def count(self) -> int:
        """Return a number of elements."""
        return self.integer(self.width)

    def list_of(self, tag: int) -> range:
        """Return a range of the length of a list."""
        found, length = self.integer(4), self.count()
        if found not in (0, tag) or (found == 0 and length) or length > _MOST:
            msg = f"a list with the tag {found} where {tag} is expected"
            raise ValueError(msg)
        return range(length)

    def name(self) -> str:
        """Return a name."""
        return self.padded(self.count()).decode("utf-8")

    def padded(self, length: int) -> bytes:
        """Return bytes that are padded to four."""
        data = self.take(length)
        self.take(min(-length % 4, max(0, self._bytes.size - self._at)))
        return data


def _attributes(header: _Header) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for _ in header.list_of(_ATTRIBUTES):
        name, kind, length = header.name(), header.integer(4), header.count()
        dtype = np.dtype(_TYPES[kind])
        data = header.padded(length * dtype.itemsize)
        if kind == 2:
            found.append((name, attribute(data), data))
        else:
            values = np.frombuffer(data, dtype)
            found.append((name, attribute(values), values))
    return found


def _variable(header: _Header, dims: list[tuple[str, int]]) -> _Variable:
    name = header.name()
    numbers = [header.count() for _ in range(header.count())]
    attrs = _attributes(header)
    dtype = np.dtype(_TYPES[header.integer(4)])
    header.count()  # Its size, which is wrong for variables beyond 4 GB.
    begin = header.integer(header.offset_width)
    lengths = tuple(dims[number][1] for number in numbers)
    # Only the record dimension has the length 0.
    by_record = bool(lengths) and lengths[0] == 0
    names = tuple(dims[number][0] for number in numbers)
    return _Variable(name, names, lengths, attrs, dtype, begin, by_record)
