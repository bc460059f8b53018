"""How a variable is resampled: as configured, else by its type, classes and sizes of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import BuildError
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.methods import check_methods, resampling_method


def grid(size: float) -> PixelGrid:
    return PixelGrid("EPSG:3035", (size, 0.0, 5.0, 0.0, -size, 5.0), (50, 50))


def variable(**params: Any) -> SourceVariable:
    return SourceVariable.model_validate(
        {"store": "s", "data_id": "a.tif", "spatial_resample_params": params}
    )


def method(size: float, dtype: str = "float32", classes: Any = (), **params: Any) -> str:
    metadata = VariableMetadata(np.dtype(dtype), (), classes, {})
    return resampling_method(variable(**params), "v", metadata, [grid(10)], grid(size))


@pytest.mark.parametrize(
    ("size", "dtype", "expected"),
    [
        (10, "float32", "nearest"),
        (7, "float32", "bilinear"),
        (15, "float32", "bilinear"),
        (25, "float32", "mean"),
        (25, "int16", "nearest"),
        (7, "uint8", "nearest"),
    ],
)
def test_by_type_and_size(size: float, dtype: str, expected: str) -> None:
    assert method(size, dtype) == expected


def test_classes_are_never_mixed() -> None:
    assert method(25, classes=({"value": 1, "name": "forest"},)) == "nearest"
    # A class that only means no data says nothing of the type.
    assert method(25, classes=({"value": 255, "name": "x", "nodata": True},)) == "mean"


def test_what_is_configured_counts_in_its_direction() -> None:
    params = {"agg_methods": {"v": "mode"}, "interp_methods": "nearest"}
    assert method(25, **params) == "mode"
    assert method(7, **params) == "nearest"
    assert method(25, agg_methods="center") == "nearest"
    # Pixels that coincide are not resampled, whatever is configured.
    assert method(10, agg_methods="sum") == "nearest"


def test_a_method_for_no_variable_is_refused() -> None:
    check_methods(variable(agg_methods={"v": "mode"}), ["v", "w"])
    with pytest.raises(BuildError, match="agg_methods"):
        check_methods(variable(agg_methods={"x": "mode"}), ["v", "w"])
