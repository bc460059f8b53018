"""CRSs of Zarr stores in few or odd words."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_grid import grid_of
from tests.support.cli import Json

LAEA = "lambert_azimuthal_equal_area"


def metres(mapping: Json, **attrs: object) -> xr.Dataset:
    axis = 1000 * (np.arange(4) + 0.5)
    return xr.Dataset(
        {"v": (("y", "x"), np.zeros((4, 4)), {"grid_mapping": "crs"}), "crs": ((), 0, mapping)},
        {"y": 3e6 - axis, "x": 4e6 + axis},
        attrs,
    )


@pytest.mark.parametrize("name", [LAEA, "transverse_mercator", "stereographic", "orthographic"])
def test_a_projection_without_its_origin_is_refused(name: str) -> None:
    mapping = {"grid_mapping_name": name, "longitude_of_prime_meridian": 0.0}
    with pytest.raises(StacbuildError, match=f"{name} lacks its parameters"):
        grid_of(metres(mapping))


def test_one_that_another_statement_completes_is_passed_over() -> None:
    grid = grid_of(metres({"grid_mapping_name": LAEA}, crs="EPSG:3035"))
    assert grid.crs == "EPSG:3035"
    assert any("lacks its parameters" in note for note in grid.notes)


def test_projections_centred_on_greenwich_need_none() -> None:
    assert grid_of(metres({"grid_mapping_name": "sinusoidal"})).crs.startswith("PROJCRS")


@pytest.mark.parametrize(
    "attrs",
    [
        {"epsg": 3035.0},
        {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3035"}}},
    ],
    ids=str,
)
def test_codes_as_others_write_them(attrs: Json) -> None:
    assert grid_of(metres({}, **attrs)).crs == "EPSG:3035"
