"""Whatever is wrong with one dataset is that dataset's: the others are planned and built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from rasterio import Affine

import stacbuild
from stacbuild.cli.output import Settings
from stacbuild.cli.program import cli
from stacbuild.errors import StacbuildError
from stacbuild.planning import estimate
from stacbuild.sources import objects
from tests.support.built import SOURCES, zarr_store
from tests.support.cli import configuration, geotiff

Json = dict[str, Any]
Break = Callable[[Path], str]


def complex_raster(folder: Path) -> str:
    geotiff(folder / "bad.tif", dtype="complex64", nodata=None)
    return "bad.tif"


def rotated(folder: Path) -> str:
    geotiff(folder / "bad.tif", transform=Affine(0.001, 1e-4, 10, 0, -0.001, 45))
    return "bad.tif"


def torn_metadata(folder: Path) -> str:
    path = folder / "bad.zarr"
    zarr_store(path, ["2020-01-01"], band_data=np.ones((1, 120, 120), "uint8"))
    (path / ".zmetadata").write_text('{"metadata": {".zgroup"')
    return "bad.zarr"


def metadata_of_odd_types(folder: Path) -> str:
    path = folder / "bad.zarr"
    zarr_store(path, ["2020-01-01"], band_data=np.ones((1, 120, 120), "uint8"))
    content = json.loads((path / ".zmetadata").read_text())
    content["metadata"]["band_data/.zattrs"]["_ARRAY_DIMENSIONS"] = [None, 7]
    (path / ".zmetadata").write_text(json.dumps(content))
    return "bad.zarr"


def not_a_file(folder: Path) -> str:
    (folder / "bad.tif").mkdir(parents=True)
    return "bad.tif"


BROKEN = [complex_raster, rotated, torn_metadata, metadata_of_odd_types, not_a_file]


def project(directory: Path, data_id: str, **bad: Any) -> Path:
    """A good dataset on either side of a bad one, all three on the grids of their sources."""
    geotiff(directory / "src" / "good.tif")
    datasets = [
        {"identifier": "first", "store": "files", "data_id": "good.tif"},
        {"identifier": "bad", "store": "files", "data_id": data_id} | bad,
        {"identifier": "last", "store": "files", "data_id": "good.tif"},
    ]
    path = configuration(directory, [], [SOURCES])
    content = yaml.safe_load(path.read_text()) | {"datasets": datasets}
    path.write_text(yaml.safe_dump(content))
    return path


def one_line(error: StacbuildError | None) -> str:
    assert isinstance(error, StacbuildError)
    assert "\n" not in str(error)
    return str(error)


def check_others(path: Path) -> str:
    """Build; give what is said of the bad one, after a look at the plan before and after."""
    stacbuild.plan(path, errors="collect")
    first, bad, last = stacbuild.build(path, errors="collect")
    assert (first.status, bad.status, last.status) == ("COMPLETED", "FAILED", "COMPLETED")
    assert bad.message == one_line(bad.error)
    planned = {each.name: each.action for each in stacbuild.plan(path, errors="collect")}
    assert (planned["first"], planned["last"]) == ("up to date", "up to date")
    assert planned["bad"] in ("create", "fails")
    return bad.message


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_source_that_cannot_be_read_stops_no_other(tmp_path: Path, make: Break) -> None:
    data_id = make(tmp_path / "src")
    assert data_id.partition(".")[0] in check_others(project(tmp_path, data_id))


@pytest.mark.parametrize("error", [KeyError("band"), RecursionError("deep"), MemoryError()])
def test_an_unforeseen_error_of_a_harvester(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The other data ids of the same store are in the catalog."""
    described = objects.raster_item

    def describe(raster: Any, **options: Any) -> Any:
        if options["data_id"] == "bad.tif":
            raise error
        return described(raster, **options)

    monkeypatch.setattr(objects, "raster_item", describe)
    geotiff(tmp_path / "src" / "bad.tif")
    path = project(tmp_path, "bad.tif")
    done, failed = stacbuild.harvest(path, errors="collect")
    assert (done.status, done.items) == ("COMPLETED", 1)
    assert "bad.tif" in one_line(failed.error)
    assert failed.error is not None
    assert failed.error.__cause__ is error
    assert "bad.tif" in check_others(path)


def test_an_unforeseen_error_in_planning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    geotiff(tmp_path / "src" / "bad.tif")
    path = project(tmp_path, "bad.tif")
    stacbuild.harvest(path, errors="collect")
    computed = estimate.estimate

    def broken(dataset: Any, *rest: Any) -> Any:
        if dataset.identifier == "bad":
            raise ZeroDivisionError("division by zero")
        return computed(dataset, *rest)

    monkeypatch.setattr(estimate, "estimate", broken)
    plans = {each.name: each for each in stacbuild.plan(path, errors="collect")}
    assert [each.action for each in plans.values()] == ["create", "fails", "create"]
    assert "bad: ZeroDivisionError: division by zero" in one_line(plans["bad"].error)
    results = stacbuild.build(path, errors="collect")
    assert [each.status for each in results] == ["COMPLETED", "FAILED", "COMPLETED"]


@pytest.mark.parametrize("leaves", ["raise SystemExit(3)", "import sys; sys.exit('no')", "1 / 0"])
def test_a_function_that_leaves_the_program(tmp_path: Path, leaves: str) -> None:
    """When its module is imported, and when it is called."""
    geotiff(tmp_path / "src" / "bad.tif")
    called = f"def change(ds):\n    {leaves}"
    for line, text in ((2, called), (3, f"def change(ds):\n    return ds\n{leaves}")):
        folder = tmp_path / str(line)
        geotiff(folder / "src" / "bad.tif")
        path = project(
            folder,
            "bad.tif",
            custom_processing={"module_path": "change.py", "function_name": "change"},
        )
        (folder / "change.py").write_text(text + "\n")
        assert f"change.py:{line}" in check_others(path)


def test_the_traceback_is_shown_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(raster: Any, **options: Any) -> Any:
        raise KeyError(options["data_id"])

    monkeypatch.setattr(objects, "raster_item", describe)
    geotiff(tmp_path / "src" / "bad.tif")
    path = project(tmp_path, "bad.tif")
    for words in (["cube", str(path), "bad"], ["--debug", "cube", str(path), "bad"]):
        done = CliRunner().invoke(cli, words, obj=Settings())
        assert done.exit_code == 1
        assert ("in describe" in done.stderr) == (words[0] == "--debug")
        told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(told) == 1
        assert "bad.tif: KeyError: 'bad.tif'" in told[0]
