"""``stacbuild export`` replaces and removes only files that an export wrote."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from stacbuild.building import build
from stacbuild.cli.program import run
from stacbuild.config import load_config
from tests.support.foreign import snapshot
from tests.support.killing import small

STAC = {"type": "Feature", "id": "mine", "properties": {}, "links": [{"rel": "self", "href": "/a"}]}
PLACES = ["items.json", "items.parquet", "collections/c.json", "collections"]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "made"
    (done,) = build(load_config(small(folder)), folder / "catalogs")
    assert done.error is None
    return folder


@pytest.fixture
def made(_made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_made, tmp_path / "made"))


def exports(folder: Path, *more: str) -> int:
    words = ("--catalog", str(folder / "catalogs"), "-o", str(folder / "export"))
    return run(["export", *words, *more])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "content",
    [
        "mine",
        "{}",
        json.dumps({"type": "FeatureCollection", "features": [STAC]}),
        json.dumps({"type": "Collection", "id": "c", "links": []}),
        json.dumps({"type": "FeatureCollection", "features": [], "name": "mine"}),
    ],
)
def test_files_that_no_export_wrote(
    made: Path, place: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made / "export" / place
    path.parent.mkdir(parents=True)
    path.write_text(content)
    before = snapshot(made)
    assert exports(made) == 5
    assert str(path) in capsys.readouterr().err
    assert snapshot(made) == before


def test_links(made: Path) -> None:
    mine = made / "mine.json"
    (made / "export").mkdir()
    (made / "export" / "items.json").symlink_to(mine)
    assert exports(made) == 5
    assert not mine.exists()


def test_what_is_not_written_any_more(made: Path) -> None:
    """Files of a previous export are removed; foreign files with such names are not."""
    assert exports(made) == 0
    target = made / "export"
    gone = target / "collections" / "gone.json"
    os.link(target / "collections" / "c.json", gone)
    kept = target / "collections" / "kept.json"
    kept.write_text(json.dumps({"type": "Collection", "id": "kept", "links": []}))
    (target / "items.parquet").write_bytes(b"mine")
    assert exports(made, "--no-parquet") == 0
    assert not gone.exists()
    assert kept.exists()
    assert (target / "items.parquet").read_bytes() == b"mine"


def test_an_export_of_nothing_is_replaced(made: Path) -> None:
    (made / "export").mkdir()
    (made / "export" / "items.json").write_text('{"type": "FeatureCollection", "features": []}')
    assert exports(made) == 0
    assert exports(made) == 0
