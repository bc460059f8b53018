"""Many datasets that take their grids from each other: the work grows with their number only.

Calls of functions are counted, as seconds depend on the machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import stacbuild
from tests.support.cli import geotiff

GRID = {
    "identifier": "grid",
    "crs": "EPSG:4326",
    "spatial_res": 0.01,
    "bbox": [10, 45, 10.05, 45.05],
}
COUNTS = (10, 20, 40)


def chained(directory: Path, shape: str, count: int) -> dict[str, Any]:
    """Return a configuration of datasets whose grids are those of others, up to a last one."""
    names = [f"d{number}" for number in range(count)]
    takes: dict[str, list[str | None]] = {
        "own grid": [None, *names[:-1]],
        "named grid": ["grid", *names[:-1]],
        "reversed": [*names[1:], None],
        "star": [None] + ["d0"] * (count - 1),
    }
    datasets = [
        {"identifier": name, "data_id": "a.tif", "store": "tiles"}
        | ({"grid_mapping": grid} if grid else {})
        for name, grid in zip(names, takes[shape], strict=True)
    ]
    stores = [
        {"identifier": name, "store_id": "file", "store_params": {"root": str(directory / root)}}
        for name, root in (("tiles", "tiles"), ("storage", "data"))
    ]
    return {
        "datasets": datasets,
        "data_stores": stores,
        "grid_mappings": [GRID],
    }


def calls(function: Callable[[], object]) -> Counter[str]:
    """Return how often each function of stacbuild is called."""
    found: Counter[str] = Counter()
    package = str(Path(stacbuild.__file__).parent)

    def profile(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            found[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("chains")
    geotiff(directory / "tiles" / "a.tif")
    config = stacbuild.load_config(chained(directory, "own grid", 3), base_dir=directory)
    stacbuild.harvest(config, directory / "catalogs")
    # What is imported or cached once is no part of the growth.
    stacbuild.plan(config, directory / "catalogs")
    return directory


@pytest.mark.parametrize("shape", ["own grid", "named grid", "reversed", "star"])
def test_loading_and_planning_grow_linearly(directory: Path, shape: str) -> None:
    found = []
    for count in COUNTS:
        data = chained(directory, shape, count)
        load = partial(stacbuild.load_config, data, base_dir=directory)
        plan = partial(stacbuild.plan, load(), directory / "catalogs")
        found.append((calls(load), calls(plan)))
    for small, medium, large in zip(*found, strict=True):
        assert sum(large.values()) > COUNTS[-1]
        # If a number grows with the square of the count, its second step is four times the first.
        steps = {name: (medium[name] - small[name], large[name] - medium[name]) for name in large}
        assert {name: step for name, step in steps.items() if step[1] > 2 * step[0] + 5} == {}
        # It serializes all datasets.
        assert not [name for name in large if name.endswith("Config.resolved")]


def test_the_grid_of_a_long_chain_is_that_of_its_end(directory: Path) -> None:
    config = stacbuild.load_config(chained(directory, "named grid", 2000), base_dir=directory)
    assert config.grid_of(config.dataset("d1999")) is config.grid_mapping("grid")
    assert config.grid_of(config.dataset("d1000")) is config.grid_mapping("grid")


def test_a_long_circle_is_refused_once_for_each_of_it(directory: Path) -> None:
    data = chained(directory, "reversed", 40)
    data["datasets"][39]["grid_mapping"] = "d10"
    with pytest.raises(stacbuild.ConfigError) as caught:
        stacbuild.load_config(data, base_dir=directory)
    message = str(caught.value)
    assert message.count("goes in a circle") == 30
    assert "d10 -> d11" in message
