"""``stacbuild validate`` names what lies in a cube and is no part of it, which plan does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stacbuild.building import build
from stacbuild.cli.program import run
from stacbuild.config import load_config
from stacbuild.planning import plan
from tests.standins.s3 import S3Server
from tests.support.buckets import bucket, keys
from tests.support.cli import errors, stacbuild
from tests.support.foreign import foreign_store
from tests.support.killing import small


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validate") / "made"
    config = small(folder)
    config.write_text(config.read_text().replace("  identifier: good", "  identifier: in/good"))
    (done,) = build(load_config(config), folder / "catalogs")
    assert done.error is None
    return folder


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("notes.txt", "notes.txt"),
        (".a.zarr/zarr.json", ".a.zarr"),
    ],
)
def test_a_file_in_a_cube(
    made: Path, tmp_path: Path, inside: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "made"))
    config, cube = folder / "c_config.yml", folder / "data" / "in" / "good.zarr"
    assert run(["validate", str(config)]) == 0
    note = cube / inside
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("{}")
    for words in ([str(config)], ["--catalog", str(folder / "catalogs")]):
        capsys.readouterr()
        assert run(["validate", *words]) == 5
        printed = capsys.readouterr()
        assert f"{cube / named}: is in the cube, but stacbuild did not write it" in printed.err
        assert "all well" not in printed.out
    (planned,) = plan(load_config(config), folder / "catalogs")
    assert planned.action == "up to date"
    assert run(["cube", str(config), "--force"]) == 5


def test_a_store_in_a_cube_in_another_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small(tmp_path)
    content = config.read_text().replace("- grid", "- format_id: levels\n  grid", 1)
    config.write_text(content)
    (done,) = build(load_config(config), tmp_path / "catalogs")
    assert done.error is None, done.message
    assert run(["validate", str(config)]) == 0
    cube = tmp_path / "data" / "good.zarr"
    foreign_store(cube / "0" / "mine")
    capsys.readouterr()
    assert run(["validate", str(config)]) == 5
    assert f"{cube / '0' / 'mine'}: is in the cube" in capsys.readouterr().err


def test_an_object_in_a_cube_in_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    config = small(tmp_path, storage=bucket(s3_server, "validated"))
    stacbuild("cube", config)
    (name,) = (key for key in keys(s3_server, "validated") if key.startswith("cubes/"))
    s3_server.put(f"{name}/notes.txt", b"mine", "validated")
    (line,) = errors(stacbuild("validate", config, code=5))
    assert f"{name}/notes.txt: is in the cube" in line
