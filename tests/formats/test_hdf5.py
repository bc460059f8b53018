"""HDF5 files are read as HDF5 itself reads them: filters, layouts, types; what is not is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stacbuild.errors import IntegrityError, RemoteError
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.hdf5 import Hdf5File
from stacbuild.formats.hdf5_filters import DEFLATE, Filter, decode
from stacbuild.formats.zarr_store import HIDDEN, open_source
from stacbuild.net.pages import PAGE, PagedFile, Pages
from tests.support.array_files import add_hdf5, values, write_hdf5

GZIP: dict[str, Any] = {"compression": "gzip", "chunks": (6, 7)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (6, 7)},
        GZIP,
        GZIP | {"shuffle": True, "fletcher32": True},
        {"chunks": (6, 7), "shuffle": True},
        {"compression": "lzf", "chunks": (6, 7)},
        {"scaleoffset": 2, "chunks": (6, 7)},
        {"compression": "szip", "chunks": (6, 8)},
        {"dtype": ">f8"},
        {"dtype": ">f8"} | GZIP,
        {"maxshape": (None, None), "chunks": (1, 1)},
    ],
    ids=str,
)
def test_values_are_those_of_hdf5(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_hdf5(tmp_path / "a.h5", **options)
    with h5py.File(path) as file:
        expected = file["z"][:]
    with open_source(str(path)) as found:
        assert np.array_equal(found["z"].values, expected, equal_nan=True)
        assert found["z"].dtype == expected.dtype.newbyteorder("=")


def test_a_chunk_may_be_stored_without_filters_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = np.full((20, 30), 7, "i2")
        array = add_hdf5(file, "z", data, chunks=(10, 30), compression="gzip", fillvalue=-5)
        # Bit 0: without deflate, the only filter.
        array.id.write_direct_chunk((0, 0), np.arange(300, dtype="i2").tobytes(), filter_mask=1)
        add_hdf5(file, "empty", data, chunks=(10, 30))
        file.create_dataset("none", shape=(20, 30), dtype="i4", chunks=(10, 30), fillvalue=9)
        for number, axis in enumerate(("lat", "lon")):
            file["none"].dims[number].attach_scale(file[axis])
    with open_source(str(path)) as found:
        assert np.array_equal(found["z"].values[:10].ravel(), np.arange(300))
        assert (found["z"].values[10:] == 7).all()
        assert (found["none"].values == 9).all()


def test_a_user_block_an_enumeration_and_booleans(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=1024) as file:
        add_hdf5(file, "plain", values()[0])
        add_hdf5(file, "packed", values()[0], **GZIP)
        kinds = h5py.enum_dtype({"WATER": 1, "LAND": 2}, "u1")
        add_hdf5(file, "kind", np.ones((20, 30), "u1"), dtype=kinds)
        add_hdf5(file, "flag", np.ones((20, 30), bool))
    with open_source(str(path)) as found:
        assert np.array_equal(found["plain"].values, values()[0], equal_nan=True)
        assert np.array_equal(found["packed"].values, values()[0], equal_nan=True)
        assert (found["kind"].values == 1).all()
        assert found["kind"].dtype == "uint8"
        assert found["flag"].values.all()


def test_what_cannot_be_read_is_named_and_other_files_are_not_opened(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.h5")
    write_hdf5(tmp_path / "secret.h5")
    (tmp_path / "raw").write_bytes(bytes(2400))
    with h5py.File(path, "a") as file:
        file["link"] = h5py.ExternalLink("secret.h5", "/z")
        file["loop"] = file["/"]
        file.create_dataset("nameless", data=np.zeros((4, 5)))
        file.create_dataset("table", data=np.zeros(3, [("a", "i4"), ("b", "f4")]))
        add_hdf5(file, "outside", np.zeros((20, 30), "f4"), external=[(tmp_path / "raw", 0, 2400)])
        layout = h5py.VirtualLayout((20, 30), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "z", (20, 30))
        file.create_virtual_dataset("virtual", layout)
    with open_source(str(path)) as found:
        hidden = {name: each.reason for name, each in found.encoding[HIDDEN].items()}
        assert set(found.data_vars) == {"z"}
    assert "no dimension scales" in hidden["nameless"]
    assert "are not numbers" in hidden["table"]
    assert "other files" in hidden["outside"]
    assert "other files" in hidden["virtual"]
    assert set(hidden) == {"nameless", "table", "outside", "virtual"}


def test_an_unknown_filter_is_named(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.h5", chunks=(6, 7), compression="lzf")
    content = path.read_bytes()
    # Eight bytes before its name, the filter has its number.
    code = content.index(b"lzf\0") - 8
    assert content[code : code + 2] == (32000).to_bytes(2, "little")
    path.write_bytes(content[:code] + (32008).to_bytes(2, "little") + content[code + 2 :])
    with pytest.raises(IntegrityError, match=r"filter bitshuffle, number 32008, is not supported"):
        open_source(str(path))


@pytest.mark.parametrize("options", [GZIP, GZIP | {"fletcher32": True}])
def test_a_damaged_chunk_is_an_error_that_names_it(tmp_path: Path, options: Any) -> None:
    path = write_hdf5(tmp_path / "a.h5", **options)
    with h5py.File(path) as file:
        info = file["z"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    middle = info.byte_offset + info.size // 2
    content[middle : middle + 8] = b"\xff" * 8
    path.write_bytes(content)
    with open_source(str(path)) as found, pytest.raises(IntegrityError, match=r"a\.h5: .*z cannot"):
        _ = found["z"].values


def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(IntegrityError, match=r"a\.h5: is not a readable HDF5 file \(.*truncated"):
        open_source(str(path))


def test_a_chunk_that_grows_beyond_its_size_is_not_decompressed() -> None:
    import zlib

    bomb = zlib.compress(bytes(1 << 24))
    with pytest.raises(ValueError, match="longer than a chunk"):
        decode(bomb, [Filter(DEFLATE, (4,))], 0, 100)
    with pytest.raises(ValueError, match="cut off"):
        decode(zlib.compress(b"abc")[:-2], [Filter(DEFLATE, (4,))], 0, 3)


def test_the_cause_is_raised_if_bytes_cannot_be_fetched(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.h5")
    content = path.read_bytes()

    def fetch(start: int, stop: int) -> bytes:
        if start >= PAGE:
            raise RemoteError("https://a.org/a.h5: the server answers 503")
        return content[start:stop]

    class Broken(FileBytes):
        def open(self) -> Any:
            return PagedFile(Pages(self.name, fetch, len(content)))

    with h5py.File(path, "a") as file:
        file.create_dataset("large", data=np.zeros(100_000))
        add_hdf5(file, "late", values()[0])
    content = path.read_bytes()
    with pytest.raises(RemoteError, match="503"):
        Hdf5File(Broken(str(path))).groups()


def test_python_ends_without_a_crash_after_a_file_that_is_cut_off(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:-500])
    code = f"""
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.hdf5 import Hdf5File
kept = []
try:
    Hdf5File(FileBytes({str(path)!r}))
except Exception as error:
    kept.append(error)
    kept.append(kept)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
