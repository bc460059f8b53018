"""stacbuild as a user runs it: a configuration, a harvest, and `stacbuild cube`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.benchmarks.data import RES, Box, Size
from scripts.benchmarks.job import Layer

PROGRAM = str(Path(sys.executable).with_name("stacbuild"))


# Without a date an item would get that of its file, with a warning.
_PROFILE = {
    "source": "*",
    "data": [{"match": "*.tif", "start_datetime": "2019-01-01T00:00:00Z"}],
}

# Not built, only harvested: the tiles beyond the first of their product.
_TILES = "tiles"


def prepare(
    directory: Path,
    size: Size,
    cubes: Mapping[str, Sequence[Layer]],
    source: Mapping[str, Any],
) -> Path:
    """Write a configuration and harvest what it names.

    Parameters
    ----------
    directory
        Gets the configuration, catalogs and cubes; emptied first.
    cubes
        The layers of each.
    source
        The store that all files are in: ``store_id`` and ``store_params``.

    Returns
    -------
    Path of the configuration.
    """
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "profiles").mkdir(parents=True)
    config = directory / "bench_config.yml"
    config.write_text(yaml.safe_dump(_config(size, cubes, source)))
    (directory / "profiles" / "bench.yml").write_text(yaml.safe_dump(_PROFILE))
    harvest(config)
    _join_tiles(directory / "catalogs", cubes)
    return config


def harvest(config: Path) -> None:
    """Harvest what a configuration names, in its folder; end the program if that fails."""
    done = subprocess.run(
        [PROGRAM, "harvest", str(config)], cwd=config.parent, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"harvesting failed:\n{done.stderr}")


def cube(config: Path, *, bbox: Box | None = None) -> list[str]:
    """Return the command that builds all cubes of a configuration."""
    datasets = yaml.safe_load(config.read_text())["datasets"]
    names = [each["identifier"] for each in datasets if each["identifier"] != _TILES]
    words = [PROGRAM, "cube", str(config), *names]
    return [*words, f"--bbox={','.join(map(str, bbox))}"] if bbox else words


def _config(
    size: Size, cubes: Mapping[str, Sequence[Layer]], source: Mapping[str, Any]
) -> dict[str, Any]:
    beyond = [
        Path(path).name for layers in cubes.values() for layer in layers for path in layer.paths[1:]
    ]
    tiles = {
        "identifier": _TILES,
        "grid_mapping": "grid",
        "variables": [
            {"identifier": f"tile{number}", "store": "source", "data_id": name}
            for number, name in enumerate(beyond)
        ],
    }
    return {
        "datasets": [
            *(_dataset(name, layers) for name, layers in cubes.items()),
            *([tiles] if beyond else []),
        ],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
            {"identifier": "source", **source},
        ],
        "grid_mappings": [
            {"identifier": "grid", "bbox": list(size.box), "spatial_res": RES,
             "crs": "EPSG:4326", "tile_size": size.tile},
        ],
    }  # fmt: skip


def _dataset(name: str, layers: Sequence[Layer]) -> dict[str, Any]:
    first = layers[0]
    if first.paths[0].endswith(".zarr"):
        what: dict[str, Any] = {"store": "source", "data_id": _product(first)}
    else:
        what = {
            "variables": [
                {"identifier": layer.name, "store": "source", "data_id": path}
                for layer in layers
                for path in [_product(layer)]
            ]
        }
    return {"identifier": name, "grid_mapping": "grid", **what}


def _product(layer: Layer) -> str:
    return Path(layer.paths[0]).name


def _join_tiles(catalogs: Path, cubes: Mapping[str, Sequence[Layer]]) -> None:
    """Assign one data id to the tiles of a product, as a harvester of tiled products does."""
    products = {
        Path(path).name: _product(layer)
        for layers in cubes.values()
        for layer in layers
        for path in layer.paths[1:]
    }
    for path in catalogs.glob("*/*/*.json"):
        item = json.loads(path.read_text())
        data_id = item["properties"]["stacbuild:data_id"]
        if data_id in products:
            item["properties"]["stacbuild:data_id"] = products[data_id]
            path.write_text(json.dumps(item, indent=2))
