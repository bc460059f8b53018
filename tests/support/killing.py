"""What may be seen after a run was killed, and what has to be there after the next one."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import xarray as xr
import yaml
import zarr

from tests.support.cli import BOX, Json, configuration, geotiff

STORE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
# Long and narrow: five regions a variable, of few pixels.
LONG = {
    "identifier": "grid",
    "bbox": [BOX[0], BOX[1], BOX[2], BOX[1] + 0.0125],
    "spatial_res": 0.00001,
    "crs": "EPSG:4326",
    "tile_size": 512,
}
# When a run began, wherever it is written.
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def small(directory: Path, data_id: str = "good.tif", **sections: object) -> Path:
    """Configure a cube ``good`` of one chunk."""
    for name in ("good.tif", "other.tif"):
        if not (directory / "src" / name).exists():
            geotiff(directory / "src" / name, nodata=255 if name == "good.tif" else 17)
    dataset: Json = {"identifier": "good", "store": "local", "data_id": data_id}
    return configuration(directory, [dataset], [STORE], **sections)


def large(
    directory: Path,
    data_id: str = "good.tif",
    custom: Json | None = None,
    tile_size: int = 512,
    **sections: object,
) -> Path:
    """Configure a cube ``good`` of two variables in five regions each, 120 chunks or fewer."""
    path = small(directory, data_id, **sections)
    content = yaml.safe_load(path.read_text())
    more = {"custom_processing": custom} if custom else {}
    variables = [
        {"identifier": name, "store": "local", "data_id": data_id, **more}
        for name in ("one", "two")
    ]
    content["datasets"] = [{"identifier": "good", "grid_mapping": "grid", "variables": variables}]
    content["grid_mappings"] = [LONG | {"tile_size": tile_size}]
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def contents(directory: Path) -> dict[str, bytes]:
    """Return the bytes of all files below ``data`` and ``catalogs``, without their times."""
    return {
        str(path.relative_to(directory)): _TIME.sub(b"(time)", path.read_bytes())
        if path.suffix == ".json" or path.name == ".checksums"
        else path.read_bytes()
        for name in ("data", "catalogs")
        for path in sorted((directory / name).rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def check_visible(directory: Path) -> None:
    """Check that no half cube, no invalid JSON and no link to nowhere can be seen.

    There may be no cube at all: between two renamings, until the next run.
    """
    catalog = directory / "catalogs" / "catalog.json"
    left = [catalog] if catalog.exists() else []
    seen = set()
    while left:
        path = left.pop()
        seen.add(path)
        for link in json.loads(path.read_bytes())["links"]:
            target = Path(os.path.normpath(path.parent / link["href"]))
            if link["rel"] in ("root", "parent", "collection", "child", "item"):
                left += [target] if target not in seen else []
    for path in (directory / "catalogs").rglob("*.json"):
        json.loads(path.read_bytes())
    for path in (directory / "data").glob("[!.]*"):
        with xr.open_zarr(path) as cube:
            cube.load()
        for name in cube.data_vars:
            array = zarr.open_array(path, path=str(name), mode="r")
            assert array.nchunks_initialized == array.nchunks, (path, name)
        assert not list(path.rglob("*.partial"))


def fresh(base: Path, directory: Path) -> Path:
    """Copy a directory with its times."""
    shutil.rmtree(directory, ignore_errors=True)
    return Path(shutil.copytree(base, directory))
