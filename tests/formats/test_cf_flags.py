"""CF flags make classes of a variable, and a legend where they fit each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stacbuild.formats.cf_flags import is_categorical, legend_of


@pytest.mark.parametrize(
    ("dtype", "attrs", "expected"),
    [
        ("uint8", {}, True),
        ("float32", {}, False),
        ("float32", {"flag_masks": [1]}, True),
        ("float32", {"units": "days since 2000-01-01"}, True),
        ("float32", {"units": "m"}, False),
        ("bool", {}, True),
    ],
)
def test_what_has_nothing_in_between(dtype: str, attrs: dict[str, Any], *, expected: bool) -> None:
    assert is_categorical(np.dtype(dtype), attrs) is expected


@pytest.mark.parametrize(
    ("values", "meanings", "expected"),
    [
        (np.array([1, 2], "uint8"), "forest water", {1: "forest", 2: "water"}),
        (3, "one", {3: "one"}),
        ([1.0, 2.0], "a b", {1: "a", 2: "b"}),
        ([1, 2], "only_one", {}),
        ([1.5], "half", {}),
        (["x"], "text", {}),
        ([1], None, {}),
    ],
)
def test_a_legend_only_of_whole_numbers_and_as_many_names(
    values: Any, meanings: Any, expected: dict[int, str]
) -> None:
    assert legend_of({"flag_values": values, "flag_meanings": meanings}) == expected
    assert legend_of({"flag_meanings": meanings}) == {}
