"""What the machine has: processors, and free space also where no folder is yet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from stacbuild.errors import LocalError
from stacbuild.machine import check_space, free_bytes, processors, user_cache
from stacbuild.net import pace


def test_only_processors_that_the_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert processors() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


def test_free_space_of_a_folder_that_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def usage(path: Path) -> shutil._ntuple_diskusage:
        asked.append(path)
        return shutil._ntuple_diskusage(10, 7, 3)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert free_bytes(tmp_path / "a" / "b") == 3
    assert asked == [tmp_path]


def test_what_does_not_fit_is_refused_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9_000, 6_500, 2_500)
    )
    check_space(tmp_path, 2_500, "for a")
    check_space(tmp_path, 0, "for nothing", spare=9_000)
    check_space(tmp_path, 1_000, "for a", spare=1_500)
    for needed, spare in ((2_501, 0), (2_500, 1)):
        with pytest.raises(LocalError, match=r"needs 2\.5 kB for a, but only 2\.5 kB are free"):
            check_space(tmp_path, needed, "for a", spare=spare)
    with pytest.raises(LocalError, match=r"needs 4\.0 TB to unpack b, but only 2\.5 kB are free"):
        check_space(tmp_path / "later", 4 * 10**12, "to unpack b")


@pytest.mark.parametrize("stated", ["", "here"])
def test_a_relative_cache_folder_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", stated)
    assert user_cache() == tmp_path / "home" / ".cache" / "stacbuild"
    polite = pace.pace_of("zenodo", "zenodo.org")
    assert polite is not None
    assert polite.state is not None
    assert polite.state.parent == user_cache()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache() == tmp_path / "cache" / "stacbuild"
