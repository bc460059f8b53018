"""The library leaves the process as it was: only the program sets what is one for all threads."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
import zarr

import stacbuild
from stacbuild import MultiSourceDataStore, machine
from stacbuild.config import config_schema
from stacbuild.safe_text import remember_secret
from tests.support.built import SOURCES, variable_of
from tests.support.cli import configuration, geotiff
from tests.support.cli import stacbuild as run

Json = dict[str, Any]


def state() -> Json:
    """What a library can change for everybody."""
    return {
        "environment": dict(os.environ),
        "working directory": Path.cwd(),
        "path": list(sys.path),
        "warning filters": list(warnings.filters),
        "how warnings are shown": warnings.showwarning,
        "record factory": logging.getLogRecordFactory(),
        "last handler": logging.lastResort,
        "handlers": list(logging.getLogger().handlers),
        "levels": {
            name: each.level
            for name, each in logging.root.manager.loggerDict.items()
            if isinstance(each, logging.Logger) and each.level
        },
        "signals": {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)},
        "garbage": (gc.get_threshold(), gc.isenabled()),
        "exceptions": (sys.excepthook, threading.excepthook),
        "numbers": np.geterr(),
        "zarr": dict(zarr.config.config),
        "dask": dict(dask.config.config),
        "GDAL": rasterio.env.hasenv(),
        "time zone": time.tzname,
    }


def project(directory: Path, fill: int, **more: Any) -> Path:
    geotiff(directory / "src" / "one.tif")
    # Of the same name in every configuration, and of other content.
    (directory / "helpers.py").write_text(f"VALUE = {fill}\n")
    (directory / "change.py").write_text(
        "import helpers\n\ndef change(ds):\n    return ds * 0 + ds.dtypes['band_data'].type("
        "helpers.VALUE)\n"
    )
    custom = {"module_path": "change.py", "function_name": "change"}
    datasets = [
        {"identifier": "plain", "store": "files", "data_id": "one.tif"} | more,
        {"identifier": "own", "store": "files", "data_id": "one.tif", "custom_processing": custom},
    ]
    return configuration(directory, datasets, [SOURCES])


def all_done(path: Path) -> None:
    stacbuild.harvest(path)
    stacbuild.plan(path)
    results = stacbuild.build(path)
    assert [each.message for each in results if each.status != "COMPLETED"] == []
    for cube in (stacbuild.open_cube(path, "own"), stacbuild.load(path, "own")):
        with cube:
            cube.load()
    stacbuild.validate(path)
    stacbuild.open_catalog(path)


@pytest.mark.parametrize("more", [{}, {"format_id": "levels"}, {"format_id": "netcdf"}], ids=str)
def test_a_build_leaves_the_process_as_it_was(tmp_path: Path, more: Json) -> None:
    # What libraries do when they are imported first is theirs.
    all_done(project(tmp_path / "before", 3, **more))
    path = project(tmp_path / "now", 3, **more)
    before = state()
    all_done(path)
    remember_secret("a secret that somebody keeps")
    assert state() == before


# Libraries below (pandas, xarray) use `warnings.catch_warnings`, which no two threads may: what the
# filters are afterwards is not in our hands.
@pytest.mark.filterwarnings("ignore")
def test_builds_in_threads_leave_the_process_as_it_was(tmp_path: Path) -> None:
    """Each with the function and the helper of its own folder."""
    all_done(project(tmp_path / "before", 3))
    paths = [project(tmp_path / str(number), number) for number in range(4)]
    before = state() | {"warning filters": None}
    with ThreadPoolExecutor(len(paths)) as threads:
        list(threads.map(all_done, paths))
    assert state() | {"warning filters": None} == before
    for number, path in enumerate(paths):
        with stacbuild.open_cube(path, "own") as cube:
            assert set(np.unique(variable_of(cube))) == {number}


def test_a_module_of_the_process_with_the_name_of_a_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function is given the one beside it, and the process keeps its own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "helpers.py").write_text("VALUE = 99\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    import helpers  # type: ignore[import-not-found]

    path = project(tmp_path / "project", 7)
    all_done(path)
    with stacbuild.open_cube(path, "own") as cube:
        assert set(np.unique(variable_of(cube))) == {7}
    assert sys.modules["helpers"] is helpers


def test_importing_and_reading_a_configuration_leave_the_process_as_it_was(
    tmp_path: Path,
) -> None:
    path = project(tmp_path, 1)
    script = f"""
import logging, os, signal, sys, threading, time, warnings
from pathlib import Path
def state():
    loggers = [each for each in logging.root.manager.loggerDict.values() if hasattr(each, "level")]
    return (dict(os.environ), Path.cwd(), sys.path[:], list(sys.meta_path), sys.excepthook,
            threading.excepthook, threading.enumerate(), list(warnings.filters),
            warnings.showwarning, time.tzname, signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM), logging.getLogRecordFactory(), logging.lastResort,
            logging.root.level, logging.root.handlers[:],
            {{each.name: (each.level, each.handlers, each.propagate) for each in loggers
              if each.name.startswith("stacbuild") and (each.level or each.handlers)}})
# Those that change something of their own.
import dask, odc.geo.xr, pystac, rasterio, requests, rioxarray, xarray, zarr
before = state()
import stacbuild
for name in stacbuild.__all__:
    getattr(stacbuild, name)
stacbuild.load_config({str(path)!r})
assert state() == before
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_the_program_takes_credentials_out_of_logs(tmp_path: Path) -> None:
    """It owns its process, and so may set how log records are made."""
    secret = "kept-out-of-every-log"
    store = {
        "identifier": "bucket",
        "store_id": "s3",
        "store_params": {"root": "b", "storage_options": {"key": "k" * 12, "secret": secret}},
    }
    (tmp_path / "change.py").write_text(
        "import logging\n\ndef change(ds):\n"
        f"    logging.getLogger('lib').warning('signed with %s', '{secret}')\n    return ds\n"
    )
    geotiff(tmp_path / "src" / "one.tif")
    custom = {"module_path": "change.py", "function_name": "change"}
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif"}
    path = configuration(tmp_path, [dataset | {"custom_processing": custom}], [SOURCES, store])
    done = run("cube", path)
    assert "lib: signed with ***" in done.stderr
    assert secret not in done.stderr


@pytest.mark.parametrize(
    "missing", [("process_cpu_count", "sched_getaffinity"), ("process_cpu_count",)], ids=str
)
def test_processors_are_counted_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    """macOS tells nothing of affinity, and Python asks everywhere from 3.13 on only."""
    for name in missing:
        monkeypatch.delattr(os, name, raising=False)
    assert 1 <= machine.processors() <= (os.cpu_count() or 1)
    [planned, _] = stacbuild.plan(project(tmp_path, 1))
    stacbuild.harvest(tmp_path / "c_config.yml")
    [planned, _] = stacbuild.plan(tmp_path / "c_config.yml")
    assert planned.error is None
    assert planned.to_dict()["peak_memory"] > 0


def test_the_schema_of_the_notebook_is_that_of_the_program() -> None:
    assert MultiSourceDataStore.get_config_schema() == config_schema()
