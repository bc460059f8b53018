"""Zarr stores that zarr or xarray does not open as a whole: odd arrays, groups in groups, zips."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_store import open_source
from stacbuild.sources.listing import describe_data, list_data
from tests.support.built import INSIDE
from tests.support.folder_server import Folder
from tests.support.raw_zarr import GRID, Raw, Warned, made, refused, result, write
from tests.support.zarr_metadata import change, consolidate

NUMBERS = np.arange(120 * 120).reshape(120, 120).astype("int16")
ONLY_V = {"open_params": {"variable_names": ["v"]}}


def store(directory: Path, fmt: int, **more: Raw) -> Path:
    path = directory / "src" / "one.zarr"
    write(path, {"v": Raw(["lat", "lon"], NUMBERS), **GRID, **more}, fmt)
    return path


def unknown(kind: str, fmt: int) -> dict[str, Any]:
    """Return fields of an array's metadata that no library here knows."""
    if kind == "codec":
        if fmt == 2:
            return {"compressor": {"id": "of-tomorrow"}}
        return {"codecs": [{"name": "bytes"}, {"name": "of-tomorrow"}]}
    return {"dtype": "<q9"} if fmt == 2 else {"data_type": "of-tomorrow"}


@pytest.mark.parametrize("together", [False, True], ids=["apart", "consolidated"])
@pytest.mark.parametrize("fmt", [2, 3])
@pytest.mark.parametrize("kind", ["codec", "type"])
class TestOddArrays:
    def test_is_left_out(self, tmp_path: Path, kind: str, fmt: int, together: bool) -> None:
        path = store(tmp_path, fmt, odd=Raw(["lat", "lon"], NUMBERS))
        change(path / "odd", fmt, **unknown(kind, fmt))
        if together:
            consolidate(path, fmt)
        warned = Warned()
        found = result(tmp_path, warned=warned)
        assert found.status == "COMPLETED", found.message
        assert [said for said in warned.warnings if "left out: odd cannot be read" in said] != []
        with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
            assert list(cube.data_vars) == ["v"]
            assert np.array_equal(cube["v"].values, NUMBERS[INSIDE])
        said = refused(
            tmp_path, {"identifier": "other", "open_params": {"variable_names": ["odd"]}}
        )
        assert "names 'odd', which cannot be read" in said


@pytest.mark.parametrize("fmt", [2, 3])
def test_nothing_is_said_of_what_nobody_asked_for(tmp_path: Path, fmt: int) -> None:
    change(store(tmp_path, fmt, odd=Raw(["q"], np.zeros(3))) / "odd", fmt, **unknown("codec", fmt))
    warned = Warned()
    assert result(tmp_path, ONLY_V, warned=warned).status == "COMPLETED"
    assert warned.warnings == []


@pytest.mark.parametrize("fmt", [2, 3])
def test_it_is_described_as_such(tmp_path: Path, fmt: int) -> None:
    path = store(tmp_path, fmt, odd=Raw(["lat", "lon"], NUMBERS))
    change(path / "odd", fmt, **unknown("codec", fmt))
    found = describe_data("file", str(tmp_path / "src"), "one.zarr")["variables"]
    assert found["v"]["shape"] == [120, 120]
    assert "cannot be read" in found["odd"]["stacbuild:left_out"]


@pytest.mark.parametrize("fmt", [2, 3])
def test_a_coordinate_that_cannot_be_read_is_named(tmp_path: Path, fmt: int) -> None:
    change(store(tmp_path, fmt) / "lat", fmt, **unknown("codec", fmt))
    assert "lat cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("value", [-9999, -9999.0, "-9999"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fill_values_of_floats_as_numbers_in_format_3(
    tmp_path: Path, dtype: str, value: Any
) -> None:
    values = NUMBERS.astype(dtype)
    values[20:30, 20:30] = -9999
    raw = Raw(["lat", "lon"], values, {"_FillValue": value})
    write(tmp_path / "src" / "one.zarr", {"v": raw, **GRID}, 3)
    cube = made(tmp_path)
    assert np.array_equal(cube["v"].values, np.where(values == -9999, np.nan, values)[INSIDE], True)


@pytest.mark.parametrize("fmt", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("int64", 2**63 - 1), ("int64", -(2**63)), ("uint64", 2**64 - 1), ("uint64", 2**53 + 1)],
)
def test_fill_values_of_64_bits(tmp_path: Path, dtype: str, fill: int, fmt: int) -> None:
    values = NUMBERS.astype(dtype)
    values[20:30, 20:30] = fill
    values[40, 40] = fill - 1 if fill > 0 else fill + 1
    attrs = {"_FillValue": fill} if fmt == 3 else {}
    raw = Raw(["lat", "lon"], values, attrs, fill if fmt == 2 else None)
    write(tmp_path / "src" / "one.zarr", {"v": raw, **GRID}, fmt)
    cube = made(tmp_path)
    assert int(cube["v"].attrs["_FillValue"]) == fill
    assert np.array_equal(cube["v"].values, values[INSIDE])


@pytest.mark.parametrize("value", ["N/A", [-9999, -1], np.inf, [-9999.5, 7.25]], ids=str)
def test_missing_values(tmp_path: Path, value: Any) -> None:
    values = NUMBERS.astype("float32")
    marks = [] if isinstance(value, str) else np.atleast_1d(value).tolist()
    for row, mark in enumerate(marks):
        values[20 + row, 20:30] = mark
    write(
        tmp_path / "src" / "one.zarr",
        {"v": Raw(["lat", "lon"], values, {"missing_value": value}), **GRID},
    )
    expected = np.where(np.isin(values, np.float32(marks)), np.nan, values)[INSIDE]
    assert np.array_equal(made(tmp_path)["v"].values, expected, equal_nan=True)


def nested(directory: Path, fmt: int, *, together: bool) -> Path:
    path = directory / "src" / "deep.zarr"
    zarr.open_group(path, mode="w", zarr_format=fmt)  # type: ignore[arg-type]
    zarr.open_group(path / "measurements", mode="w", zarr_format=fmt)  # type: ignore[arg-type]
    for name in ("r10m", "r20m"):
        members = {"v": Raw(["lat", "lon"], NUMBERS), **GRID}
        write(path / "measurements" / name, members, fmt)
    if together:
        consolidate(path, fmt)
    return path


@pytest.mark.parametrize("together", [False, True], ids=["apart", "consolidated"])
@pytest.mark.parametrize("fmt", [2, 3])
class TestGroups:
    def test_are_named_listed_and_read(self, tmp_path: Path, fmt: int, together: bool) -> None:
        nested(tmp_path, fmt, together=together)
        said = refused(tmp_path, {"data_id": "deep.zarr"})
        assert "deep.zarr/measurements/r10m, deep.zarr/measurements/r20m" in said
        assert "consolidate_metadata" not in said
        listed = [entry.data_id for entry in list_data("file", str(tmp_path / "src"))]
        assert listed == [f"deep.zarr/measurements/{name}" for name in ("r10m", "r20m")]
        cube = made(tmp_path, {"data_id": "deep.zarr/measurements/r20m"})
        assert np.array_equal(cube["v"].values, NUMBERS[INSIDE])

    def test_beside_arrays(self, tmp_path: Path, fmt: int, together: bool) -> None:
        path = store(tmp_path, fmt)
        write(path / "coarse", {"v": Raw(["lat", "lon"], NUMBERS + 1), **GRID}, fmt)
        if together:
            consolidate(path, fmt)
        listed = [entry.data_id for entry in list_data("file", str(tmp_path / "src"))]
        assert listed == ["one.zarr", "one.zarr/coarse"]
        assert np.array_equal(made(tmp_path)["v"].values, NUMBERS[INSIDE])
        cube = made(tmp_path, {"identifier": "cube", "data_id": "one.zarr/coarse"})
        assert np.array_equal(cube["v"].values, NUMBERS[INSIDE] + 1)

    def test_on_a_server_without_lists(self, tmp_path: Path, fmt: int, together: bool) -> None:
        nested(tmp_path, fmt, together=together)
        with Folder(tmp_path / "src") as web:
            self.check_web(f"{web.url}/deep.zarr", together=together)

    def check_web(self, href: str, *, together: bool) -> None:
        if not together:
            with pytest.raises(StacbuildError, match="lists no folders"):
                open_source(f"{href}/measurements/r10m")
            return
        with pytest.raises(StacbuildError, match=r"name one of them: deep\.zarr/measur"):
            open_source(href)
        with open_source(f"{href}/measurements/r10m") as found:
            assert np.array_equal(found["v"].values, NUMBERS)


@pytest.mark.parametrize("inside", [False, True], ids=["content", "folder"])
@pytest.mark.parametrize("fmt", [2, 3])
def test_a_zip_is_read(tmp_path: Path, fmt: int, inside: bool) -> None:
    path = store(tmp_path, fmt)
    if inside:
        shutil.make_archive(str(path), "zip", path.parent, path.name)
    else:
        shutil.make_archive(str(path), "zip", path)
    shutil.rmtree(path)
    listed = [entry.data_id for entry in list_data("file", str(tmp_path / "src"))]
    assert listed == ["one.zarr.zip"]
    cube = made(tmp_path, {"data_id": "one.zarr.zip"})
    assert np.array_equal(cube["v"].values, NUMBERS[INSIDE])


@pytest.mark.parametrize("fmt", [2, 3])
def test_an_array_is_no_group(tmp_path: Path, fmt: int) -> None:
    path = store(tmp_path, fmt)
    message = refused(tmp_path, {"store": "files", "data_id": "one.zarr/v"})
    assert f"{path}/v: is an array, not a group; name {path}, and v in " in message
    missing = refused(tmp_path, {"store": "files", "data_id": "one.zarr/w"})
    assert "no Zarr group is there" in missing
