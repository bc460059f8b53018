"""Files that were not downloaded are neither replaced nor removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.errors import ConflictError
from stacbuild.net.downloaded import check_file, check_folder


def test_only_what_is_there_and_not_ours_is_a_conflict(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    check_file(path, is_ours=False)
    path.symlink_to(tmp_path / "nothing")
    check_file(path, is_ours=True)
    with pytest.raises(ConflictError, match=r"a\.tif"):
        check_file(path, is_ours=False)


def test_a_folder_may_hold_known_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    check_folder(folder, ())
    (folder / "inner").mkdir(parents=True)
    known = folder / "inner" / "a.tif"
    known.write_text("")
    check_folder(folder, [known])
    (folder / "inner" / "link").symlink_to(tmp_path)
    with pytest.raises(ConflictError, match="inner/link"):
        check_folder(folder, [known])


def test_what_is_no_folder_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(ConflictError, match=name):
            check_folder(tmp_path / name, ())
