"""Variables of several sources become one dataset; what fills gaps is no valid value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild.building.merge import merge
from stacbuild.config.datasets import MultiDataset
from stacbuild.errors import BuildError


def part(
    name: str, times: list[int], values: Any, dtype: str = "uint8", fill: Any = None
) -> xr.Dataset:
    array = xr.DataArray(np.array(values, dtype), dims="time", coords={"time": times}).chunk()
    found = array.to_dataset(name=name)
    # As loading leaves it: declared where "no data" occurs, else a value that could be it.
    name_of = "fill_value" if fill is None else "_FillValue"
    if found[name].dtype.kind != "f" or fill is not None:
        found[name].encoding[name_of] = 0 if fill is None else fill
    return found


def merged(*parts: xr.Dataset, **params: Any) -> xr.Dataset:
    variables = [
        {"identifier": name, "store": "s", "data_id": "a"}
        for each in parts
        for name in each.data_vars
    ]
    dataset = {"identifier": "cube", "variables": variables, "xr_merge_params": params}
    return merge(MultiDataset.model_validate(dataset), parts)


def test_alike_they_stay_as_they_are() -> None:
    found = merged(part("a", [1, 2], [7, 8]), part("b", [1, 2], [0.5, 1], "float32"))
    assert found["a"].dtype == np.uint8
    assert "_FillValue" not in found["a"].encoding


def test_times_that_differ_are_refused_by_default() -> None:
    with pytest.raises(BuildError) as raised:
        merged(part("a", [1], [7]), part("c", [1], [7]), part("b", [2], [8]))
    said = str(raised.value)
    assert said.startswith("cube: the times of its variables differ: a, c has 1 (")
    assert "; b has 1 (" in said
    assert "set xr_merge_params: {join: outer}" in said


def test_gaps_are_no_data_of_the_variables_own_type() -> None:
    found = merged(part("a", [1], [7], fill=255), part("b", [2], [0.5], "float32"), join="outer")
    assert found["a"].values.tolist() == [7, 255]
    assert found["a"].dtype == np.uint8
    np.testing.assert_array_equal(found["b"].values, np.array([np.nan, 0.5], "float32"))


def test_the_own_no_data_becomes_the_value_that_is_stated() -> None:
    found = merged(
        part("a", [1, 2], [7, 255], fill=255),
        part("b", [3], [1]),
        join="outer",
        fill_value={"a": 9, "b": 8},
    )
    assert found["a"].values.tolist() == [7, 9, 9]
    assert found["a"].encoding["_FillValue"] == 9
    assert found["b"].values.tolist() == [8, 8, 1]


@pytest.mark.parametrize(
    ("fill", "said"),
    [({"a": 7, "b": 0}, "valid value"), ({"a": 256, "b": 0}, "uint8"), ({"c": 1}, "'c'")],
)
def test_values_that_cannot_fill_gaps(fill: dict[str, int], said: str) -> None:
    with pytest.raises(BuildError, match=said):
        merged(part("a", [1], [7]), part("b", [2], [1]), join="outer", fill_value=fill).compute()


def test_integers_of_a_custom_function_state_no_value_for_no_data() -> None:
    computed = part("a", [1, 2], [0, 1])
    computed["a"].encoding = {}
    other = part("b", [1, 2], [5, 6])
    assert merged(computed, other)["a"].values.tolist() == [0, 1]
    gaps = merged(computed, part("b", [3], [7]), join="outer")["a"]
    assert gaps.values.tolist() == [0, 1, 255]
    assert gaps.encoding["_FillValue"] == 255
