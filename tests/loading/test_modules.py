"""Modules beside a user's file: what is imported of them when, and in which process."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.planning import plan
from tests.support.built import SOURCES, variable_of
from tests.support.cli import configuration, geotiff

MAPPED = """\
import dask.array as da

def change(ds):
    return ds.map(
        lambda array: array.copy(data=da.map_blocks(block, array.data, dtype=array.dtype))
    )

"""
TOP = f"import helpers\n{MAPPED}def block(x):\n    return x * 0 + helpers.value()\n"
WITHIN = f"{MAPPED}def block(x):\n    import helpers\n    return x * 0 + helpers.value()\n"
RETURNS = "def value():\n    return {}\n"


def project(folder: Path, code: str, files: dict[str, str], module: str = "modify") -> Path:
    geotiff(folder / "src" / "one.tif")
    for name, text in {f"{module}.py": code, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    processing = {"module_path": module, "function_name": "change"}
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif"}
    return configuration(folder, [dataset | {"custom_processing": processing}], [SOURCES])


def value(path: Path, scheduler: str = "threads") -> int:
    """Build the cube and return the one value that is in it."""
    config = load_config(path).with_scheduler(scheduler)
    # Of processes one is enough: it is another one.
    workers = {"num_workers": 1} if scheduler == "processes" else {}
    with dask.config.set(workers):
        [result] = build(config, path.parent / "catalogs")
    assert result.status == "COMPLETED", result.message
    with xr.open_zarr(path.parent / "data" / "cube.zarr", mask_and_scale=False) as cube:
        [found] = np.unique(variable_of(cube).values)
    return int(found)


def failing(path: Path) -> str:
    [result] = build(load_config(path), path.parent / "catalogs")
    assert result.status == "FAILED"
    return result.message


@pytest.mark.parametrize(
    ("scheduler", "code"),
    [
        pytest.param("threads", TOP, id="threads-top"),
        pytest.param("threads", WITHIN, id="threads-within"),
        pytest.param("processes", TOP, id="processes-top", marks=pytest.mark.slow),
        pytest.param("processes", WITHIN, id="processes-within"),
    ],
)
def test_a_changed_module_is_the_one_that_runs(tmp_path: Path, scheduler: str, code: str) -> None:
    path = project(tmp_path, code, {"helpers.py": RETURNS.format(3)})
    assert value(path, scheduler) == 3
    # Of one size and within one second: bytecode of before would count as current.
    (tmp_path / "helpers.py").write_text(RETURNS.format(4))
    [planned] = plan(load_config(path), tmp_path / "catalogs")
    assert planned.reasons == ("custom code changed: helpers.py",)
    assert value(path, scheduler) == 4
    (tmp_path / "modify.py").write_text(code.replace("x * 0 +", "0 * x +"))
    assert value(path, scheduler) == 4
    assert not list(tmp_path.rglob("__pycache__"))


STATEMENTS = {
    "import pack.inner": "pack.inner.X",
    "import pack.inner as name": "name.X",
    "import os, pack.inner as name, sys": "name.X",
    "from pack import inner": "inner.X",
    "from pack.inner import X": "X",
    "from pack.inner import X as name": "name",
    "from pack import own": "own()",
    "import pack": "pack.late()",
    "import plain.one": "plain.one.X",
    "from plain import one": "one.X",
    "import importlib; name = importlib.import_module('pack.inner')": "name.X",
}
PACKAGE = {
    "pack/__init__.py": "X = 7\ndef own():\n    from . import inner\n    return inner.X\n"
    "def late():\n    from .inner import X as name\n    return name\n",
    # They import each other.
    "pack/inner.py": "from pack import circle\nX = 7\n",
    "pack/circle.py": "from pack import inner\ndef f():\n    return inner.X\n",
    "plain/one.py": "X = 7\n",
}


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_every_way_to_import_within_a_function(tmp_path: Path, statement: str) -> None:
    code = f"{MAPPED}def block(x):\n    {statement}\n    return x * 0 + {STATEMENTS[statement]}\n"
    path = project(tmp_path, code, PACKAGE)
    assert value(path) == 7
    assert not {"pack", "plain", "pack.inner"} & set(sys.modules)


def test_packages_whose_modules_import_each_other_go_to_other_processes(tmp_path: Path) -> None:
    body = "".join(
        f"    {statement}\n    assert {what} == 7\n" for statement, what in STATEMENTS.items()
    )
    code = f"import pack.inner\n{MAPPED}def block(x):\n{body}    return x * 0 + pack.circle.f()\n"
    assert value(project(tmp_path, code, PACKAGE), "processes") == 7


def test_what_a_function_imports_is_not_run_before(tmp_path: Path) -> None:
    code = (
        "def change(ds):\n"
        "    try:\n        import broken\n    except ValueError:\n        return ds * 0 + 5\n\n"
        "def never():\n    import deadly\n"
    )
    files = {"broken.py": "raise ValueError\n", "deadly.py": "raise SystemExit\n"}
    assert value(project(tmp_path, code, files)) == 5


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    code = "def change(ds):\n    from helpers import absent\n    return ds\n"
    told = failing(project(tmp_path / "a", code, {"helpers.py": ""}))
    assert "modify.py:change raised ImportError at modify.py:2: cannot import name 'absent'" in told
    code = "def change(ds):\n    import absent\n    return ds\n"
    told = failing(project(tmp_path / "b", code, {}))
    assert "ModuleNotFoundError at modify.py:2: No module named 'absent'" in told


def test_modules_of_one_name_in_many_folders_at_once(tmp_path: Path) -> None:
    paths = [
        project(tmp_path / str(number), code, {"helpers.py": RETURNS.format(number)})
        for number, code in enumerate([TOP, WITHIN] * 3)
    ]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(value, paths)) == list(range(6))


def test_what_the_process_has_loaded_is_not_taken_for_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook that has imported the module itself, before it was edited."""
    path = project(tmp_path, TOP, {"helpers.py": RETURNS.format(3)})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import helpers  # type: ignore[import-not-found]

    (tmp_path / "helpers.py").write_text(RETURNS.format(4))
    finders = list(sys.meta_path)
    assert value(path) == 4
    assert sys.modules["helpers"] is helpers
    assert helpers.value() == 3
    assert sys.meta_path == finders


def test_this_package_is_no_module_of_the_users(tmp_path: Path) -> None:
    """A configuration may lie in this project's own folder."""
    code = "def change(ds):\n    import stacbuild.errors\n    return ds * 0 + 6\n"
    path = project(tmp_path, code, {"stacbuild/__init__.py": "raise ValueError\n"})
    assert value(path) == 6
