"""Damage in shards: found, and named by the chunks within."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.killing import fresh
from tests.support.shards import built, configured, problems


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "sharded"
    built(configured(folder, 64))
    return folder


@pytest.fixture
def damaged(cube: Path, tmp_path: Path) -> Path:
    """Return a copy of the sharded cube."""
    folder = fresh(cube, tmp_path / "copy")
    item = folder / "catalogs" / "c" / "c" / "c.json"
    item.write_text(item.read_text().replace(str(cube), str(folder)))
    return folder


def test_a_sound_cube_is_valid(damaged: Path) -> None:
    assert problems(damaged) == []


def shard(folder: Path, key: str) -> Path:
    return folder / "data" / "c.zarr" / "c" / key


def rewrite_index(path: Path, entry: int, offset: int, count: int = 16) -> None:
    """Change the offset of an entry of the index, with a valid checksum."""
    from numcodecs.checksum32 import CRC32C

    content = path.read_bytes()
    body, index = content[: -16 * count - 4], content[-16 * count - 4 : -4]
    entries = np.frombuffer(index, "<u8").copy()
    entries[2 * entry] = offset
    if offset == 2**64 - 1:
        entries[2 * entry + 1] = offset
    # numcodecs puts its checksum at the start, the index has it at the end.
    encoded = CRC32C(location="end").encode(entries.tobytes())
    path.write_bytes(body + bytes(encoded))


def test_a_missing_chunk_of_a_shard_is_named(damaged: Path) -> None:
    rewrite_index(shard(damaged, "c/0/1/1"), 6, 2**64 - 1)
    [problem] = problems(damaged)
    assert "c: 1 of 18 shards are damaged: c/0/1/1 [band 0:1, lat 320:384, lon 384:448]" in problem
    assert "missing in the index" in problem


def test_a_damaged_chunk_of_a_shard_is_named(damaged: Path) -> None:
    path = shard(damaged, "c/1/0/2")
    content = bytearray(path.read_bytes())
    content[100] ^= 255
    path.write_bytes(content)
    [problem] = problems(damaged)
    assert "c: 1 of 18 shards are damaged: c/1/0/2 [band 1:2, lat 0:64, lon 512:576]" in problem


@pytest.mark.parametrize("left", [0, 10, 3000])
def test_a_truncated_shard_is_named(damaged: Path, left: int) -> None:
    path = shard(damaged, "c/0/0/0")
    path.write_bytes(path.read_bytes()[:left])
    [problem] = problems(damaged)
    assert "c: 1 of 18 shards are damaged: c/0/0/0 [" in problem


def test_a_missing_shard_is_named(damaged: Path) -> None:
    shard(damaged, "c/0/2/1").unlink()
    [problem] = problems(damaged)
    assert "c: 1 of 18 shards are missing: c/0/2/1 [band 0:1, lat 512:700, lon 256:512]" in problem
