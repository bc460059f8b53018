"""What tests of the command line share: running it, small inputs, and what it may leave behind."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
import xarray as xr
import yaml
from rasterio import Affine

from tests.support.forked import Runs, forked_runs

# A piece of the area that the tests' grids lie in, in a CRS and at a resolution of its own.
WEST, SOUTH, EAST, NORTH = BOX = (10.0, 45.0, 10.1, 45.1)

Json = dict[str, Any]


def command(*words: object) -> list[str]:
    """Return the command line that runs stacbuild with these words."""
    return [str(Path(sys.executable).with_name("stacbuild")), *map(str, words)]


@functools.cache
def shared_runs() -> Runs:
    """Return the process whose children the runs are; it lives as long as this one."""
    forked = forked_runs()
    atexit.register(forked.__exit__, None, None, None)
    return forked.__enter__()


def stacbuild(
    *words: object, code: int = 0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does; the exit code has to be *code*."""
    if "PYTHONPATH" in (env or {}):
        # That says what is imported, so nothing may have been imported before.
        done = subprocess.run(
            command(*words),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env={**os.environ, **(env or {})},
        )
        assert "Traceback" not in done.stderr
    else:
        ended = shared_runs()(*words, env=env)
        done = subprocess.CompletedProcess(command(*words), ended.code, ended.stdout, ended.stderr)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines that tell of an error."""
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def geotiff(path: Path, crs: str | None = "EPSG:4326", **changes: Any) -> Path:
    """Write a small raster of codes 0 to 99 that lies a little beyond `BOX`."""
    rows, cols = np.indices((120, 120))
    values = ((rows * 7 + cols * 3) % 100).astype(np.uint8)
    profile = {
        "driver": "GTiff",
        "width": 120,
        "height": 120,
        "count": 1,
        "dtype": "uint8",
        "crs": crs,
        "transform": Affine(0.001, 0, WEST - 0.01, 0, -0.001, NORTH + 0.01),
        "nodata": 255,
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
        "compress": "deflate",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **(profile | changes)) as file:
        file.write(values, 1)
    return path


def ages(path: Path, zarr_format: int = 3) -> Path:
    """Write a Zarr group of noise in chunks of 50 x 50, none of fill values only."""
    step = 0.001
    lat = NORTH + 0.01 - step * (np.arange(120) + 0.5)
    lon = WEST - 0.01 + step * (np.arange(120) + 0.5)
    assert lat[-1] < SOUTH
    assert lon[-1] > EAST
    values = np.random.default_rng(6).random((120, 120), np.float32) + 1
    dataset = xr.Dataset(
        {"age": (("lat", "lon"), values)},
        {"lat": lat, "lon": lon},
        {"time_coverage_start": "2020-01-01"},
    )
    encoding = {"age": {"chunks": (50, 50)}}
    dataset.to_zarr(path, zarr_format=zarr_format, encoding=encoding, consolidated=zarr_format == 2)
    return path


def configuration(
    directory: Path,
    datasets: Sequence[Json],
    stores: Sequence[Json] = (),
    *,
    storage: Json | None = None,
    grids: Sequence[Json] = (),
    **sections: Any,
) -> Path:
    """Write ``c_config.yml``: *datasets* on the grid ``grid`` (`BOX`), *stores*, and a storage."""
    content = {
        "datasets": [{"grid_mapping": "grid"} | dataset for dataset in datasets],
        "data_stores": [
            {
                "identifier": "storage",
                **(storage or {"store_id": "file", "store_params": {"root": "data"}}),
            },
            *stores,
        ],
        "grid_mappings": [
            {"identifier": "grid", "bbox": list(BOX), "spatial_res": 0.001, "crs": "EPSG:4326"},
            *grids,
        ],
        **sections,
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "c_config.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def check_left(directory: Path, cubes: Sequence[str], begun: Sequence[str] = ()) -> None:
    """Check that exactly these cubes stand in ``data``, whole, and a catalog that names them.

    Nothing half-made may be seen: no staging, no temporary file, no link to what is not there. Of
    cubes that were *begun* what is finished may be kept, hidden, for the next run.
    """
    kept = {f".{cube}.zarr" for cube in begun}
    there = [
        path
        for path in (directory / "data").glob("*")
        if not any(path.name.startswith(f"{name}.") for name in kept)
    ]
    assert {path.name for path in there if path.is_dir()} == {f"{cube}.zarr" for cube in cubes}
    for path in there:
        assert not path.name.startswith(".") or path.suffix == ".lock", path
    for cube in cubes:
        with xr.open_zarr(directory / "data" / f"{cube}.zarr") as dataset:
            dataset.load()
    if not (directory / "catalogs" / "catalog.json").exists():
        assert not cubes
        return
    assert catalogued(directory / "catalogs") == sorted(cubes)


def catalogued(root: Path) -> list[str]:
    """Return the cubes in the catalog, having opened all that it links to."""
    linked = {(root / "catalog.json").resolve()}
    names = []
    catalog = pystac.Catalog.from_file(str(root / "catalog.json"))
    for collection in catalog.get_children():
        linked.add(Path(collection.self_href).resolve())
        for item in collection.get_items():
            linked.add(Path(item.self_href).resolve())
            for link in item.links:
                href = link.get_absolute_href() or ""
                assert "://" in href or Path(href).exists(), link
            for asset in item.get_assets().values():
                href = asset.get_absolute_href() or ""
                assert "://" in href or Path(href).exists(), href
            if collection.id == "c":
                names.append(item.id)
    assert {path.resolve() for path in root.rglob("*.json")} == linked
    leftovers = [
        path
        for path in root.rglob("*")
        if path.is_file()
        and path.suffix != ".json"
        and path.name not in ("thumbnail.png", ".checksums")
    ]
    assert [path for path in leftovers if path.suffix != ".lock"] == []
    return sorted(names)
