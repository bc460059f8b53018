"""The line of a user's file at which an error arose, also where the file's name was lost."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from stacbuild.loading.custom import comes_from, error_text

SOURCE = """\
def outer(value):
    def inner(number):
        return 1 / number
    return inner(value)


other = lambda value: [][value]
"""


def raised(name: str, filename: str) -> BaseException:
    namespace: dict[str, Any] = {}
    exec(compile(SOURCE, filename, "exec"), namespace)
    with pytest.raises((ZeroDivisionError, IndexError)) as caught:
        namespace[name](0)
    return caught.value


@pytest.mark.parametrize(("name", "line"), [("outer", 3), ("other", 7)])
@pytest.mark.parametrize("named", [True, False])
def test_the_line_is_said(tmp_path: Path, name: str, line: int, named: bool) -> None:
    """cloudpickle gives functions that it sent to another process ``<dynamic-code>`` as file."""
    path = tmp_path / "modify.py"
    path.write_text(SOURCE)
    error = raised(name, str(path) if named else "<dynamic-code>")
    assert comes_from(error, path)
    assert f"at modify.py:{line}: " in error_text(error, path)


def test_functions_of_other_files_are_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "modify.py"
    path.write_text("def another(ds):\n    return ds\n")
    assert not comes_from(raised("outer", "<dynamic-code>"), path)
    assert not comes_from(raised("outer", str(tmp_path / "else.py")), path)
    path.unlink()
    assert not comes_from(pickle.loads(pickle.dumps(ValueError("no traceback"))), path)
