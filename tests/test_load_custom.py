"""Functions of the user's: what they may do, and what is said when they do something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.load.custom import run_custom


def module(directory: Path, text: str) -> Path:
    path = directory / "mine.py"
    path.write_text(text)
    return path


def test_a_function_sees_the_dataset_and_gives_another(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("FACTOR = 3\n")
    path = module(tmp_path, "import beside\n\ndef run(ds):\n    return ds * beside.FACTOR\n")
    assert run_custom(xr.Dataset({"a": 2}), path, "run")["a"] == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def run(ds):\n    x = 1\n    raise ValueError('no such\\nband')\n",
         "mine.py:run raised ValueError at mine.py:3: no such band"),
        ("def run(ds):\n    return ds.to_dataarray()\n", "returned a DataArray, not an"),
        ("def other(ds):\n    return ds\n", "has no function 'run'"),
        ("import nothing_of_this_name\n", "cannot be imported: ModuleNotFoundError at mine.py:1"),
    ],
)  # fmt: skip
def test_errors_name_the_users_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BuildError, match=r"mine\.py") as caught:
        run_custom(xr.Dataset({"a": 2}), module(tmp_path, text), "run")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"gone\.py: no such Python file"):
        run_custom(xr.Dataset(), tmp_path / "gone.py", "run")
