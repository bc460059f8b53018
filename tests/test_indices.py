"""Spectral indices by custom_processing, and what they are computed from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import stacbuild
from stacbuild import indices
from stacbuild.errors import ConfigError
from stacbuild.indices import IndexFunctionError
from tests.support.built import INSIDE, LAT, LON, SOURCES, made, refused
from tests.support.cli import Json, configuration

TIMES = pd.DatetimeIndex(["2020-01-03", "2020-01-08", "2020-02-13"])
BANDS = ("blue", "red", "nir", "swir22")


def scenes(directory: Path, *, scaled: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    """Write digital numbers of four bands, and return them as values, with NaN for nodata."""
    random = np.random.default_rng(5)
    numbers = {name: random.integers(0, 40, (3, 120, 120)).astype("u2") for name in BANDS}
    numbers["nir"][:, 20:30] = 0
    data = xr.Dataset(
        {name: (("time", "lat", "lon"), array) for name, array in numbers.items()},
        {"time": TIMES, "lat": LAT, "lon": LON},
    )
    for array in data.data_vars.values():
        array.attrs |= {"_FillValue": 0} | ({"scale_factor": 0.01} if scaled else {})
    data.to_zarr(directory / "src" / "one.zarr", mode="w", zarr_format=2, consolidated=True)
    scale = 0.01 if scaled else 1
    return {
        name: np.where(array == 0, np.nan, array * scale)[:, INSIDE[0], INSIDE[1]]
        for name, array in numbers.items()
    }


def custom(function: str) -> Json:
    return {"custom_processing": {"module_path": "stacbuild.indices", "function_name": function}}


def formula(name: str, band: dict[str, Any]) -> Any:
    """Return an index by the formula of its publication."""
    with np.errstate(all="ignore"):
        if name == "ndvi":
            return (band["nir"] - band["red"]) / (band["nir"] + band["red"])
        if name == "nbr":
            return (band["nir"] - band["swir22"]) / (band["nir"] + band["swir22"])
        return (
            2.5 * (band["nir"] - band["red"])
            / (band["nir"] + 6 * band["red"] - 7.5 * band["blue"] + 1)
        )  # fmt: skip


@pytest.mark.parametrize("name", ["ndvi", "nbr", "evi"])
def test_values_of_packed_bands(tmp_path: Path, name: str) -> None:
    bands = scenes(tmp_path)
    cube = made(tmp_path, custom(name))
    assert list(cube.data_vars) == [name]
    expected = formula(name, bands)
    # In single precision a denominator of 0 may be another number close to it.
    plain = ~(np.abs(expected) > 10)
    np.testing.assert_allclose(cube[name].values[plain], expected[plain], rtol=1e-4, atol=1e-5)
    assert cube[name].dtype == np.float32
    assert cube[name].attrs["references"].startswith("http")
    assert cube[name].attrs["units"] == "1"


def test_integers_without_a_scale_keep_their_nodata(tmp_path: Path) -> None:
    bands = scenes(tmp_path, scaled=False)
    cube = made(tmp_path, custom("with_NDVI"))
    assert set(cube.data_vars) == {*BANDS, "ndvi"}
    # 0 minus 1 of unsigned integers is not 65535.
    np.testing.assert_allclose(cube["ndvi"], formula("ndvi", bands), rtol=1e-6)
    assert np.isnan(cube["ndvi"].values[:, 12:18]).all()
    said = refused(tmp_path, custom("evi"))
    assert "stacbuild.indices:evi: EVI needs reflectance, but nir holds uint16" in said


def test_a_composite_of_the_greenest_observation(tmp_path: Path) -> None:
    bands = scenes(tmp_path)
    params = {"frequency": "MS", "agg_methods": {"max_by": "ndvi"}, "variables": ["red", "ndvi"]}
    cube = made(tmp_path, custom("with_ndvi") | {"temporal_resample_params": params})
    ndvi = formula("ndvi", bands)[:2]
    some = np.isfinite(ndvi).any(axis=0)
    at = np.where(np.isfinite(ndvi), ndvi, -9).argmax(axis=0)[None]
    red = np.take_along_axis(bands["red"][:2], at, axis=0)[0]
    apart = some & ~(np.abs(ndvi[0] - ndvi[1]) < 1e-6)
    np.testing.assert_allclose(cube["red"].values[0][apart], red[apart], rtol=1e-6)
    assert np.isnan(cube["red"].values[0][~some]).all()


def test_names_of_bands() -> None:
    array = xr.DataArray(np.array([[0.4]], "f4"), dims=("y", "x")).chunk()
    dataset = xr.Dataset({"B04": array, "B8A": array + 0.2})
    common = {"B04": "red", "B8A": "nir08"}
    found = indices.computed(dataset, "ndvi", common, {})
    np.testing.assert_allclose(found["ndvi"], 0.2, rtol=1e-6)
    with pytest.raises(IndexFunctionError, match=r"NDVI needs nir \(N\), .* there are: B04, B8A"):
        indices.computed(dataset, "ndvi", {"B04": "red"}, {})


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("ndvj", "function_name: there is no index 'ndvj' in stacbuild.indices; such as ndvi"),
        ("NDPolI", "function_name: NDPolI needs VV, which is no band of a scene"),
    ],
)
def test_functions_that_do_not_exist(tmp_path: Path, function: str, expected: str) -> None:
    (tmp_path / "src").mkdir()
    path = configuration(
        tmp_path, [{"identifier": "c", "store": "files", "data_id": "one.zarr"} | custom(function)],
        [SOURCES],
    )  # fmt: skip
    with pytest.raises(ConfigError, match=expected):
        stacbuild.load_config(path)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spyndex", None)
    indices._inputs.cache_clear()
    with pytest.raises(IndexFunctionError, match=r"pip install 'stacbuild\[indices\]'"):
        indices.check("ndvi")


def test_another_formula_is_another_cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes(tmp_path)
    made(tmp_path, custom("ndvi"))
    path = tmp_path / "c_config.yml"
    (planned,) = stacbuild.plan(path)
    assert planned.action == "up to date", planned
    definition = indices.definition
    monkeypatch.setattr(indices, "definition", lambda name: definition(name) + " * 2")
    (planned,) = stacbuild.plan(path)
    assert planned.action == "rebuild", planned
    assert "stacbuild.indices:ndvi" in str(planned.reasons)
