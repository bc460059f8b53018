"""What a user's function imports and reads, found without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.config.code import CodeError, files_of, module_in, modules_of


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(text)


def test_modules_that_are_imported_in_any_way(tmp_path: Path) -> None:
    write(
        tmp_path,
        main="import one\ndef f():\n    from pack import two\n    __import__('three')\n",
        one="import os, stacbuild\nimport main\n",
        pack__two="from . import four\nfrom .. import five\n",
        pack__four="import importlib\nimportlib.import_module('.six', __package__)",
        pack__six="",
        three="",
        unused="",
        stacbuild="",
    )
    (tmp_path / "pack" / "__init__.py").write_text("")
    found = modules_of(tmp_path / "main.py", tmp_path)
    assert sorted(found) == [
        "one.py", "pack/__init__.py", "pack/four.py", "pack/six.py", "pack/two.py", "three.py",
    ]  # fmt: skip
    assert found["one.py"] == tmp_path / "one.py"


def test_a_file_imports_from_its_own_folder_first(tmp_path: Path) -> None:
    write(tmp_path, sub__main="import a, b", sub__a="", a="", b="")
    assert sorted(modules_of(tmp_path / "sub" / "main.py", tmp_path)) == [
        "a.py",
        "b.py",
        "sub/a.py",
    ]


def test_a_package_goes_before_a_module(tmp_path: Path) -> None:
    write(tmp_path, a="", a__x="")
    assert module_in(tmp_path, "a") == tmp_path / "a.py"
    (tmp_path / "a" / "__init__.py").write_text("")
    assert module_in(tmp_path, "a") == tmp_path / "a" / "__init__.py"
    assert module_in(tmp_path, "b") is None


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    write(tmp_path, main="import a", a="def (\n")
    with pytest.raises(CodeError, match=r"a\.py:1 is not valid Python"):
        modules_of(tmp_path / "main.py", tmp_path)
    (tmp_path / "a.py").unlink()
    (tmp_path / "a.py").symlink_to(tmp_path.parent / "out.py")
    (tmp_path.parent / "out.py").write_text("")
    with pytest.raises(CodeError, match=r"'a\.py' is a link out of the folder"):
        modules_of(tmp_path / "main.py", tmp_path)


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("r/b.json", "r/a.json", "r/.hidden", "r/__pycache__/x.pyc", "t.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert list(files_of("r", tmp_path)) == ["r/a.json", "r/b.json"]
    assert list(files_of("r/a*.json", tmp_path)) == ["r/a.json"]
    assert list(files_of("t.csv", tmp_path)) == ["t.csv"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("../x", "without '..'"),
        ("/etc/passwd", "relative to the configuration"),
        ("~/x", "relative to the configuration"),
        (".", "is the whole folder"),
        ("**/*.json", "is the whole folder"),
        ("gone.csv", "there is no 'gone.csv'"),
        ("*.gone", r"there is no file in '\*.gone'"),
        ("loop", "is a link to a folder"),
        ("nothing", "is a link to nothing"),
    ],
)
def test_entries_that_mean_nothing_or_too_much(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop")
    (tmp_path / "nothing").symlink_to(tmp_path / "not there")
    with pytest.raises(CodeError, match=said):
        files_of(entry, tmp_path)
