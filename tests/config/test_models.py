"""A configuration as a whole: what its names lead to, and what may be published of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.config.load import load_config
from stacbuild.config.models import Config, GridMapping, hint
from stacbuild.errors import ConfigError

GRID = {"identifier": "g", "crs": "EPSG:4326", "spatial_res": 0.1, "bbox": [0, 0, 1, 1]}


def dataset(name: str, grid: str | None = None) -> dict[str, Any]:
    one = {"identifier": name, "store": "local", "data_id": "a.tif"}
    return one | ({"grid_mapping": grid} if grid else {})


def config(*datasets: dict[str, Any], **more: Any) -> Config:
    stores = [
        {"identifier": "storage", "store_id": "memory"},
        {"identifier": "local", "store_id": "file", "store_params": {"root": "/srv/maps"}},
    ]
    return load_config(
        {"datasets": list(datasets), "data_stores": stores, "grid_mappings": [GRID], **more}
    )


def test_names_lead_to_what_they_name() -> None:
    found = config(dataset("one", "g"))
    assert found.dataset("one").identifier == "one"
    assert found.storage.store_id == "memory"
    assert found.grid_mapping("g").spatial_res == 0.1
    with pytest.raises(ConfigError, match=r"no dataset 'onee' \(did you mean 'one'"):
        found.dataset("onee")
    with pytest.raises(ConfigError, match="no grid 'x'; there are: g"):
        found.grid_mapping("x")


def test_a_dataset_may_take_the_grid_of_another() -> None:
    found = config(
        dataset("a", "g"), dataset("b", "a"), dataset("c", "b"), dataset("own"), dataset("d", "own")
    )
    assert found.grid_of(found.dataset("c")) is found.grid_mapping("g")
    assert found.grid_of(found.dataset("own")) is found.dataset("own")
    assert found.grid_of(found.dataset("d")) is found.dataset("own")


def test_a_circle_of_grids_is_refused() -> None:
    found = config(dataset("a", "g"))
    one, two = (
        found.dataset("a").model_copy(update={"identifier": i, "grid_mapping": g})
        for i, g in (("a", "b"), ("b", "a"))
    )
    circle = found.model_copy(update={"datasets": (one, two)})
    with pytest.raises(ConfigError, match="datasets a -> b -> a: take their grid from each other"):
        circle.grid_of(one)


def test_another_scheduler() -> None:
    found = config(dataset("one", "g"))
    assert found.with_scheduler("processes").general.dask_scheduler == "processes"
    assert found.general.dask_scheduler == "threads"
    with pytest.raises(ConfigError, match="scheduler: has to be threads"):
        found.with_scheduler("gpu")


def test_what_is_published_has_no_path_of_this_machine() -> None:
    content = config(dataset("one", "g")).resolved()
    assert content["data_stores"][1]["store_params"]["root"] == ".../maps"
    assert "dask_scheduler" not in content["general"]
    assert content["grid_mappings"][0]["tile_size"] == [1024, 1024]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"tile_size": [1, 2, 3]}, "one whole number, or two"),
        ({"tile_size": 0}, "1 or more"),
        ({"spatial_res": -1}, "more than 0"),
        ({"crs": "WGS84"}, "not an EPSG code"),
        ({"bbox": [1, 0, 0, 1]}, "less than east"),
    ],
)
def test_grids_that_are_none(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GridMapping.model_validate(GRID | more)


def test_one_tile_size_is_that_of_both_axes() -> None:
    assert GridMapping.model_validate(GRID | {"tile_size": 512}).tile_size == (512, 512)


def test_hints_are_short_however_many_names_there_are() -> None:
    assert hint("senv", ["senf", "other"]) == " (did you mean 'senf'?)"
    assert hint("x", []) == "; none is defined"
    assert hint("x", ["b", "a"]) == "; there are: a, b"
    many = hint("x", [f"name{n:03d}" for n in range(500)])
    assert many.endswith(", ...")
    assert len(many) < 2000
    assert hint("y" * 200, ["a", "y" * 200]) == "; there are: a"
