"""Messages of a GRIB file, found by the lengths of their sections; no values are read.

The layout is that of the WMO Manual on Codes, FM 92: GRIB 1 (306, volume I.2, part B, edition 1)
and GRIB 2 (edition 2). A header that eccodes decodes is made of each: without bitmap and values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stacbuild.errors import IntegrityError
from stacbuild.formats.file_bytes import FileBytes

_START, _END = b"GRIB", b"7777"
# Bulletin headers between messages have some 80 bytes.
_GAP = 1 << 16
# The binary data section of GRIB 1 before its values, and what states that its packing is complex,
# for which eccodes needs all of it (code table 11).
_BINARY_HEADER, _COMPLEX = 12, 0x40
# ECMWF's messages of GRIB 1 beyond 8 MB count their length in blocks of 120 bytes.
_LARGE, _BLOCK = 0x800000, 120

# Date and time in the product definition of GRIB 1; forecast time of GRIB 2, and the end of the
# interval in templates of statistics (4.8 and 4.11).
_DATE1 = ((12, 17), (24, 25))
_STEP2, _END2 = (18, 22), {8: (34, 41), 11: (37, 44)}

Span = tuple[int, int]


@dataclass(frozen=True)
class Message:
    """One field of a GRIB file.

    Parameters
    ----------
    header
        A message without bitmap and values.
    lead
        First bytes of the message with values, if `spans` leave them out.
    spans
        Byte ranges of the file that form the rest of it, one after the other.
    parameter
        What states parameter, level and statistics, without times: fields for which it is equal
        have the same names.
    """

    header: bytes
    lead: bytes
    spans: tuple[Span, ...]
    parameter: bytes

    def read(self, content: FileBytes) -> bytes:
        """Return the whole message."""
        return self.lead + b"".join(content.read(*span) for span in self.spans)


def messages(content: FileBytes) -> Iterator[Message]:
    """Yield the fields of a file; a message of GRIB 2 may have several.

    Raises
    ------
    IntegrityError
        The file is damaged or cut off.
    RemoteError, LocalError
        Its bytes cannot be read.
    """
    at = 0
    while (start := _next(content, at)) is not None:
        lead = content.read(start, start + 16)
        if len(lead) < 16:
            raise _damaged(content, start, "is cut off")
        if lead[7] == 1:
            at, found = _edition1(content, start, lead)
            yield found
        elif lead[7] == 2:
            at = start + int.from_bytes(lead[8:16], "big")
            _check_end(content, start, at)
            yield from _edition2(content, start, at)
        else:
            raise _damaged(content, start, f"is of edition {lead[7]}; 1 and 2 are read")


def _next(content: FileBytes, at: int) -> int | None:
    """Return the start of the next message; None at the end of the file."""
    block = content.read(at, min(at + 4, content.size))
    if block == _START:
        return at
    block = content.read(at, min(at + _GAP, content.size))
    found = block.find(_START)
    if found >= 0:
        return at + found
    if at + _GAP < content.size and at:
        raise _damaged(content, at, "does not begin where the one before it ends")
    return None


def _check_end(content: FileBytes, start: int, stop: int) -> None:
    if stop > content.size:
        raise _damaged(content, start, f"is cut off: it should end at byte {stop}")
    if content.read(stop - 4, stop) != _END:
        raise _damaged(content, start, f"is damaged: it does not end at byte {stop}")


def _damaged(content: FileBytes, start: int, what: str) -> IntegrityError:
    return IntegrityError(
        f"{content.name}: the message at byte {start} of {content.size} {what}; fetch the file anew"
    )


def _edition1(content: FileBytes, start: int, lead: bytes) -> tuple[int, Message]:
    at = start + 8
    length = int.from_bytes(lead[8:11], "big")
    definition = bytearray(content.read(at, at + length))
    if length < 28 or len(definition) != length:
        raise _damaged(content, start, "has no product definition")
    flags = definition[7]
    at += length
    grid = b""
    if flags & 0x80:
        grid = content.read(at, at + _length(content, start, at))
        at += len(grid)
    if flags & 0x40:
        at += _length(content, start, at)
    size = _length(content, start, at)
    total = int.from_bytes(lead[4:7], "big")
    if total & _LARGE and size < _BLOCK:
        total = (total & (_LARGE - 1)) * _BLOCK - size + 4
        size = start + total - 4 - at
    _check_end(content, start, start + total)
    binary = bytearray(content.read(at, at + min(size, _BINARY_HEADER)))
    if len(binary) < 11:
        raise _damaged(content, start, "has no values")
    span = (start, start + total)
    parameter = _without(bytes(definition), _DATE1)
    if binary[3] & _COMPLEX:
        return start + total, Message(content.read(*span), b"", (span,), parameter)
    definition[7] = flags & ~0x40
    binary[:3] = len(binary).to_bytes(3, "big")
    body = bytes(definition) + grid + bytes(binary) + _END
    header = _START + (8 + len(body)).to_bytes(3, "big") + b"\x01" + body
    return start + total, Message(header, b"", (span,), parameter)


def _length(content: FileBytes, start: int, at: int) -> int:
    length = int.from_bytes(content.read(at, at + 3), "big")
    if length < 4:
        raise _damaged(content, start, "has a section without a length")
    return length


def _edition2(content: FileBytes, start: int, stop: int) -> Iterator[Message]:
    lead = content.read(start, start + 8)
    sections: dict[int, Span] = {}
    at = start + 16
    while at < stop - 4:
        head = content.read(at, at + 6)
        length, number = int.from_bytes(head[:4], "big"), head[4]
        if length < 5 or at + length > stop - 4 or not 1 <= number <= 7:
            raise _damaged(content, start, f"has a damaged section at byte {at}")
        # 254: the bitmap of the field before it in the message.
        if number != 6 or head[5] != 254:
            sections[number] = (at, at + length)
        at += length
        if number == 7:
            spans = tuple(sections[each] for each in sorted(sections))
            size = 20 + sum(last - first for first, last in spans)
            if not {1, 4} <= sections.keys():
                raise _damaged(content, start, "has no product definition")
            known = b"".join(content.read(*sections[each]) for each in sorted(sections) if each < 6)
            body = known + b"\0\0\0\x06\x06\xff" + b"\0\0\0\x05\x07" + _END
            yield Message(
                lead + (16 + len(body)).to_bytes(8, "big") + body,
                lead + size.to_bytes(8, "big"),
                (*spans, (stop - 4, stop)),
                _parameter(lead, content.read(*sections[1]), content.read(*sections[4])),
            )


def _parameter(lead: bytes, identification: bytes, product: bytes) -> bytes:
    # Templates below 16 have the forecast time at the same place.
    template = int.from_bytes(product[7:9], "big")
    times = (_STEP2, _END2.get(template, _STEP2)) if template < 16 else ()
    return lead[6:] + identification[5:12] + identification[19:21] + _without(product, times)


def _without(data: bytes, spans: Iterable[Span]) -> bytes:
    found = bytearray(data)
    for start, stop in spans:
        found[start:stop] = bytes(stop - start)
    return bytes(found)
