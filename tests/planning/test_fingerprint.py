"""What a user's function is made of: modules beside it and declared files; when that is rebuilt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from stacbuild.planning import plan
from tests.support.built import SOURCES
from tests.support.cli import configuration, geotiff

FUNCTION = "def change(ds):\n    return ds\n"


def project(folder: Path, code: str, files: dict[str, str], **custom: Any) -> Path:
    if not (folder / "src" / "one.tif").exists():
        geotiff(folder / "src" / "one.tif")
    for name, text in {"modify.py": code, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    processing = {"module_path": "modify", "function_name": "change"} | custom
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif"}
    return configuration(folder, [dataset | {"custom_processing": processing}], [SOURCES])


def built(path: Path) -> None:
    [result] = build(load_config(path), path.parent / "catalogs")
    assert result.status == "COMPLETED", result.message


def reasons(path: Path) -> tuple[str, ...]:
    [planned] = plan(load_config(path), path.parent / "catalogs")
    assert planned.action in ("up to date", "rebuild"), planned
    return planned.reasons


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


# --- modules -------------------------------------------------------------------------------------


def test_modules_that_are_imported_count(tmp_path: Path) -> None:
    files = {
        "helpers.py": "from pack import inner\nimport modify\n",
        "pack/__init__.py": "",
        "pack/inner.py": "from . import beside\nfrom .deep.far import X\n",
        "pack/beside.py": "from pack import inner\n",
        "pack/unused.py": "",
        "pack/deep/__init__.py": "",
        "pack/deep/far.py": "X = 1\n",
        "plain/one.py": "",
        "late.py": "",
        "named.py": "",
        "unused.py": "this is no Python\n",
    }
    code = (
        "import importlib\nimport os, helpers\nimport plain.one\n"
        "try:\n    named = importlib.import_module('named')\nexcept ImportError:\n    pass\n"
        f"{FUNCTION}"
        "def other():\n    import late\n    import absent\n"
    )
    path = project(tmp_path, code, files)
    built(path)
    assert reasons(path) == ()
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}# a remark\n")
        counts = "unused" not in name
        assert reasons(path) == ((f"custom code changed: {name}",) if counts else ()), name
        (tmp_path / name).write_text(text)
    assert reasons(path) == ()
    # A module that comes to be is one that is imported from then on.
    (tmp_path / "absent.py").touch()
    assert reasons(path) == ("custom code changed: absent.py",)
    built(path)
    assert reasons(path) == ()


def test_a_module_in_a_folder_takes_what_lies_beside_it_and_the_configuration(
    tmp_path: Path,
) -> None:
    code = f"import near, far\n{FUNCTION}"
    files = {"sub/mine.py": code, "sub/near.py": "", "far.py": ""}
    path = project(tmp_path, FUNCTION, files, module_path="sub/mine")
    built(path)
    (tmp_path / "sub" / "near.py").write_text("X = 1\n")
    (tmp_path / "far.py").write_text("X = 1\n")
    assert reasons(path) == ("custom code changed: far.py", "custom code changed: sub/near.py")


@pytest.mark.parametrize(
    ("helper", "says"),
    [
        (
            "def f(:\n",
            "modify.py imports a module that cannot be used: helpers.py:1 is not valid Python",
        ),
        (None, "'helpers.py' is a link out of the folder of the configuration"),
    ],
)
def test_a_module_that_cannot_be_used(tmp_path: Path, helper: str | None, says: str) -> None:
    path = project(tmp_path / "in", f"import helpers\n{FUNCTION}", {"helpers.py": helper or ""})
    if helper is None:
        (tmp_path / "helpers.py").touch()
        (tmp_path / "in" / "helpers.py").unlink()
        (tmp_path / "in" / "helpers.py").symlink_to(tmp_path / "helpers.py")
    assert says in refused(path)


# --- declared files ------------------------------------------------------------------------------


def test_declared_files_count_by_what_they_hold(tmp_path: Path) -> None:
    files = {
        "roi.csv": "1",
        "masks/a.txt": "a",
        "masks/deep/b.txt": "b",
        "tables/x.json": "x",
        "other.csv": "1",
    }
    entries = ["roi.csv", "masks", "tables/*.json"]
    path = project(tmp_path, FUNCTION, files, depends_on=entries)
    built(path)
    [item] = (tmp_path / "catalogs").glob("c/cube/*.json")
    assert str(tmp_path) not in item.read_text()
    for name in files:
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "other.csv").write_text("2")
    (tmp_path / "masks" / ".hidden").touch()
    (tmp_path / "masks" / "__pycache__").mkdir()
    (tmp_path / "masks" / "__pycache__" / "x.pyc").touch()
    (tmp_path / "tables" / "y.txt").touch()
    assert reasons(path) == ()
    (tmp_path / "roi.csv").write_text("2")
    (tmp_path / "masks" / "deep" / "b.txt").unlink()
    (tmp_path / "tables" / "y.json").touch()
    assert reasons(path) == (
        "depends_on: masks/deep/b.txt missing or not declared",
        "depends_on: roi.csv changed",
        "depends_on: tables/y.json new",
    )
    built(path)
    assert reasons(path) == ()
    # Where the folder lies is no matter.
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    assert reasons(moved / path.name) == ()
    moved.rename(tmp_path)


def test_declaring_what_is_imported_anyway_tells_it_once(tmp_path: Path) -> None:
    code = f"import helpers\n{FUNCTION}"
    path = project(tmp_path, code, {"helpers.py": ""}, depends_on=["helpers.py"])
    built(path)
    (tmp_path / "helpers.py").write_text("X = 1\n")
    assert reasons(path) == ("custom code changed: helpers.py",)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("absent.csv", "there is no 'absent.csv' in the folder of the configuration"),
        ("*.parquet", "there is no file in '*.parquet'"),
        ("empty", "there is no file in 'empty'"),
        ("../roi.csv", "has to be relative to the configuration, without '..'"),
        ("a/../../roi.csv", "has to be relative to the configuration, without '..'"),
        ("/etc/hosts", "has to be relative to the configuration, without '..'"),
        ("~/roi.csv", "has to be relative to the configuration, without '..'"),
        ("out.csv", "'out.csv' is a link out of the folder of the configuration"),
        ("*.csv", "'out.csv' is a link out of the folder of the configuration"),
        ("folder", "'folder' is a link out of the folder of the configuration"),
        ("linked", "'linked/out.csv' is a link out of the folder of the configuration"),
        ("around", "'around/again' is a link to a folder"),
        ("dead", "'dead' is a link to nothing"),
        ("itself", "'itself' is a link to nothing"),
        ("pipe", "'pipe' is neither a file nor a folder"),
        (".", "is the whole folder of the configuration"),
        ("**/*.csv", "is the whole folder of the configuration"),
    ],
)
def test_what_cannot_be_declared(tmp_path: Path, entry: str, says: str) -> None:
    folder = tmp_path / "in"
    (tmp_path / "roi.csv").touch()
    for name in ("empty", "linked", "around"):
        (folder / name).mkdir(parents=True)
    (folder / "out.csv").symlink_to(tmp_path / "roi.csv")
    (folder / "linked" / "out.csv").symlink_to(tmp_path / "roi.csv")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "around" / "again").symlink_to(folder / "around")
    (folder / "dead").symlink_to(folder / "nowhere")
    (folder / "itself").symlink_to(folder / "itself")
    os.mkfifo(folder / "pipe")
    path = project(folder, FUNCTION, {}, depends_on=["modify.py", entry])
    told = refused(path)
    assert "datasets.0.custom_processing.depends_on.1: " in told
    assert says in told
    row = told.split(f"{path}:")[1].split(":")[0]
    assert entry in path.read_text().splitlines()[int(row) - 1]


@pytest.mark.parametrize("entry", ["data", "data/cube.zarr", "data/cube.zarr/x", "dat*"])
def test_a_declared_folder_that_cubes_lie_in(tmp_path: Path, entry: str) -> None:
    path = project(tmp_path, FUNCTION, {"data/cube.zarr/x": ""}, depends_on=[entry])
    told = refused(path)
    assert f"depends_on.0: {entry!r} and {tmp_path / 'data' / 'cube.zarr'}, where" in told
    assert "overlap" in told


def test_a_declared_folder_that_the_catalog_lies_in(tmp_path: Path) -> None:
    path = project(tmp_path, FUNCTION, {"all/roi.csv": ""}, depends_on=["all"])
    config = load_config(path)
    for act in (plan, build):
        with pytest.raises(ConfigError, match="'all' of depends_on overlap"):
            act(config, tmp_path / "all" / "catalogs")
    assert plan(config, tmp_path / "catalogs")
