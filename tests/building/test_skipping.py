"""Scenes that cannot be read: a cube fails with all of them, or leaves them out and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from stacbuild import harvest, load
from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.stac.files import read_json
from tests.support.cli import Json, configuration
from tests.support.folder_server import Folder
from tests.support.rasters import Recorder
from tests.support.scenes import items as scenes

RED = np.random.default_rng(2).integers(1, 9000, (6, 24, 24))
SCL = np.random.default_rng(3).integers(0, 12, (6, 12, 12))
TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16}
CLOUDS: Json = {"asset": "scl", "values": [3, 8, 9, 10]}
GRID = {
    "identifier": "g",
    "crs": "EPSG:32632",
    "spatial_res": 10,
    "bbox": [scenes.WEST, scenes.NORTH - 240, scenes.WEST + 240, scenes.NORTH],
    "tile_size": 16,
}


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Folder]:
    """A web server of the folder ``stac``."""
    with Folder(tmp_path / "stac") as server:
        yield server


def project(
    server: Folder,
    names: str,
    *,
    compress: str = "none",
    days: Sequence[int] = (5, 6, 7, 8, 9, 10),
    versions: Sequence[str] = ("05.00",) * 6,
    **open_params: Any,
) -> Path:
    """Return a configuration of scenes, a day each, that were harvested from a server."""
    found, stac = [], server.root
    for number, name in enumerate(names):
        day = f"2020-03-{days[number]:02}T10:37:41Z"
        found.append(scenes.earth_search(name, datetime=day, baseline=versions[number]))
        for asset, size, pixels in (("red", 10, RED), ("nir", 10, RED + 9), ("scl", 20, SCL)):
            header = {"dtype": "uint8" if asset == "scl" else "uint16", "nodata": 0, **TILED}
            header["compress"] = compress
            scenes.raster(stac / name / f"{asset}.tif", size, pixels[number], **header)
    scenes.put(stac, *found)
    params = {"asset_names": ["red", "nir"], "mask": CLOUDS, "apply_scaling": False, **open_params}
    dataset = {"identifier": "cube", "store": "scenes", "data_id": "sentinel-2-l2a"}
    root = {"root": f"{server.url}/catalog.json"}
    store = {"identifier": "scenes", "store_id": "stac", "store_params": root}
    mapping = {"grid_mapping": "g", "open_params": params}
    path = configuration(stac.parent, [dataset | mapping], [store], grids=[GRID])
    harvest(load_config(path), stac.parent / "catalogs", reporter=Recorder())
    return path


def run(path: Path) -> tuple[CubeResult, list[str]]:
    told = Recorder()
    [result] = build(load_config(path), path.parent / "catalogs", reporter=told)
    return result, told.warnings


def check(path: Path, *days: int) -> None:
    """Check that a cube holds all bands of some days, masked, and no others."""
    masked = np.isin(SCL, CLOUDS["values"]).repeat(2, 1).repeat(2, 2)
    with xr.open_zarr(path.parent / "data" / "cube.zarr", mask_and_scale=False) as found:
        assert set(found.data_vars) == {"red", "nir"}
        for name, values in (("red", RED), ("nir", RED + 9)):
            want = np.where(masked, 0, values)[list(days)]
            np.testing.assert_array_equal(found[name].values.reshape(want.shape), want)


def properties(result: CubeResult) -> Json:
    assert result.status == "COMPLETED", result.message
    found: Json = read_json(Path(str(result.item)))["properties"]
    return found


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replaced(**header: Any) -> Callable[[Path], None]:
    """Return a function that writes another file of the same size."""

    def replace_by(path: Path) -> None:
        path.unlink()
        scenes.raster(path, 10, RED[0], **{"dtype": "uint16", "nodata": 0, **TILED, **header})

    return replace_by


DAMAGE: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("b", "red", Path.unlink, "not found (404 Not Found)"),
    ("c", "nir", truncate, "changed while it was read"),
    ("d", "nir", replaced(crs="EPSG:32633"), "its item states the CRS EPSG:32632, the file has"),
    ("e", "red", replaced(corner=(600010, 5300040)), "its item states proj:transform [10.0,"),
    ("f", "nir", replaced(dtype="int16"), "its item states data_type uint16, the file has int16"),
    ("f", "scl", Path.unlink, "not found (404 Not Found)"),
]


def damage(server: Folder) -> None:
    for name, asset, change, _ in DAMAGE:
        change(server.root / name / f"{asset}.tif")


def test_scenes_and_their_mask(provider: Folder) -> None:
    path = project(provider, "abc")
    result, warnings = run(path)
    assert "stacbuild:skipped" not in properties(result)
    assert not warnings
    check(path, 0, 1, 2)


def test_all_unreadable_scenes_are_listed(provider: Folder) -> None:
    path = project(provider, "abcdef")
    damage(provider)
    result, _ = run(path)
    assert result.status == "FAILED"
    lines = sorted(result.message.splitlines())
    for line, (name, asset, _, told) in zip(lines, DAMAGE, strict=True):
        assert line.startswith(f"item {name}-"), line
        assert f", asset {asset}: {provider.url}/{name}/{asset}.tif: " in line
        assert told in line


def test_scenes_are_left_out_of_all_variables(provider: Folder) -> None:
    path = project(provider, "abcdef", errors="skip")
    damage(provider)
    result, warnings = run(path)
    skipped = properties(result)["stacbuild:skipped"]
    for found, warning, (name, asset, _, told) in zip(skipped, warnings, DAMAGE, strict=True):
        assert found["item"].startswith(f"{name}-")
        assert found["asset"] == asset
        assert told in found["reason"]
        assert warning == (
            f"cube: leaves out the scene of item {found['item']}, since asset {asset} cannot be "
            f"read: {found['reason']}"
        )
    check(path, 0)
    again, _ = run(path)
    assert again.status == "UP TO DATE"


def test_a_scene_without_its_mask_is_left_out(provider: Folder) -> None:
    path = project(provider, "abc", errors="skip")
    (provider.root / "a" / "scl.tif").unlink()
    result, _ = run(path)
    assert [each["asset"] for each in properties(result)["stacbuild:skipped"]] == ["scl"]
    check(path, 1, 2)


def test_damaged_pixels_begin_the_cube_anew(provider: Folder) -> None:
    """The header is as it was, but a block cannot be decoded."""
    path = project(provider, "abc", compress="deflate", errors="skip")
    raster = provider.root / "c" / "nir.tif"
    raster.write_bytes(raster.read_bytes()[:-40] + b"?" * 40)
    result, warnings = run(path)
    [skipped] = properties(result)["stacbuild:skipped"]
    assert skipped["item"].startswith("c-")
    assert skipped["asset"] == "nir"
    assert len(warnings) == 1
    check(path, 0, 1)


def test_an_older_duplicate_takes_the_place_of_a_scene(provider: Folder) -> None:
    """Unless it cannot be read either."""
    path = project(provider, "abc", errors="skip", days=[5, 5, 5], versions=["01", "02", "03"])
    for name in "bc":
        (provider.root / name / "red.tif").unlink()
    result, _ = run(path)
    found = properties(result)["stacbuild:skipped"]
    assert [each["item"][0] for each in found] == ["b", "c"]
    check(path, 0)


def test_no_scene_is_left(provider: Folder) -> None:
    path = project(provider, "abc", errors="skip")
    for name in "abc":
        (provider.root / name / "red.tif").unlink()
    result, _ = run(path)
    assert result.status == "FAILED"
    assert len(result.message.splitlines()) == 3


def test_a_lazy_cube_leaves_them_out_too(provider: Folder) -> None:
    path = project(provider, "abc", errors="skip")
    (provider.root / "a" / "red.tif").unlink()
    with load(path, "cube", mask_and_scale=False) as found:
        assert found.sizes["time"] == 2
