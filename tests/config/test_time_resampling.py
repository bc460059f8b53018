"""Methods of temporal_resample_params: names, percentiles, and by another variable."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.config.time_resampling import By, TemporalResampleParams, percentile_of


def params(methods: Any, **more: Any) -> TemporalResampleParams:
    return TemporalResampleParams.model_validate(
        {"frequency": "MS", "agg_methods": methods} | more, context={"known": {}}
    )


@pytest.mark.parametrize(
    ("method", "number"),
    [("p0", 0), ("p2.5", 2.5), ("p100", 100), ("p", None), ("prod", None), ("xp5", None)],
)
def test_numbers_of_percentiles(method: str, number: float | None) -> None:
    assert percentile_of(method) == number


def test_one_method_or_one_for_each_variable() -> None:
    assert params("p25").agg_methods == "p25"
    assert params({"max_by": "ndvi"}).agg_methods == By(max_by="ndvi")
    each = {"red": "p25", "nir": {"min_by": "cloud"}, "scl": "medoid"}
    found = params(each)
    assert found.agg_methods == {"red": "p25", "nir": By(min_by="cloud"), "scl": "medoid"}
    assert found.names("agg_methods") == ("red", "nir", "scl", "cloud")
    assert params({"max_by": "ndvi"}).names("agg_methods") == ("ndvi",)
    assert params("medoid", variables=["a"]).names("variables") == ("a",)
    # Cubes of configurations without it stay up to date.
    dumped = params({"max_by": "ndvi"}).model_dump(mode="json", exclude_none=True)
    assert dumped == {"frequency": "MS", "agg_methods": {"max_by": "ndvi"}}


@pytest.mark.parametrize(
    ("methods", "more", "expected"),
    [
        ("p101", {}, "has to be a percentile from p0 to p100, got 'p101'"),
        ("p-1", {}, "should be 'backfill'"),
        ({"max_by": "a", "min_by": "b"}, {}, "takes max_by or min_by"),
        ({"red": {}}, {}, "takes max_by or min_by"),
        ({"red": {"best": "b"}}, {}, "best"),
        ({"max_by": "a", "red": "mean"}, {}, "should be 'backfill'"),
        (None, {"interp_methods": "linear", "counts": True}, "counts values of longer steps"),
        ("mean", {"counts": "yes"}, "True"),
    ],
)
def test_methods_that_cannot_be_meant(methods: Any, more: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        params(methods, **more)
