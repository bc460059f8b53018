"""What a configuration says of a dataset, and what it means for a variable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from stacbuild.config.datasets import (
    AnyDataset,
    CustomProcessing,
    MultiDataset,
    OpenParams,
    SingleDataset,
    Source,
    TemporalResampleParams,
)

ONE = {"store": "local", "data_id": "a.tif"}


def dataset(**more: Any) -> Any:
    return TypeAdapter(AnyDataset).validate_python({"identifier": "one", **more})


def test_a_dataset_has_one_source_or_several() -> None:
    single = dataset(**ONE)
    assert isinstance(single, SingleDataset)
    (source,) = single.variables
    assert (source.data_id, source.identifier) == ("a.tif", None)
    several = dataset(variables=[{"identifier": "v", **ONE}])
    assert isinstance(several, MultiDataset)
    assert several.variables[0].identifier == "v"
    with pytest.raises(ValidationError, match="at least 1 item"):
        dataset(variables=[])


def test_methods_are_for_all_variables_or_by_name() -> None:
    by_name = Source.model_validate(
        {**ONE, "spatial_resample_params": {"agg_methods": {"a": "mode"}, "fill_values": {"a": 7}}}
    )
    assert (by_name.agg_method("a"), by_name.agg_method("b")) == ("mode", None)
    assert (by_name.fill_value("a"), by_name.fill_value("b")) == (7, None)
    for_all = Source.model_validate(
        {**ONE, "spatial_resample_params": {"interp_methods": "nearest"}}
    )
    assert for_all.interp_method("b") == "nearest"
    assert Source.model_validate(ONE).interp_method("b") is None


def test_integers_of_64_bits_stay_exact() -> None:
    source = Source.model_validate({**ONE, "spatial_resample_params": {"fill_values": 2**63 + 1}})
    assert source.fill_value("v") == 2**63 + 1


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"bbox": [1, 0, 0, 1]}, "west less than east"),
        ({"bbox": [0, 0, 1, 1], "point": [0, 0]}, "bbox or point, not both"),
        ({"bbox_width": 5}, "bbox_width needs a point"),
        ({"crs": "EPSG:1"}, "PROJ knows"),
        ({"time_range": ["2020", "yesterday"]}, "has to be a date"),
    ],
)
def test_areas_and_times_that_cannot_be_meant(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OpenParams.model_validate(params)


def test_the_area_is_the_box_or_the_square() -> None:
    assert OpenParams(bbox=(0, 0, 1, 2)).area == (0, 0, 1, 2)
    square = OpenParams(point=(100, 200), bbox_width=10, crs="EPSG:3035")
    assert square.area == (95, 195, 105, 205)
    assert OpenParams(point=(1, 2)).area is None
    assert OpenParams().area_crs == "EPSG:4326"


def test_a_point_alone_has_no_grid() -> None:
    point = {"open_params": {"point": [1, 2]}}
    dataset(**ONE, **point)
    for more in ({**ONE, **point}, {"variables": [{"identifier": "v", **ONE, **point}]}):
        with pytest.raises(ValidationError, match="has no grid"):
            dataset(grid_mapping="g", **more)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"frequency": "MS", "agg_methods": "mean", "interp_methods": "linear"}, "not both"),
        ({"frequency": "MS", "offset": "12h"}, "such as 10D, not"),
        ({"frequency": "fortnight"}, "frequency of pandas"),
    ],
)
def test_steps_of_time_that_cannot_be_meant(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TemporalResampleParams.model_validate(params)


def test_a_function_lies_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "f.py").write_text("import g")
    (tmp_path / "g.py").write_text("")
    processing = CustomProcessing.model_validate(
        {"module_path": "sub/f", "function_name": "run", "depends_on": ["data"]},
        context={"directory": tmp_path, "path": None, "known": {}},
    )
    assert processing.file == tmp_path / "sub" / "f.py"
    assert list(processing.modules()) == ["g.py"]
    assert list(processing.dependencies()) == ["data/t.csv"]
