"""Zarr arrays that name not all, or none, of their dimensions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.support.built import INSIDE
from tests.support.raw_zarr import GRID, Raw, Warned, made, refused, result, write

NUMBERS = np.arange(120 * 120).reshape(120, 120).astype("int16")
TWO = np.stack([NUMBERS, NUMBERS + 1])


def unnamed(path: Path, *names: str) -> None:
    for name in names:
        file = path / name / ".zattrs"
        attrs = json.loads(file.read_text())
        del attrs["_ARRAY_DIMENSIONS"]
        file.write_text(json.dumps(attrs))


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
@pytest.mark.parametrize("fmt", [2, 3])
class TestOneWithoutName:
    def odd(self, nothing: Any, dims: int = 1) -> Raw:
        values = TWO if dims == 1 else TWO[np.newaxis]
        return Raw([nothing] * dims + ["lat", "lon"], values)

    def test_is_refused_for_it(self, tmp_path: Path, fmt: int, nothing: Any) -> None:
        write(tmp_path / "src" / "one.zarr", {"v": self.odd(nothing), **GRID}, fmt)
        said = refused(tmp_path)
        assert "v does not name all its dimensions" in said
        assert f'[{json.dumps(nothing)}, "lat", "lon"]' in said

    @pytest.mark.parametrize("dims", [1, 2])
    def test_is_left_out_of_others(self, tmp_path: Path, fmt: int, nothing: Any, dims: int) -> None:
        variables = {"v": Raw(["lat", "lon"], NUMBERS), "odd": self.odd(nothing, dims), **GRID}
        write(tmp_path / "src" / "one.zarr", variables, fmt)
        warned = Warned()
        found = result(tmp_path, warned=warned)
        assert found.status == "COMPLETED", found.message
        [said] = warned.warnings
        assert "left out: odd does not name all its dimensions" in said
        with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
            assert list(cube.data_vars) == ["v"]
            assert np.array_equal(cube["v"].values, NUMBERS[INSIDE])


class TestNoneWithName:
    def test_says_which_attribute(self, tmp_path: Path) -> None:
        path = tmp_path / "src" / "one.zarr"
        write(path, {"v": Raw(["lat", "lon"], NUMBERS), **GRID})
        unnamed(path, "v", "lat", "lon")
        said = refused(tmp_path)
        assert "its arrays (lat, lon, v) do not name their dimensions" in said
        assert "_ARRAY_DIMENSIONS" in said

    def test_says_which_field_in_format_3(self, tmp_path: Path) -> None:
        path = tmp_path / "src" / "one.zarr"
        write(path, {"v": Raw(["lat", "lon"], NUMBERS), **GRID}, 3)
        for name in ("v", "lat", "lon"):
            file = path / name / "zarr.json"
            document = json.loads(file.read_text())
            del document["dimension_names"]
            file.write_text(json.dumps(document))
        assert "dimension_names in zarr.json" in refused(tmp_path)

    def test_in_one_of_several(self, tmp_path: Path) -> None:
        path = tmp_path / "src" / "one.zarr"
        write(path, {"v": Raw(["lat", "lon"], NUMBERS), **GRID})
        unnamed(path, "v")
        assert "v names no dimensions (it has no attribute _ARRAY_DIMENSIONS)" in refused(tmp_path)

    def test_a_scalar_needs_none(self, tmp_path: Path) -> None:
        path = tmp_path / "src" / "one.zarr"
        crs = Raw([], np.int32(0), {"grid_mapping_name": "latitude_longitude"})
        write(path, {"v": Raw(["lat", "lon"], NUMBERS), "crs": crs, **GRID})
        unnamed(path, "crs")
        assert np.array_equal(made(tmp_path)["v"].values, NUMBERS[INSIDE])

    @pytest.mark.parametrize("where", [".zarray", ".zattrs"])
    def test_names_as_netcdf_writes_them(self, tmp_path: Path, where: str) -> None:
        path = tmp_path / "src" / "one.zarr"
        write(path, {"v": Raw(["lat", "lon"], NUMBERS), **GRID})
        unnamed(path, "v", "lat", "lon")
        for name, dims in {"v": ["/lat", "/lon"], "lat": ["/lat"], "lon": ["/lon"]}.items():
            old = where == ".zarray"
            key, field = (
                ("_NCZARR_ARRAY", "dimrefs") if old else ("_nczarr_array", "dimension_references")
            )
            file = path / name / where
            file.write_text(json.dumps(json.loads(file.read_text()) | {key: {field: dims}}))
        assert np.array_equal(made(tmp_path)["v"].values, NUMBERS[INSIDE])
