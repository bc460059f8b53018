"""Variables that are computed from the same blocks: these are read once, for all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

import stacbuild
from stacbuild.building import region
from stacbuild.loading.reader import RasterSource
from tests.support.cli import Json, configuration
from tests.support.scheduling import hashes

DAYS, SIZE = 5, 96
BANDS = ("red", "nir")
GRID = {"identifier": "small", "crs": "EPSG:32632", "spatial_res": 10, "tile_size": 48}
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
CUSTOM = """\
def with_ratio(ds):
    return ds.assign(ratio=ds["band_1"].astype("float32") / (ds["band_2"] + 1))
"""


def scenes(folder: Path) -> np.ndarray[Any, Any]:
    """Write a file a day with two bands, and return their numbers."""
    values = np.random.default_rng(1).integers(0, 500, (DAYS, 2, SIZE, SIZE)).astype("uint16")
    values[:, :, 10:20] = 0
    (folder / "src").mkdir(parents=True)
    for day, bands in enumerate(values, 1):
        with rasterio.open(
            folder / "src" / f"s_2020-01-0{day}.tif", "w", driver="GTiff", width=SIZE, height=SIZE,
            count=2, dtype="uint16", crs="EPSG:32632", nodata=0, interleave="band", tiled=True,
            blockxsize=48, blockysize=48, transform=from_origin(500_000, 5_000_000, 10, 10),
        ) as file:  # fmt: skip
            file.write(bands)
            file.descriptions = BANDS
    (folder / "modify.py").write_text(CUSTOM)
    return values


def project(folder: Path, *more: Json, **general: Any) -> Path:
    cube = {
        "identifier": "cube",
        "store": "local",
        "data_id": "s_{time:%Y-%m-%d}.tif",
        "grid_mapping": "small",
        "open_params": {"band_as_variable": True},
    }
    box = [500_000, 5_000_000 - 10 * SIZE, 500_000 + 10 * SIZE, 5_000_000]
    cubes = [cube | each for each in more]
    return configuration(folder, cubes, [SOURCE], grids=[GRID | {"bbox": box}], general=general)


def steps(methods: Any, **more: Any) -> Json:
    return {"temporal_resample_params": {"frequency": "3D", "agg_methods": methods} | more}


COMPOSITE = steps("medoid", counts=True)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[Any, ...]]:
    """Count how often each window of each band is read."""
    found: Counter[tuple[Any, ...]] = Counter()
    read = RasterSource.read

    def counted(source: RasterSource, band: int, window: Any) -> Any:
        found[source.tiles[0].href, band, str(window)] += 1
        return read(source, band, window)

    monkeypatch.setattr(RasterSource, "read", counted)
    return found


@pytest.mark.parametrize(
    "cube",
    [
        steps("medoid", counts=True),
        steps({"max_by": "nir"}, counts=True, variables=["red"]),
        steps("median", counts=True),
        {"custom_processing": {"module_path": "modify", "function_name": "with_ratio"}},
        {"custom_processing": {"module_path": "modify", "function_name": "with_ratio"}}
        | steps({"max_by": "ratio"}),
    ],
    ids=["medoid", "max_by", "median", "function", "max_by function"],
)
def test_each_window_is_read_once(
    tmp_path: Path, reads: Counter[tuple[Any, ...]], cube: Json
) -> None:
    scenes(tmp_path)
    (result,) = stacbuild.build(project(tmp_path, cube))
    assert result.status == "COMPLETED", result.message
    assert len(reads) >= DAYS * 2
    assert set(reads.values()) == {1}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("threads"), "threads")


def made(folder: Path, scheduler: str) -> dict[str, str]:
    scenes(folder)
    with dask.config.set(num_workers=2):
        (result,) = stacbuild.build(project(folder, COMPOSITE, dask_scheduler=scheduler))
    assert result.status == "COMPLETED", result.message
    return hashes(folder / "data")


@pytest.mark.parametrize(
    "scheduler", ["synchronous", pytest.param("processes", marks=pytest.mark.slow)]
)
def test_any_scheduler_gives_the_same_bytes(
    tmp_path: Path, scheduler: str, expected: dict[str, str]
) -> None:
    # Two bands and their counts, two steps, four tiles.
    assert len([name for name in expected if "spatial_ref" not in name]) >= 2 * 2 * 2 * 4
    assert made(tmp_path, scheduler) == expected


def test_a_resumed_build_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]
) -> None:
    _interrupted(tmp_path, COMPOSITE, monkeypatch)
    assert hashes(tmp_path / "data") == expected


def _interrupted(folder: Path, cube: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build, interrupted between a composite and its counts, and again."""
    scenes(folder)
    path = project(folder, cube)
    write, ended = region.write_region, iter(range(3))

    def until(run: Any, variables: Any, where: Any, wrote: Any) -> None:
        def noted(name: str, place: Any) -> None:
            wrote(name, place)
            if next(ended, None) is None:
                raise KeyboardInterrupt

        write(run, variables, where, noted)

    with monkeypatch.context() as patched:
        patched.setattr("stacbuild.building.write.write_region", until)
        with pytest.raises(KeyboardInterrupt):
            stacbuild.build(path)
    (result,) = stacbuild.build(path)
    assert result.status == "COMPLETED", result.message


def test_what_shares_nothing_is_computed_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = scenes(tmp_path)
    seen: list[int] = []
    write = region.write_region

    def noted(run: Any, variables: Any, *rest: Any) -> None:
        seen.append(len(variables))
        write(run, variables, *rest)

    monkeypatch.setattr("stacbuild.building.write.write_region", noted)
    path = project(tmp_path, steps("median"))
    (result,) = stacbuild.build(path)
    assert result.status == "COMPLETED", result.message
    (planned,) = stacbuild.plan(path, force=True)
    shapes = {each["name"]: each["shape"] for each in planned.to_dict()["variables"]}
    assert shapes == {name: [2, SIZE, SIZE] for name in BANDS}
    assert seen
    assert set(seen) == {1}
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        some = np.where(values[:3, 0] == 0, np.nan, values[:3, 0])
        valid = np.isfinite(some).any(axis=0)
        expected = np.nanmedian(some[:, valid], axis=0)
        np.testing.assert_array_equal(cube["red"].values[0][valid], expected)
