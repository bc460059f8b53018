"""Variables of planned cubes: their names, by the items of their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stacbuild.config import load_config
from stacbuild.planning import plan
from tests.support.scenes.written import Band, Scene, config_of, put_scenes

SOURCE = {"store": "scenes", "data_id": "s2"}
NIR = {"variable_names": ["nir"]}
MAPPING = {"crs": "EPSG:32632", "bbox": [500000, 5427680, 500320, 5428000], "spatial_res": 10}


@pytest.mark.parametrize(
    ("dataset", "names"),
    [
        ({"variables": [SOURCE | {"identifier": "s2"}]}, ("s2_red", "s2_nir", "s2_scl")),
        (
            {"variables": [SOURCE | {"identifier": "s2", "open_params": NIR}]},
            ("s2",),
        ),
        ({"open_params": NIR}, ("nir",)),
        ({"spatial_resample_params": {"variables": ["red", "scl"]}}, ("red", "scl")),
    ],
)  # fmt: skip
def test_names_of_variables(tmp_path: Path, dataset: Any, names: tuple[str, ...]) -> None:
    bands = {key: Band(np.ones((32, 32), "uint16")) for key in ("red", "nir", "scl")}
    put_scenes(tmp_path, [Scene("one", "2020-03-05T10:20:30Z", bands)])
    [planned] = plan(load_config(config_of(tmp_path, MAPPING, dataset)), tmp_path / "catalogs")
    assert planned.expected is not None
    assert tuple(each.name for each in planned.expected.variables) == names
