"""Where cubes go: a bucket, memory; and how much memory it takes to make them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import fsspec
import numpy as np
import psutil
import pytest
import requests
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from tests.standins.data import DEMO_BOX
from tests.standins.demo import ROOT
from tests.standins.s3 import S3Server
from tests.standins.truth import layer
from tests.support.buckets import asset_of, bucket, keys
from tests.support.built import variable_of
from tests.support.cli import catalogued, command, configuration, errors, geotiff, stacbuild
from tests.support.reference import compare

SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
GOOD = {"identifier": "good", "store": "local", "data_id": "good.tif"}
CUSTOM = {"module_path": "modify", "function_name": "late"}
LATE = """\
import numpy as np
import xarray as xr

def late(ds):
    def fail(values):
        if values.any():
            raise ValueError("half-way")
        return values
    return xr.apply_ufunc(fail, ds, dask="parallelized", output_dtypes=[np.uint8])
"""


# --- a bucket ------------------------------------------------------------------------------------


def test_a_cube_in_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    options = bucket(s3_server, "cubes-1")
    config = configuration(tmp_path, [GOOD], [SOURCE], storage=options)
    done = stacbuild("cube", config)
    asset = asset_of(tmp_path)
    assert done.stdout.split("\t")[0] == asset.href
    assert asset.href.startswith(f"{s3_server.url}/cubes-1/cubes/good-")
    s3 = asset.extra_fields["alternate"]["s3"]["href"]
    assert s3.startswith("s3://cubes-1/cubes/good-")
    assert catalogued(tmp_path / "catalogs") == ["good"]

    # The same pixels as in a folder, over https and over s3.
    configuration(tmp_path / "here", [GOOD], [SOURCE])
    geotiff(tmp_path / "here" / "src" / "good.tif")
    stacbuild("cube", tmp_path / "here" / "c_config.yml")
    with (
        xr.open_zarr(tmp_path / "here" / "data" / "good.zarr") as local,
        xr.open_zarr(asset.href) as over_https,
        xr.open_zarr(s3, storage_options={"anon": True, "endpoint_url": s3_server.url}) as over_s3,
    ):
        assert np.isfinite(variable_of(local).values).all()
        for remote in (over_https, over_s3):
            # "history" says when.
            xr.testing.assert_equal(local.load(), remote.load())
            assert variable_of(remote).attrs == variable_of(local).attrs

    for path in (tmp_path / "catalogs").rglob("*.json"):
        assert "testing" not in path.read_text()


def test_a_rebuild_replaces_the_cube_of_before(tmp_path: Path, s3_server: S3Server) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    config = configuration(tmp_path, [GOOD], [SOURCE], storage=bucket(s3_server, "cubes-2"))
    stacbuild("cube", config)
    first = asset_of(tmp_path).href
    s3_server.reset()
    stacbuild("cube", config, "--force")
    second = asset_of(tmp_path).href
    assert first != second
    name = second.rpartition("/")[2]
    assert keys(s3_server, "cubes-2") == {"of-others/kept.txt", f"cubes/{name}"}
    assert requests.get(f"{first}/zarr.json", timeout=10).status_code == 404


def test_a_bucket_that_fails_and_cannot_be_cleaned(tmp_path: Path, s3_server: S3Server) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    config = configuration(tmp_path, [GOOD], [SOURCE], storage=bucket(s3_server, "cubes-5"))
    stacbuild("cube", config)
    first = asset_of(tmp_path).href
    # Requests to the bucket itself: listings, and deletions of many objects.
    s3_server.fail(r"^/cubes-5/?$", status=403, times=-1)
    (line,) = errors(stacbuild("cube", config, "--force", code=3))
    assert "s3://cubes-5/cubes/good-" in line
    # The cube of before is still what the catalog names, and whole.
    assert asset_of(tmp_path).href == first
    with xr.open_zarr(first) as cube:
        assert np.isfinite(variable_of(cube).values).all()


def test_a_build_that_fails_leaves_the_bucket_as_it_was(
    tmp_path: Path, s3_server: S3Server
) -> None:
    (tmp_path / "modify.py").write_text(LATE)
    geotiff(tmp_path / "src" / "good.tif")
    storage = bucket(s3_server, "cubes-3")
    stacbuild("cube", configuration(tmp_path, [GOOD], [SOURCE], storage=storage))
    before, href = keys(s3_server, "cubes-3"), asset_of(tmp_path).href
    bad = GOOD | {"identifier": "bad", "custom_processing": CUSTOM}
    datasets = [GOOD | {"custom_processing": CUSTOM}, bad]
    done = stacbuild("cube", configuration(tmp_path, datasets, [SOURCE], storage=storage), code=1)
    # Both fail for the same reason, which is printed once.
    (line,) = errors(done)
    assert line.startswith("error: good, bad: ")
    assert "half-way" in line
    assert keys(s3_server, "cubes-3") == before
    assert asset_of(tmp_path).href == href
    assert catalogued(tmp_path / "catalogs") == ["good"]
    with xr.open_zarr(href) as cube:
        assert np.isfinite(variable_of(cube).values).all()


@pytest.mark.parametrize("lost", [r"/good/c/", r"zarr\.json$"])
def test_a_bucket_that_fails_half_way(tmp_path: Path, s3_server: S3Server, lost: str) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    storage = bucket(s3_server, "cubes-4")
    config = configuration(tmp_path, [GOOD], [SOURCE], storage=storage)
    s3_server.fail(lost, status=403, times=-1)
    (line,) = errors(stacbuild("cube", config, code=3))
    assert "s3://cubes-4/cubes/good-" in line
    s3_server.reset()
    assert keys(s3_server, "cubes-4") == {"of-others/kept.txt"}
    assert catalogued(tmp_path / "catalogs") == []


def test_a_bucket_for_cubes_that_is_not_there(tmp_path: Path, s3_server: S3Server) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    options = {"key": "testing", "secret": "CANARY-77", "endpoint_url": s3_server.url}
    params = {"root": "no-bucket-here/cubes", "storage_options": options}
    storage = {"store_id": "s3", "store_params": params}
    done = stacbuild("cube", configuration(tmp_path, [GOOD], [SOURCE], storage=storage), code=3)
    (line,) = errors(done)
    assert "s3://no-bucket-here/cubes/good-" in line
    assert "CANARY" not in done.stderr
    assert catalogued(tmp_path / "catalogs") == []


# --- memory as a storage -------------------------------------------------------------------------


def test_a_cube_in_memory(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    storage = {"store_id": "memory", "store_params": {"root": "of-a-test"}}
    config = load_config(configuration(tmp_path, [GOOD], [SOURCE], storage=storage))
    for _ in range(2):
        (result,) = build(config, tmp_path / "catalogs")
        assert (result.status, result.item) == ("COMPLETED", None)
        assert result.href == "memory://of-a-test/good.zarr"
        with xr.open_zarr(result.href) as cube:
            assert np.isfinite(variable_of(cube).values).all()
            assert variable_of(cube).shape == (100, 100)
    fs = fsspec.filesystem("memory")
    assert list(fs.ls("/of-a-test", detail=False)) == ["/of-a-test/good.zarr"]
    assert catalogued(tmp_path / "catalogs") == []
    fs.rm("/of-a-test", recursive=True)


def test_a_cube_in_memory_is_said_not_to_stay(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "good.tif")
    config = configuration(tmp_path, [GOOD], [SOURCE], storage={"store_id": "memory"})
    done = stacbuild("cube", config)
    assert "memory://stacbuild/good.zarr: is in memory only" in " ".join(done.stderr.split())
    assert catalogued(tmp_path / "catalogs") == []


# --- memory that it takes ------------------------------------------------------------------------

GIGABYTE = 10**9


def peak(words: Sequence[object]) -> int:
    """Run the command; give the largest resident size of it and its children together (bytes)."""
    process = psutil.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most = 0
    ended = threading.Event()

    def sample() -> None:
        nonlocal most
        while not ended.wait(0.02):
            try:
                tree = [process, *process.children(recursive=True)]
                most = max(most, sum(each.memory_info().rss for each in tree))
            except psutil.NoSuchProcess:
                continue

    watch = threading.Thread(target=sample)
    watch.start()
    try:
        _, said = process.communicate(timeout=900)
    finally:
        ended.set()
        watch.join()
    assert process.returncode == 0, said.decode()
    return most


@contextmanager
def servers_of(folder: Path, box: tuple[float, ...]) -> Iterator[Path]:
    """Serve data of a box from a process of its own; give the configuration that leads there.

    All servers of S3 in one process share their objects, and drop them when one of them ends.
    """
    words = [sys.executable, "-m", "tests.standins", folder, f"--box={','.join(map(str, box))}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready ")
            yield folder / "scs2_config.yml"
        finally:
            process.terminate()


def cubes_peak(folder: Path, box: tuple[float, ...]) -> int:
    """Harvest, then give the peak of building the four cubes of a box."""
    with servers_of(folder, box) as config:
        assert peak(["harvest", config]) < GIGABYTE
        most = peak(["cube", config, "--bbox", ",".join(map(str, box))])
    for variable in ("annual_disturbances", "tree_cover_density", "forest_age", "agb"):
        found = compare(folder / "data" / f"{layer(variable).source}.zarr", variable)
        assert found.unexplained == 0, found
    return most


@pytest.mark.slow
def test_memory_does_not_grow_with_the_box(tmp_path: Path) -> None:
    west, south, east, north = DEMO_BOX
    large = (west, south, west + 2 * (east - west), south + 5 * (north - south))
    small, big = (
        cubes_peak(tmp_path / name, box) for name, box in (("small", DEMO_BOX), ("big", large))
    )
    print(f"peak {small / 1e6:.0f} MB, with ten times the box {big / 1e6:.0f} MB")
    assert small < GIGABYTE
    assert big < 2 * small
