"""Variables on the grid of a Zarr item."""

from __future__ import annotations

from typing import Any

import pystac
import pytest

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import BuildError
from stacbuild.loading.zarr_variables import asked_for, left_out, on_grid, spatial_dims
from stacbuild.stac.datacube import LEFT_OUT, OTHER_GRID
from tests.support.items import zarr_item

DIMENSIONS = {
    "time": {"type": "temporal"},
    "lat": {"type": "spatial", "axis": "y"},
    "lon": {"type": "spatial", "axis": "x"},
}


def entry(*dims: str, kind: str = "data", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "dimensions": list(dims), "data_type": "float32", **fields}


def item(**variables: dict[str, Any]) -> pystac.Item:
    made = zarr_item(**variables)
    made.properties["cube:dimensions"] = DIMENSIONS
    return made


def test_dimensions_by_their_axes() -> None:
    assert spatial_dims(item()) == ("lat", "lon")
    without = item()
    without.properties["cube:dimensions"] = {"lat": DIMENSIONS["lat"]}
    with pytest.raises(BuildError, match="item i: cube:dimensions name no x and y"):
        spatial_dims(without)


def test_variables_on_the_grid() -> None:
    found = on_grid(item(v=entry("time", "lat", "lon"), profile=entry("time", "lat")))
    assert list(found) == ["v"]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("longitude", entry("lat", "lon", kind="auxiliary")),
        ("NAV_LAT", entry("lat", "lon", kind="auxiliary")),
        ("where", entry("lat", "lon", unit="degrees_north")),
        ("bounds", entry("lat", "lon", "corner", kind="auxiliary")),
    ],
)
def test_places_of_pixels_are_no_data_unless_they_are_named(
    name: str, fields: dict[str, Any]
) -> None:
    made = item(v=entry("lat", "lon"), **{name: fields})
    assert list(on_grid(made)) == ["v"]
    assert list(on_grid(made, {name})) == ["v", name]


def test_another_auxiliary_variable_is_data() -> None:
    made = item(v=entry("lat", "lon"), quality=entry("lat", "lon", kind="auxiliary"))
    assert list(on_grid(made)) == ["v", "quality"]


def test_what_cannot_be_read_has_a_reason() -> None:
    made = item(
        v=entry("lat", "lon"),
        old=entry("lat", "lon") | {"data_type": "other"},
        hidden=entry(**{LEFT_OUT: "is compressed by zfp"}),
        elsewhere=entry("a", "b", **{LEFT_OUT: f"{OTHER_GRID} of its own"}),
        shapeless=entry("time", **{LEFT_OUT: "is compressed by zfp"}),
    )
    assert left_out(made) == {
        "old": "has no type of numbers",
        "hidden": "is compressed by zfp",
        "elsewhere": f"{OTHER_GRID} of its own",
    }
    assert list(on_grid(made, {"old"})) == ["v"]


def test_variables_that_a_configuration_names() -> None:
    def asked(**fields: Any) -> set[str]:
        content = {"store": "s", "data_id": "a.zarr", **fields}
        return asked_for(SourceVariable.model_validate(content))

    assert asked() == set()
    opened = {"open_params": {"variable_names": ["a"]}}
    assert asked(**opened, spatial_resample_params={"variables": ["b"]}) == {"a", "b"}
