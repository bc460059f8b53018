"""The directories of a TIFF, parsed for metadata that GDAL does not return, or only inexactly.

TIFF 6.0, section 2, and BigTIFF (https://www.awaresystems.be/imaging/tiff/bigtiff.html).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Read = Callable[[int, int], bytes]
"""Returns the bytes of a file from a position up to another one, or up to the end."""

NEW_SUBFILE_TYPE, REDUCED, MASK = 254, 1, 4
_MOST_ENTRIES, _MOST_DIRECTORIES = 4096, 1000


@dataclass(frozen=True)
class Layout:
    """Byte order of a TIFF, and whether it is a BigTIFF."""

    order: str
    big: bool

    @classmethod
    def of(cls, read: Read) -> Layout:
        """Read the layout from the first bytes of a file."""
        head = read(0, 4)
        order = "<" if head[:2] == b"II" else ">"
        return cls(order, struct.unpack(f"{order}H", head[2:])[0] == 43)

    def first(self, read: Read) -> int:
        """Return the offset of the first directory."""
        at, code = (8, "Q") if self.big else (4, "I")
        return int(self._number(code, read, at))

    def directory(self, read: Read, offset: int) -> Directory:
        """Read the directory at *offset*.

        Raises
        ------
        ValueError
            It is damaged or truncated.
        """
        count, entry, last = ("Q", "HHQ8s", "Q") if self.big else ("H", "HHI4s", "I")
        entries = self._number(count, read, offset)
        first = offset + struct.calcsize(count)
        size = struct.calcsize(f"{self.order}{entry}")
        table = read(first, first + min(entries, _MOST_ENTRIES) * size)
        if entries == 0 or entries > _MOST_ENTRIES or len(table) < entries * size:
            raise ValueError(f"the directory at byte {offset} is damaged")
        tags = {
            tag: (kind, length, inline)
            for tag, kind, length, inline in struct.iter_unpack(f"{self.order}{entry}", table)
        }
        return Directory(tags, self._number(last, read, first + entries * size))

    def _number(self, code: str, read: Read, offset: int) -> int:
        size = struct.calcsize(code)
        found = read(offset, offset + size)
        if len(found) < size:
            raise ValueError(f"the directory at byte {offset} lies beyond the end of the file")
        (number,) = struct.unpack(f"{self.order}{code}", found)
        return int(number)

    def text(self, read: Read, entry: tuple[int, int, bytes]) -> str:
        """Return the text of a tag, which is inline or elsewhere in the file."""
        _, length, inline = entry
        if length > len(inline):
            (start,) = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", inline)
            inline = read(start, start + length)
        return inline[:length].rstrip(b"\0").decode("latin-1").strip()

    def number(self, entry: tuple[int, int, bytes]) -> int:
        """Return the inline integer of 16 or 32 bits of a tag."""
        kind, _, inline = entry
        code = "H" if kind == 3 else "I"
        return int(struct.unpack_from(f"{self.order}{code}", inline)[0])


@dataclass(frozen=True)
class Directory:
    """A directory of tags.

    Parameters
    ----------
    entries
        Type, count, and value or offset of each tag by its number.
    following
        Offset of the next directory; 0 if it is the last.
    """

    entries: Mapping[int, tuple[int, int, bytes]]
    following: int


def directories(read: Read) -> Iterator[tuple[Layout, Directory]]:
    """Yield the directories of a file, a thousand at most.

    Raises
    ------
    ValueError
        One is beyond the end of the file, or repeats.
    """
    layout = Layout.of(read)
    offset, seen = layout.first(read), set[int]()
    while offset and len(seen) < _MOST_DIRECTORIES:
        if offset in seen:
            raise ValueError(f"after its last directory comes that at byte {offset} again")
        seen.add(offset)
        found = layout.directory(read, offset)
        yield layout, found
        offset = found.following


def has_mask(read: Read) -> bool:
    """Return whether a directory is a mask of the pixels of the first; errors as `directories`."""
    kinds = [
        layout.number(entry)
        for layout, each in directories(read)
        if (entry := each.entries.get(NEW_SUBFILE_TYPE)) is not None
    ]
    return any(kind & MASK and not kind & REDUCED for kind in kinds)
