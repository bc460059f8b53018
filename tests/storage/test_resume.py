"""A build that ended early: what is seen of it, and what the next run makes of it."""

from __future__ import annotations

import json
import math
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacbuild.atomic import temporary
from stacbuild.machine import free_bytes
from stacbuild.stac.catalog import Catalog
from stacbuild.storage.journal import Journal
from tests.standins.s3 import S3Server
from tests.support.buckets import asset_of, bucket, keys
from tests.support.cli import check_left, command, errors, stacbuild
from tests.support.forked import Ended, Runs
from tests.support.killing import check_visible, contents, fresh, large, small

# The third of ten tasks gets signals while others go on, or fills the disk.
DISTURBED = """\
import itertools
import os
import sys
import time
import numpy as np
import xarray as xr

# Each variable imports this file anew, and its tasks count with those of the other one.
tasks, begun = sys.__dict__.setdefault("_tasks", (itertools.count(1), []))

def disturbed(ds):
    def disturb(values):
        number = next(tasks) if values.size else 0
        begun.append(number)
        if number != 3:
            return values
        # Others are finished meanwhile, also on a slow machine.
        until = time.monotonic() + 20
        while "SIGNALS" in os.environ and max(begun) < 8 and time.monotonic() < until:
            time.sleep(0.01)
        for number in os.environ.get("SIGNALS", "").split():
            # Until the main thread waits for this one: it could miss it on its way there.
            time.sleep(0.3)
            os.kill(os.getpid(), int(number))
        if "SIGNALS" in os.environ:
            # As in a read that takes long, which nobody waits for.
            time.sleep(30)
        if "FILLER" in os.environ:
            with open(os.environ["FILLER"], "wb") as file:
                disk = os.fstatvfs(file.fileno())
                file.write(b"x" * (disk.f_bavail * disk.f_frsize - 4096))
        return values
    return xr.apply_ufunc(disturb, ds, dask="parallelized", output_dtypes=[np.uint8])
"""
CUSTOM = {"module_path": "modify", "function_name": "disturbed"}


def finished(directory: Path) -> dict[str, int]:
    """Return the number of finished chunks (of 512 x 512 pixels) in the journal, by variable."""
    journal = Journal.read(directory / "data" / ".good.zarr.journal")
    return finished_of(journal) if journal else {}


def finished_of(journal: Journal) -> dict[str, int]:
    return {
        name: sum(math.prod(-(-(end - start) // 512) for start, end in place) for place in places)
        for name, places in journal.finished.items()
    }


def staged(directory: Path) -> list[Path]:
    return list((directory / "data").glob(".good.zarr.*.staging"))


def renaming(ended: Ended, end: str) -> int:
    """Return the number of the first renaming to a path that ends so."""
    return next(n for n, path in enumerate(ended.renamed, 1) if path.endswith(end))


def chunks(ended: Ended) -> set[str]:
    """Return the chunks of the variables that a run wrote, from the variable's name on."""
    found = {"/".join(path.split("/")[-4:]) for path in ended.renamed}
    return {key for key in found if key.startswith(("one/c/", "two/c/"))}


# --- the journal ---------------------------------------------------------------------------------


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal.start(tmp_path / "j", "abc")
    journal.add("v", ((0, 2), (0, 5)), ["v/c/0/0"])
    journal.commit("old.zarr")
    again = Journal.read(tmp_path / "j")
    assert again == journal
    assert (again.committing, again.replaces) == (True, "old.zarr")
    assert again.finished == {"v": {((0, 2), (0, 5)): -1}}


def test_a_torn_last_line_never_counted(tmp_path: Path) -> None:
    journal = Journal.start(tmp_path / "j", "abc")
    journal.add("v", ((0, 2),), [])
    whole = (tmp_path / "j").read_bytes()
    journal.add("v", ((2, 4),), [])
    line = (tmp_path / "j").read_bytes()[len(whole) :]
    for end in range(1, len(line)):
        (tmp_path / "j").write_bytes(whole + line[:end])
        torn = Journal.read(tmp_path / "j")
        assert torn is not None
        assert list(torn.finished["v"]) == [((0, 2),)]
        torn.resume()
        torn.add("v", ((4, 6),), [])
        assert list(Journal.read(tmp_path / "j").finished["v"]) == [((0, 2),), ((4, 6),)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{",
        b"[]\n",
        b'{"version": 2}\n',
        b"\xff\n",
        b"[" * 200_000,
        b'{"version": 1, "started": "2025-01-31", "fingerprint": "x", "token": "8c5f\\u00001a"}\n',
    ],
    ids=["empty", "newline", "torn", "list", "version", "bytes", "deep", "nul"],
)
def test_what_is_no_journal_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    assert Journal.read(tmp_path / "j") is None


@pytest.mark.parametrize("size", [0, 10, 40])
def test_what_died_while_it_began_a_journal_leaves_nothing(tmp_path: Path, size: int) -> None:
    whole = Journal.start(tmp_path / "other", "abc").path.read_bytes()
    left = temporary(tmp_path / ".j")
    left.write_bytes(whole[:size])
    mine = tmp_path / ".j.4567abcd.tmp"
    mine.write_bytes(b"mine")
    Journal.start(tmp_path / ".j", "abc").remove()
    assert not left.exists()
    assert mine.read_bytes() == b"mine"


def test_killed_when_the_journal_begins(tmp_path: Path, runs: Runs) -> None:
    config = small(tmp_path)
    runs("harvest", config)
    assert runs("cube", config, kill_at=1).code == -signal.SIGKILL
    assert list((tmp_path / "data").glob("..good.zarr.journal.*.stacbuild.tmp"))
    assert runs("cube", config).code == 0
    check_left(tmp_path, ["good"])


# --- killed while chunks are written -------------------------------------------------------------


def test_a_killed_build_goes_on_to_the_bytes_of_an_unbroken_one(tmp_path: Path, runs: Runs) -> None:
    base = tmp_path / "base"
    runs("harvest", large(base))
    whole = fresh(base, tmp_path / "whole")
    unbroken = runs("cube", whole / "c_config.yml")
    assert unbroken.code == 0
    assert len(chunks(unbroken)) == 120

    broken = fresh(base, tmp_path / "broken")
    assert runs("cube", broken / "c_config.yml", kill_at=90).code == -signal.SIGKILL
    check_visible(broken)
    assert not (broken / "data" / "good.zarr").exists()
    journal = Journal.read(broken / "data" / ".good.zarr.journal")
    # Of tasks of twelve chunks; not those that were being written or recorded.
    assert 24 <= sum(finished(broken).values()) <= 90
    # As if the run had begun at another time.
    head, rest = journal.path.read_text().split("\n", 1)
    early = json.loads(head) | {"started": "2001-02-03T04:05:06+00:00"}
    journal.path.write_text(json.dumps(early) + "\n" + rest)
    second = runs("cube", broken / "c_config.yml")
    assert second.code == 0, second.stderr
    assert "resuming the run of 2001-02-03 04:05 UTC" in second.stderr
    # Not a chunk of what was finished is written again.
    assert len(chunks(second)) == 120 - sum(finished_of(journal).values())
    assert contents(broken) == contents(whole)
    attrs = json.loads((broken / "data" / "good.zarr" / "zarr.json").read_text())["attributes"]
    assert attrs["history"].startswith("2001-02-03T04:05:06Z ")
    check_left(broken, ["good"])


def test_chunks_that_got_lost_meanwhile_are_written_again(tmp_path: Path, runs: Runs) -> None:
    base = tmp_path / "base"
    runs("harvest", large(base))
    whole = fresh(base, tmp_path / "whole")
    runs("cube", whole / "c_config.yml")
    runs("cube", base / "c_config.yml", kill_at=100)
    assert finished(base)["one"] >= 24
    (folder,) = staged(base)
    # Region 0 loses a chunk, region 1 the half of one.
    (folder / "one" / "c" / "0" / "1").unlink()
    cut = folder / "one" / "c" / "1" / "5"
    cut.write_bytes(cut.read_bytes()[:-20])
    (folder / "two" / "c" / "0" / f"7.{'0123' * 8}.partial").write_text("left by a dead run")
    again = runs("cube", base / "c_config.yml")
    assert again.code == 0, again.stderr
    assert {"one/c/0/1", "one/c/1/5"} <= chunks(again)
    assert contents(base) == contents(whole)


def test_metadata_that_would_be_others_now_start_it_anew(tmp_path: Path, runs: Runs) -> None:
    config = large(tmp_path)
    runs("harvest", config)
    runs("cube", config, kill_at=70)
    (folder,) = staged(tmp_path)
    path = folder / "two" / "zarr.json"
    path.write_text(path.read_text().replace("uint8", "uint16"))
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    assert len(chunks(again)) == 120
    check_left(tmp_path, ["good"])


def test_another_configuration_starts_anew(tmp_path: Path, runs: Runs) -> None:
    config = large(tmp_path)
    runs("harvest", config)
    runs("cube", config, kill_at=70)
    (before,) = staged(tmp_path)
    config = large(tmp_path, "other.tif")
    again = runs("cube", config, kill_at=70)
    assert again.code == -signal.SIGKILL
    assert "going on" not in again.stderr
    (after,) = staged(tmp_path)
    assert after != before
    assert runs("cube", config).code == 0
    check_left(tmp_path, ["good"])


# --- killed in the commit ------------------------------------------------------------------------

# Of the renamings of a run, those that make a cube: (end of the path, after it instead of before).
FIRST = [("/data/good.zarr", False), ("good.json", False), ("c/collection.json", False)]
FIRST += [("catalog.json", False), ("catalog.json", True)]
REBUILD = [(".old", False), ("/data/good.zarr", False), ("good.json", False)]
REBUILD += [("good.json", True)]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, runs: Runs) -> tuple[Path, Path, Ended]:
    """A harvested source, the same with its cube, and the run that made it."""
    base = tmp_path_factory.mktemp("first") / "base"
    runs("harvest", small(base))
    built = fresh(base, base.parent / "built")
    return base, built, runs("cube", built / "c_config.yml")


@pytest.fixture(scope="module")
def rebuilt(first: tuple[Path, Path, Ended], runs: Runs) -> tuple[Path, Path, Ended]:
    """A cube whose configuration changed since, the same built anew, and that run."""
    base = fresh(first[1], first[1].parent / "changed")
    runs("harvest", small(base, "other.tif"))
    built = fresh(base, base.parent / "rebuilt")
    return base, built, runs("cube", built / "c_config.yml")


def killed_then_run(
    made: tuple[Path, Path, Ended], directory: Path, runs: Runs, at: int, late: bool
) -> None:
    base, built, _ = made
    fresh(base, directory)
    before = contents(directory)
    killed = runs("cube", directory / "c_config.yml", kill_at=at, late=late)
    assert killed.code == -signal.SIGKILL
    check_visible(directory)
    after = contents(directory)
    # Whatever stands there of the cube is all of the old or all of the new.
    seen = {name: data for name, data in after.items() if name.startswith("data/good.zarr/")}
    assert seen in [
        {name: data for name, data in state.items() if name.startswith("data/good.zarr/")}
        for state in ({}, before, contents(built))
    ]
    again = runs("cube", directory / "c_config.yml")
    assert again.code == 0, again.stderr
    assert contents(directory) == contents(built)
    check_left(directory, ["good"])


@pytest.mark.parametrize(("end", "late"), FIRST)
def test_killed_in_the_commit(
    tmp_path: Path, runs: Runs, first: tuple[Path, Path, Ended], end: str, late: bool
) -> None:
    killed_then_run(first, tmp_path / "x", runs, renaming(first[2], end), late)


@pytest.mark.parametrize(("end", "late"), REBUILD)
def test_killed_in_the_commit_of_a_rebuild(
    tmp_path: Path, runs: Runs, rebuilt: tuple[Path, Path, Ended], end: str, late: bool
) -> None:
    killed_then_run(rebuilt, tmp_path / "x", runs, renaming(rebuilt[2], end), late)


@pytest.mark.slow
@pytest.mark.parametrize("made", ["first", "rebuilt"])
def test_killed_at_every_renaming(
    tmp_path: Path, runs: Runs, made: str, request: pytest.FixtureRequest
) -> None:
    state = request.getfixturevalue(made)
    for at in range(1, len(state[2].renamed) + 1):
        for late in (False, True):
            killed_then_run(state, tmp_path / "x", runs, at, late)


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_the_item_then_built_as_before(
    tmp_path: Path,
    runs: Runs,
    first: tuple[Path, Path, Ended],
    rebuilt: tuple[Path, Path, Ended],
    late: bool,
) -> None:
    """The new cube lies at its name, and its item is there or not; the old one is wanted again."""
    directory = fresh(rebuilt[0], tmp_path / "x")
    at = renaming(rebuilt[2], "good.json")
    runs("cube", directory / "c_config.yml", kill_at=at, late=late)
    shutil.copy2(first[1] / "c_config.yml", directory)
    assert runs("cube", directory / "c_config.yml").code == 0
    built = {k: v for k, v in contents(first[1]).items() if k.startswith("data/")}
    assert {k: v for k, v in contents(directory).items() if k.startswith("data/")} == built
    check_left(directory, ["good"])


def test_a_catalog_that_cannot_be_written_leaves_the_old_cube(
    tmp_path: Path, runs: Runs, rebuilt: tuple[Path, Path, Ended]
) -> None:
    directory = fresh(rebuilt[0], tmp_path / "x")
    before = contents(directory)
    # In the way of the item's temporary file; for root, too, unlike a mode.
    item = directory / "catalogs" / "c" / "good" / "good.json"
    moved = item.rename(item.with_name("moved.json"))
    item.mkdir()
    ended = runs("cube", directory / "c_config.yml")
    assert ended.code == 5
    item.rmdir()
    moved.rename(item)
    seen = {
        k: v for k, v in contents(directory).items() if "/." not in k or k.endswith("/.checksums")
    }
    assert seen == before
    assert runs("cube", directory / "c_config.yml").code == 0
    assert contents(directory) == contents(rebuilt[1])


# --- interrupted ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param([signal.SIGINT], marks=pytest.mark.slow),
        pytest.param([signal.SIGTERM], marks=pytest.mark.slow),
        [signal.SIGTERM] * 2,
    ],
)
def test_a_signal_while_chunks_are_written(
    tmp_path: Path, runs: Runs, signals: list[signal.Signals]
) -> None:
    (tmp_path / "modify.py").write_text(DISTURBED)
    config = large(tmp_path, custom=CUSTOM)
    runs("harvest", config)
    ended = runs("cube", config, env={"SIGNALS": " ".join(str(int(each)) for each in signals)})
    assert ended.code == 130
    assert ended.stdout == ""
    check_visible(tmp_path)
    done = sum(finished(tmp_path).values())
    if len(signals) == 1:
        # Eight of the ten tasks, of twelve chunks each, had begun; at most three are in flight.
        assert 60 <= done < 120
        assert f"good: kept {done} of 120 chunks" in ended.stderr
        assert "interrupted; run the same command again to go on" in ended.stderr
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    assert not done or f"{done} of 120 chunks are finished" in again.stderr
    assert len(chunks(again)) == 120 - done
    check_left(tmp_path, ["good"])


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB, with the folder of a configuration on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_gets_full(small_disk: Path, runs: Runs) -> None:
    runs("harvest", small(small_disk))
    runs("cube", small_disk / "c_config.yml")
    before = contents(small_disk)
    (small_disk / "modify.py").write_text(DISTURBED)
    config = large(small_disk, custom=CUSTOM)
    filler = small_disk / "filler"
    ended = runs("cube", config, env={"FILLER": str(filler)})
    assert ended.code == 5, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert f"{small_disk / 'data' / 'good.zarr'}: cannot be written: No space left" in line
    assert "are free there; free some space, then run the same command again" in line
    # The cube of before and its catalog are as they were.
    assert {
        k: v for k, v in contents(small_disk).items() if "/." not in k or k.endswith("/.checksums")
    } == before
    done = sum(finished(small_disk).values())
    assert 0 < done < 120
    assert f"good: kept {done} of 120 chunks" in ended.stderr
    filler.unlink()
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    assert f"{done} of 120 chunks are finished" in again.stderr
    check_left(small_disk, ["good"])


@pytest.mark.parametrize("harvested", [True, False])
def test_a_disk_that_will_not_do_is_refused_beforehand(
    small_disk: Path, runs: Runs, harvested: bool
) -> None:
    config = large(small_disk)
    if harvested:
        runs("harvest", config)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (free_bytes(small_disk) - 100_000))
    ended = runs("cube", config)
    assert ended.code == 5, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert f"are free in {small_disk / 'data'}; free some space" in line
    assert {path.suffix for path in (small_disk / "data").glob("*")} <= {".lock"}


def test_a_disk_that_is_full_for_the_catalog(small_disk: Path, runs: Runs) -> None:
    config = small(small_disk)
    runs("harvest", config)
    runs("cube", config)
    before = contents(small_disk)
    config = small(small_disk, "other.tif")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (free_bytes(small_disk) - 4096))
    ended = runs("harvest", config)
    assert ended.code == 5, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert f"{small_disk / 'catalogs'}" in line
    assert "No space left on device" in line
    check_visible(small_disk)
    assert {k: contents(small_disk)[k] for k in before} == before
    filler.unlink()
    assert runs("harvest", config).code == 0
    assert runs("cube", config).code == 0
    check_left(small_disk, ["good"])


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The limit of a file's size stands in for a full disk where none can be mounted."""
    config = small(tmp_path)
    stacbuild("harvest", config)
    stacbuild("cube", config)
    before = contents(tmp_path)
    config = large(tmp_path)
    done = subprocess.run(
        command("cube", config),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert done.returncode == 5, done.stderr
    (line,) = errors(done)
    assert f"{tmp_path / 'data' / 'good.zarr'}: cannot be written: File too large" in line
    assert {
        k: v for k, v in contents(tmp_path).items() if "/." not in k or k.endswith("/.checksums")
    } == before


# --- a bucket ------------------------------------------------------------------------------------


def test_a_bucket_that_fails_half_way_is_gone_on_with(
    tmp_path: Path, s3_server: S3Server, runs: Runs
) -> None:
    # Each region one chunk of 2048 x 2048, but for the last ones.
    config = large(tmp_path, tile_size=2048, storage=bucket(s3_server, "resume-1"))
    runs("harvest", config)
    s3_server.fail(r"/two/c/", status=403, times=-1)
    ended = runs("cube", config)
    assert ended.code == 3, ended.stderr
    (journal,) = (tmp_path / "catalogs").glob(".*.journal")
    found = Journal.read(journal)
    assert found is not None
    # The regions that were in flight are finished, too.
    assert list(found.finished) == ["one"]
    kept = len(found.finished["one"])
    assert f"good: kept {kept} of 10 chunks" in ended.stderr
    (name,) = {key for key in keys(s3_server, "resume-1") if key.startswith("cubes/")}
    s3_server.reset()
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    assert f"{kept} of 10 chunks are finished" in again.stderr
    assert asset_of(tmp_path).href.endswith(name)
    assert keys(s3_server, "resume-1") == {"of-others/kept.txt", name}
    assert not list((tmp_path / "catalogs").glob(".*.journal"))

    # Another configuration: what was left of this one goes.
    s3_server.fail(r"/two/c/", status=403, times=-1)
    config = large(tmp_path, "other.tif", tile_size=2048, storage=bucket(s3_server, "resume-1"))
    assert runs("cube", config).code == 3
    s3_server.reset()
    assert len(keys(s3_server, "resume-1")) == 3
    config = small(tmp_path, storage=bucket(s3_server, "resume-1"))
    assert runs("cube", config).code == 0
    last = asset_of(tmp_path).href.rpartition("/")[2]
    assert keys(s3_server, "resume-1") == {"of-others/kept.txt", f"cubes/{last}"}


@pytest.mark.parametrize("late", [pytest.param(False, marks=pytest.mark.slow), True])
def test_killed_in_the_commit_to_a_bucket(
    tmp_path: Path, s3_server: S3Server, runs: Runs, late: bool
) -> None:
    name = f"resume-late-{late}".lower()
    storage = bucket(s3_server, name)
    config = small(tmp_path, storage=storage)
    runs("harvest", config)
    first = runs("cube", config)
    assert first.code == 0
    old = asset_of(tmp_path).href
    config = small(tmp_path, "other.tif", storage=storage)
    runs("harvest", config)
    # The renamings of a build to a bucket: its journal's, then the item's; only the first build
    # gives the collection of its sources a picture.
    item = renaming(first, "good.json")
    at = item - sum("/catalogs/file-" in path for path in first.renamed[:item])
    assert runs("cube", config, kill_at=at, late=late).code == -signal.SIGKILL
    now = asset_of(tmp_path).href
    assert (now != old) == late
    assert len(keys(s3_server, name)) == 3
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    new = asset_of(tmp_path).href
    assert new != old
    assert keys(s3_server, name) == {"of-others/kept.txt", "cubes/" + new.rpartition("/")[2]}
    assert not list((tmp_path / "catalogs").glob(".*.journal"))
    assert Catalog(tmp_path / "catalogs").get("c", "good") is not None
