"""Functions of the user's: what they may do, and what is said when they do something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from stacbuild.config.datasets import CustomProcessing
from stacbuild.errors import BuildError
from stacbuild.loading.custom import run_custom


def function(directory: Path, text: str | None, name: str = "mine") -> CustomProcessing:
    """Configure the function ``run`` of a module; without *text* there is none."""
    if text is not None:
        (directory / f"{name}.py").write_text(text)
    content = {"module_path": name, "function_name": "run"}
    return CustomProcessing.model_validate(content, context={"directory": directory, "known": {}})


def test_a_function_sees_the_dataset_and_gives_another(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("FACTOR = 3\n")
    custom = function(tmp_path, "import beside\n\ndef run(ds):\n    return ds * beside.FACTOR\n")
    assert run_custom(xr.Dataset({"a": 2}), custom)["a"] == 6


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
        run_custom(xr.Dataset({"a": 2}), function(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"gone\.py: no such Python file"):
        run_custom(xr.Dataset(), function(tmp_path, None, "gone"))
