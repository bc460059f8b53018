"""Messages of a GRIB file: several fields in one, other bytes between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stacbuild.errors import IntegrityError
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.grib_messages import messages
from tests.support.grib_files import decoded, field, message, write_grib


def _sections(data: bytes) -> list[bytes]:
    found, at = [], 16
    while at < len(data) - 4:
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + length])
        at += length
    return found


def _joined(lead: bytes, sections: list[bytes]) -> bytes:
    body = b"".join(sections) + b"7777"
    return lead[:8] + (16 + len(body)).to_bytes(8, "big") + body


@pytest.mark.parametrize("repeated_from", [3, 4])
def test_a_message_of_several_fields(tmp_path: Path, repeated_from: int) -> None:
    first = message(field(0, missing=True), shortName="10u")
    second = message(field(1, missing=True), shortName="10v")
    repeated = [each for each in _sections(second) if each[4] >= repeated_from]
    # The second field refers to the bitmap of the first.
    repeated = [b"\0\0\0\x06\x06\xfe" if each[4] == 6 else each for each in repeated]
    path = write_grib(tmp_path / "a.grib", _joined(first, _sections(first) + repeated))
    content = FileBytes(str(path))
    found = [each.read(content) for each in messages(content)]
    assert len(found) == 2
    for data, wanted in zip(found, (first, second), strict=True):
        assert np.array_equal(decoded(data), decoded(wanted), equal_nan=True)


@pytest.mark.parametrize("edition", [1, 2])
def test_bytes_around_messages_are_skipped(tmp_path: Path, edition: int) -> None:
    one = message(field(), f"regular_ll_sfc_grib{edition}", shortName="2t")
    path = write_grib(tmp_path / "a.grib", b"\x01\r\r\n001\r\r\n", one, bytes(80), one, b"\0\0")
    content = FileBytes(str(path))
    found = list(messages(content))
    assert [each.read(content) for each in found] == [one, one]
    assert all(len(each.header) < 400 for each in found)


def test_a_section_that_reaches_too_far_is_damage(tmp_path: Path) -> None:
    one = bytearray(message(field(), shortName="2t"))
    one[16:20] = (1 << 20).to_bytes(4, "big")
    content = FileBytes(str(write_grib(tmp_path / "a.grib", bytes(one))))
    with pytest.raises(IntegrityError, match=r"a\.grib: .* has a damaged section at byte 16"):
        list(messages(content))


def test_a_large_message_of_edition_1(tmp_path: Path) -> None:
    # ECMWF's convention: the length in blocks of 120 bytes, the difference in the section's length.
    one = message(field(), "regular_ll_sfc_grib1", shortName="2t")
    start = 8 + int.from_bytes(one[8:11], "big") + 32
    assert int.from_bytes(one[start : start + 3], "big") == len(one) - start - 4
    blocks = -(-len(one) // 120)
    large = bytearray(one)
    large[4:7] = (0x800000 | blocks).to_bytes(3, "big")
    large[start : start + 3] = (blocks * 120 - len(one) + 4).to_bytes(3, "big")
    content = FileBytes(str(write_grib(tmp_path / "a.grib", bytes(large), one)))
    found = list(messages(content))
    assert [each.read(content) for each in found] == [bytes(large), one]
    assert found[0].header == found[1].header


@pytest.mark.parametrize("edition", [1, 2])
def test_times_are_not_part_of_what_names_a_parameter(tmp_path: Path, edition: int) -> None:
    sample = f"regular_ll_sfc_grib{edition}"
    path = write_grib(
        tmp_path / "a.grib",
        message(field(), sample, shortName="2t"),
        message(field(), sample, shortName="2t", dataDate=19991231, dataTime=1230),
        message(field(), sample, shortName="10u"),
    )
    first, later, other = (each.parameter for each in messages(FileBytes(str(path))))
    assert first == later != other


def test_totals_to_several_times_are_one_parameter(tmp_path: Path) -> None:
    total = {"shortName": "tp", "stepType": "accum"}
    path = write_grib(
        tmp_path / "a.grib",
        message(field(), **total, stepRange="0-6"),
        message(field(), **total, stepRange="6-12"),
        message(field(), **total, stepRange="0-12"),
    )
    first, later, longer = (each.parameter for each in messages(FileBytes(str(path))))
    assert first == later != longer
