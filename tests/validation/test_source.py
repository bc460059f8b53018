"""Sources compared with their items: existence, size, checksum, and what cannot be known."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pystac
import pytest

from stacbuild.validation.found import Found
from stacbuild.validation.source import check_source
from tests.support.items import raster_item

CONTENT = b"pixels" * 100


def item(path: Path, **fields: Any) -> pystac.Item:
    made = raster_item()
    made.assets["data"].href = str(path)
    made.assets["data"].extra_fields |= fields
    return made


def found(path: Path, *, deep: bool = False, **fields: Any) -> Found:
    return check_source(item(path, **fields), None, deep=deep, remote=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a.tif"
    made.write_bytes(CONTENT)
    return made


def problems(result: Found) -> str:
    return "\n".join(map(str, result.problems))


def test_a_file_that_is_gone_or_has_another_size(path: Path) -> None:
    gone = found(path.with_name("none.tif"))
    assert "is in the catalog, but there is no such file; harvest it again" in problems(gone)
    other = found(path, **{"file:size": 7})
    assert f"{path}: has {len(CONTENT)} bytes, 7 when it was harvested" in problems(other)
    assert other.bytes == len(CONTENT)


@pytest.mark.parametrize(
    ("prefix", "method"),
    [("d50110", "md5"), ("1220", "sha256"), ("1340", "sha512"), ("1620", "sha3_256")],
)
def test_checksums_are_computed_only_if_asked_to(path: Path, prefix: str, method: str) -> None:
    wrong = {"file:checksum": prefix + hashlib.new(method, b"other").hexdigest()}
    assert found(path, **wrong).problems == []
    told = problems(found(path, deep=True, **wrong))
    assert f"{path}: its {method} is {hashlib.new(method, CONTENT).hexdigest()}" in told
    assert "remove it, harvest it again and rebuild its cubes" in told


def test_without_a_checksum_the_time_counts(path: Path) -> None:
    result = found(path)
    assert result.problems == []
    assert result.notes == [f"{path}: its item has no checksum or time; only the size was checked"]
    changed = problems(found(path, updated="2001-02-03T04:05:06Z"))
    assert f"{path}: was written at " in changed
    assert "at 2001-02-03T04:05:06Z when it was harvested" in changed


def test_servers_are_asked_only_if_told_to() -> None:
    made = item(Path("/a.tif"))
    made.assets["data"].href = "https://host.invalid/a.tif"
    result = check_source(made, None, deep=True, remote=False)
    assert (result.problems, result.bytes) == ([], 0)
