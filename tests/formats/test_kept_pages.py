"""Headers and chunk indices of HDF5 files of servers are requested once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from stacbuild.formats import kept_pages
from stacbuild.formats.zarr_store import open_source
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


@pytest.mark.parametrize("at", [3, 30, 60, 5000, -1])
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
