"""What killed runs leave is used, removed or named by the next ones; nobody else's is touched."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml

from stacbuild.atomic import temporary
from stacbuild.building import build
from stacbuild.cli.program import run
from stacbuild.config import load_config
from stacbuild.formats.archive import extract
from stacbuild.planning.resolve import output_of
from stacbuild.removal.remove import remove
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.files import write_json
from stacbuild.storage.journal import Journal
from stacbuild.storage.site import Site
from tests.support.foreign import foreign_store, snapshot
from tests.support.forked import Runs
from tests.support.killing import fresh, large, small


@pytest.fixture(scope="module")
def _killed(tmp_path_factory: pytest.TempPathFactory, runs: Runs) -> Path:
    folder = tmp_path_factory.mktemp("left") / "killed"
    config = small(folder)
    build(load_config(config), folder / "catalogs")
    small(folder, "other.tif")
    done = runs("cube", config, kill_at=9, late=True)
    assert done.code == -9
    assert any(name.endswith(".staging") for name in names(folder))
    return folder


@pytest.fixture
def killed(_killed: Path, tmp_path: Path) -> Path:
    """Return a folder in which the build of another version of a cube was killed."""
    return fresh(_killed, tmp_path / "killed")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data").iterdir() if path.suffix != ".lock")


def settle(folder: Path, how: str) -> None:
    config = folder / "c_config.yml"
    if how == "up to date":
        small(folder)
    if how == "remove":
        (gone,) = remove(load_config(config), folder / "catalogs", ["good"])
        assert gone.error is None
        assert any(path.endswith(".staging") for path in gone.staged)
    else:
        (built,) = build(load_config(config), folder / "catalogs")
        assert built.status == ("UP TO DATE" if how == "up to date" else "COMPLETED")


@pytest.mark.parametrize("how", ["again", "up to date", "remove"])
def test_staged_stores_whose_journal_is_gone(killed: Path, how: str) -> None:
    (killed / "data" / ".good.zarr.journal").unlink()
    settle(killed, how)
    assert names(killed) == ([] if how == "remove" else ["good.zarr"])


@pytest.mark.parametrize("how", ["again", "up to date"])
def test_staged_stores_that_nothing_tells_of_are_left(killed: Path, how: str) -> None:
    """Of another configuration, or somebody's who likes such names."""
    (killed / "data" / ".good.zarr.journal").unlink()
    (owner,) = (killed / "data").glob("*.owner")
    owner.write_text(owner.read_text().replace('"dataset": "good"', '"dataset": "other"'))
    foreign_store(killed / "data" / ".good.zarr.0123abcd.staging")
    before = {path: content for path, content in snapshot(killed).items() if ".owner" in str(path)}
    staged = {name for name in names(killed) if name.endswith(".staging")}
    settle(killed, how)
    assert staged <= set(names(killed))
    assert before.items() <= snapshot(killed).items()


def test_a_cube_that_was_moved_for_one_that_did_not_come(killed: Path) -> None:
    """Killed between two renames, and the journal gone: put back, should the next run fail too."""
    data = killed / "data"
    (staged,) = data.glob("*.staging")
    before = snapshot(data / "good.zarr")
    (data / "good.zarr").rename(staged.with_suffix(".old"))
    (data / ".good.zarr.journal").unlink()
    config = load_config(small(killed))
    output = output_of(config, config.datasets[0], Catalog(killed / "catalogs"))
    Site(output).sweep()
    assert names(killed) == [".good.zarr.holder", "good.zarr"]
    assert [*snapshot(data / "good.zarr").values()] == [*before.values()]


def test_what_was_begun_of_a_dataset_that_is_gone(
    killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = killed / "c_config.yml"
    content = yaml.safe_load(path.read_text())
    content["datasets"][0]["identifier"] = "else"
    path.write_text(yaml.safe_dump(content))
    assert run(["cube", str(path)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert ".good.zarr.journal: a run of 'good' was interrupted" in said
    assert "stacbuild remove c_config.yml good" in said
    # It would be gone on with if the dataset came back.
    assert any(name.endswith(".staging") for name in names(killed))
    assert run(["remove", str(path), "good", "--yes"]) == 0
    assert names(killed) == ["else.zarr"]


def test_what_zarr_was_writing_in_a_pyramid(tmp_path: Path, runs: Runs) -> None:
    """In its levels and in the group of all of them, beside the cube itself."""
    config = small(tmp_path)
    config.write_text(config.read_text().replace("- grid", "- format_id: levels\n  grid", 1))
    renamed = runs("cube", fresh(tmp_path, tmp_path.parent / "first") / config.name).renamed
    at = next(n for n, path in enumerate(renamed, 1) if path.endswith(".staging/zarr.json"))
    assert runs("cube", config, kill_at=at).code == -9
    assert list((tmp_path / "data").rglob("*.partial"))
    assert runs("cube", config).code == 0
    assert not list((tmp_path / "data").rglob("*.partial"))
    assert runs("validate", config).code == 0
    assert runs("remove", config, "good", "--yes").code == 0


def test_variables_with_the_names_of_partial_files(tmp_path: Path, runs: Runs) -> None:
    config = large(tmp_path)
    config.write_text(config.read_text().replace("identifier: one", "identifier: one.partial"))
    assert runs("cube", config, kill_at=80).code == -9
    again = runs("cube", config)
    assert again.code == 0, again.stderr
    assert "resuming" in again.stderr


@pytest.mark.parametrize("also", ["nothing", "cube"])
def test_what_cannot_be_deleted_is_by_a_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, also: str
) -> None:
    config = load_config(small(tmp_path))
    build(config, tmp_path / "catalogs")
    unlink = os.unlink

    def refuse(path: str | Path, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and path == "0":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        (built,) = build(config, tmp_path / "catalogs", force=True)
    assert built.status == "COMPLETED"
    (gone,) = (tmp_path / "data").glob("*.gone")
    assert f"{gone}: is no longer used, but cannot be deleted: Permission denied" in caplog.text
    assert not list((tmp_path / "data").glob("*.old"))
    if also == "cube":
        # Not what is left of the previous cube comes back in its place.
        shutil.rmtree(tmp_path / "data" / "good.zarr")
    (again,) = build(config, tmp_path / "catalogs")
    assert again.status == ("COMPLETED" if also == "cube" else "UP TO DATE")
    assert "resuming" not in caplog.text
    assert names(tmp_path) == ["good.zarr"]


def test_names_like_those_that_a_build_writes(tmp_path: Path, runs: Runs) -> None:
    """What was begun of a dataset is left alone by those whose names begin as its own does."""
    config = small(tmp_path)
    content = yaml.safe_load(config.read_text())
    content["datasets"] = [
        content["datasets"][0] | {"identifier": name} for name in ("a", "a.zarr.b")
    ]
    config.write_text(yaml.safe_dump(content))
    assert runs("cube", config, "a.zarr.b", kill_at=12).code == -9
    begun = snapshot(tmp_path / "data")
    assert any(".staging/" in str(path) for path in begun)
    assert runs("cube", config, "a").code == 0
    assert runs("remove", config, "a", "--yes").code == 0
    assert begun.items() <= snapshot(tmp_path / "data").items()


def test_buckets_and_cubes_whose_names_join_alike(tmp_path: Path) -> None:
    outputs = []
    for root, name in (("b/x", "y-z"), ("b/x-y", "z")):
        config = small(tmp_path / name, storage={"store_id": "s3", "store_params": {"root": root}})
        config.write_text(config.read_text().replace("identifier: good", f"identifier: {name}"))
        read = load_config(config)
        outputs.append(output_of(read, read.datasets[0], Catalog(tmp_path / "catalogs")))
    first, second = outputs
    assert first.journal != second.journal
    assert first.lock != second.lock


# --- files that are written and then renamed -----------------------------------------------------


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    return ended.pid


def written_by(pid: int, path: Path, more: str = "", machine: str | None = None) -> Path:
    """Return where a process writes what is to have a path."""
    here, _, rest = temporary(path, more).name.rpartition(f"-{os.getpid()}.")
    if machine is not None:
        here = here[: -len(machine)] + machine
    return path.with_name(f"{here}-{pid}.{rest}")


def test_temporary_files_of_runs_that_died(tmp_path: Path) -> None:
    target = tmp_path / "mark.json"
    dead, alive = written_by(dead_pid(), target), written_by(os.getppid(), target)
    mine = tmp_path / ".mark.json.mine.tmp"
    for path in (dead, alive, mine):
        path.write_text("{")
    write_json(target, {})
    assert sorted(tmp_path.iterdir()) == sorted([target, alive, mine])


@pytest.mark.parametrize("more", ["", "0123abcd."])
def test_temporary_files_of_other_machines(tmp_path: Path, more: str) -> None:
    """On a shared disk the number of a process says nothing of one elsewhere."""
    target = tmp_path / "mark.json"
    elsewhere = written_by(dead_pid(), target, more, machine="01234567")
    # As earlier versions wrote, which did not name the machine.
    unnamed = tmp_path / f".mark.json.{dead_pid()}.{more}stacbuild.tmp"
    folder = written_by(dead_pid(), target, "folder.", machine="01234567")
    for path in (elsewhere, unnamed):
        path.write_text("{")
    folder.mkdir()
    (folder / "one.txt").write_text("half")
    write_json(target, {})
    assert sorted(tmp_path.iterdir()) == sorted([target, elsewhere, unnamed, folder])
    ago = time.time() - 8 * 24 * 3600
    for path in (elsewhere, unnamed, folder):
        os.utime(path, (ago, ago))
    # What is in it was written now.
    write_json(target, {"more": 1})
    assert sorted(tmp_path.iterdir()) == sorted([target, folder])
    os.utime(folder / "one.txt", (ago, ago))
    write_json(target, {"more": 2})
    assert sorted(tmp_path.iterdir()) == [target]


def test_journals_whose_writing_was_killed(tmp_path: Path) -> None:
    config = load_config(small(tmp_path))
    catalog, data = Catalog(tmp_path / "catalogs"), tmp_path / "data"
    data.mkdir()
    journal = output_of(config, config.datasets[0], catalog).journal
    dead = written_by(dead_pid(), journal)
    dead.write_text('{"version": 1')
    [result] = build(config, tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    assert not dead.exists()


def test_archives_whose_unpacking_was_killed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("one.txt", "1")
    dead = written_by(dead_pid(), tmp_path / "a", "0123abcd.")
    dead.mkdir()
    (dead / "one.txt").write_text("half")
    (tmp_path / ".a.mine").mkdir()
    extract(tmp_path / "a.zip", tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.mine", "a", "a.zip"]


def test_first_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", str(tmp_path / "a.yml"), "--bbox", "10,45,10.1,45.1", "--res", "0.001"]
    words += ["--source", "file", "src", "a.tif"]
    schema = tmp_path / "stacbuild.schema.json"
    schema.write_text('{"properties": {"mine": {}}}')
    assert run(words) == 5
    assert f"{schema}: is a file that stacbuild did not write" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [schema.name]
    shutil.move(schema, tmp_path / "mine.json")
    dead = written_by(dead_pid(), tmp_path / "a.yml")
    dead.write_text("half")
    assert run(words) == 0
    assert run([*words, "--force"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.yml", schema.name, "mine.json"}


# --- what a user put meanwhile into a cube that a run died over ----------------------------------


@pytest.fixture(scope="module", params=["removing", "committing"])
def half_made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube that a killed run was about to remove, or had put in its place without an item."""
    folder = tmp_path_factory.mktemp("half") / "half"
    config = load_config(small(folder))
    build(config, folder / "catalogs")
    catalog, data = Catalog(folder / "catalogs"), folder / "data"
    output = output_of(config, config.datasets[0], catalog)
    item = output.item()
    assert item is not None
    said = item.properties[FINGERPRINT]
    journal = Journal.start(output.journal, said, output.owner())
    if request.param == "removing":
        journal.remove_cube(said, "good.zarr")
    else:
        journal.name = "good.zarr"
        journal.commit(None, None)
        (data / f".good.zarr.{journal.token}.owner").write_text("{}")
        # So that what the run had made is of no use to the next one.
        small(folder, "other.tif")
    catalog.remove(output.collection, ["good"])
    return folder


@pytest.mark.parametrize("inside", ["notes.txt", "good/c/mine/a.txt", "mine.zarr/zarr.json"])
def test_files_put_meanwhile_into_a_half_finished_cube(
    half_made: Path, tmp_path: Path, inside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fresh(half_made, tmp_path / "half")
    config = str(folder / "c_config.yml")
    note = folder / "data" / "good.zarr" / inside
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("mine")
    before = snapshot(folder / "data")
    for words in (["remove", config, "good", "--yes"], ["cube", config]):
        assert run(words) == 5
        assert "good.zarr/" + inside.partition("/")[0] in capsys.readouterr().err
        after = {path: each for path, each in snapshot(folder / "data").items() if path in before}
        assert after == before
    moved = {"notes.txt": note, "good/c/mine/a.txt": note.parent}.get(inside, note.parent)
    shutil.move(moved, folder / "moved")
    assert run(["remove", config, "good", "--yes"]) == 0
    assert str(folder / "data" / "good.zarr") in capsys.readouterr().out
    assert names(folder) == []
