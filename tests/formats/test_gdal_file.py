"""Python files for GDAL, which cannot handle exceptions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from stacbuild.errors import RemoteError
from stacbuild.formats.gdal_file import VERSION, GdalHandle, version_of
from stacbuild.net.pages import Pages

CONTENT = bytes(range(100))


def pages(fetch: Any = None) -> Pages:
    return Pages("a.tif", fetch or (lambda start, stop: CONTENT[start:stop]), len(CONTENT))


def test_handles_of_one_file_have_positions_of_their_own() -> None:
    handle = GdalHandle(pages(), [])
    handle.seek(50)
    other = handle.fs.open("ignored", "rb")
    assert (handle.read(3), other.read(3)) == (CONTENT[50:53], CONTENT[:3])
    assert other.pages is handle.pages


@pytest.mark.parametrize("error", [RemoteError("no answer"), KeyboardInterrupt(), MemoryError()])
def test_what_is_raised_is_kept_and_reads_as_nothing(error: BaseException) -> None:
    def failing(start: int, stop: int) -> bytes:
        raise error

    trouble: list[BaseException] = []
    handle = GdalHandle(pages(failing), trouble)
    assert handle.readinto(bytearray(10)) == 0
    assert handle.fs.open("", "rb").readinto(bytearray(10)) == 0
    assert trouble == [error, error]


def test_versions() -> None:
    assert version_of(cast(Any, SimpleNamespace(**{VERSION: "etag"}))) == "etag"
    assert version_of(cast(Any, SimpleNamespace())) == ""
