"""Headers and chunk indices of HDF5 files of servers are requested once."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from stacbuild.formats import kept_pages
from stacbuild.formats.zarr_store import open_source
from stacbuild.net.pages import Pages
from tests.support.file_server import FileServer

VALUES = np.random.default_rng(0).integers(0, 2**31, (600, 1200), "i4")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FileServer]:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["time_coverage_start"] = "2020-01-01"
        data = file.create_dataset("z", data=VALUES, chunks=(20, 20), compression="gzip")
        for number, (name, axis) in enumerate((("lat", 600), ("lon", 1200))):
            file.create_dataset(name, data=np.arange(axis) / 100).make_scale(name)
            data.dims[number].attach_scale(file[name])
    with FileServer({"/a.h5": path.read_bytes()}) as server:
        yield server


def requests(server: FileServer) -> int:
    """Return the number of requests for one chunk, in a run of its own."""
    before = len(server.asked)
    with open_source(f"{server.url}/a.h5") as found:
        assert np.array_equal(found["z"][150:152, 310:312].values, VALUES[150:152, 310:312])
    return len(server.asked) - before


def kept() -> list[Path]:
    return [path for path in (kept_pages.user_cache() / "hdf5").glob("*") if path.is_file()]


def test_a_second_run_requests_the_version_and_the_chunk(served: FileServer) -> None:
    assert requests(served) > 3
    assert len(kept()) == 1
    assert requests(served) <= 2


@pytest.mark.parametrize(
    "at", [3, 60, -1, *(pytest.param(each, marks=pytest.mark.slow) for each in (30, 5000))]
)
def test_damaged_bytes_are_fetched_again(served: FileServer, at: int) -> None:
    first = requests(served)
    [path] = kept()
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)
    assert requests(served) == first
    path.write_bytes(b"")
    assert requests(served) == first


def test_another_version_is_another_file(served: FileServer, tmp_path: Path) -> None:
    requests(served)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["z"][150, 310] = 7
    data = (tmp_path / "a.h5").read_bytes()
    served.files["/a.h5"] = data
    with open_source(f"{served.url}/a.h5") as found:
        assert found["z"][150, 310].item() == 7
    assert len(kept()) == 2


def test_nothing_is_kept_without_an_etag_or_a_folder(
    served: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.etags = False
    requests(served)
    assert kept() == []
    served.etags = True
    (tmp_path / "file").touch()
    monkeypatch.setattr(kept_pages, "user_cache", lambda: tmp_path / "file")
    assert requests(served) == requests(served)


def test_the_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pages, "_MOST_TOGETHER", 250)
    for number in range(4):
        (tmp_path / str(number)).write_bytes(bytes(100))
    kept_pages._bound(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def packed(runs: object, data: bytes, identity: str) -> bytes:
    head = runs if isinstance(runs, bytes) else json.dumps(runs).encode()
    body = struct.pack("<I", len(head)) + head + data
    return kept_pages._start(identity, body) + body


PAGE = kept_pages.PAGE


@pytest.mark.parametrize(
    ("runs", "length"),
    [
        ([[0, 2 * PAGE]], PAGE),
        ([[0, PAGE]], 2 * PAGE),
        ([[-PAGE, 0]], PAGE),
        ([[PAGE, 0]], PAGE),
        ([[100, 100 + PAGE]], PAGE),
        ([[0, PAGE], [0, PAGE]], 2 * PAGE),
        ([[PAGE * 2**60, PAGE * (2**60 + 1)]], PAGE),
        ([[0, 10**18]], 0),
        (b"[" * 200_000 + b"]" * 200_000, 0),
        (b"[[Infinity, 1]]", 0),
        (b"[[" + b"9" * 6000 + b", 1]]", 0),
        (b"null", 0),
    ],
)
def test_ranges_of_no_file(tmp_path: Path, runs: object, length: int) -> None:
    path = kept_pages._path("a.h5 1")
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(runs, b"x" * length, "a.h5 1"))
    pages = Pages("a.h5", lambda start, stop: b"y" * (stop - start), 4 * PAGE)
    assert kept_pages.restore(pages, "a.h5 1") == 0
    assert pages.read(0, 4 * PAGE) == b"y" * 4 * PAGE


def whole(path: Path) -> None:
    path.write_bytes(packed([[0, PAGE]], b"x" * PAGE, "a.h5 1"))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link(path: Path) -> None:
    whole(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def for_all_to_write(path: Path) -> None:
    whole(path)
    path.chmod(0o666)


def of_another_file(path: Path) -> None:
    path.write_bytes(packed([[0, PAGE]], b"x" * PAGE, "b.h5 1"))


@pytest.mark.parametrize("plant", [a_pipe, a_link, too_large, for_all_to_write, of_another_file])
def test_what_may_be_by_somebody_else(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    path = kept_pages._path("a.h5 1")
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    plant(path)
    pages = Pages("a.h5", lambda start, stop: b"y" * (stop - start), 4 * PAGE)
    assert kept_pages.restore(pages, "a.h5 1") == 0


def test_a_file_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept_pages._path("a.h5 1")
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    whole(path)
    pages = Pages("a.h5", lambda start, stop: b"y" * (stop - start), 4 * PAGE)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert kept_pages.restore(pages, "a.h5 1") == 0
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert kept_pages.restore(pages, "a.h5 1") == 1


def test_links_to_nothing_do_not_keep_the_folder_from_being_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_pages, "_MOST_TOGETHER", 150)
    (tmp_path / "link").symlink_to("nothing")
    for number in range(4):
        (tmp_path / str(number)).write_bytes(bytes(100))
    kept_pages._bound(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
