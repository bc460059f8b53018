"""Files that nobody fetched stay where downloads go; the one that belongs there is used."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from stacbuild.errors import ConflictError
from stacbuild.sources.zenodo.store import ZenodoStore
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import geotiff
from tests.support.foreign import snapshot
from tests.support.zenodo import contents, harvested, store_of

CACHE = "cache/7"


@pytest.fixture
def store(zenodo_server: ZenodoServer, tmp_path: Path) -> ZenodoStore:
    """A record of a GeoTIFF, and of an archive of one."""
    tif = geotiff(tmp_path / "made" / "a.tif")
    with zipfile.ZipFile(tmp_path / "made" / "x.zip", "w") as archive:
        archive.write(tif, "deep/a.tif")
    files = {path.name: path for path in (tif, tmp_path / "made" / "x.zip")}
    zenodo_server.records["7"] = Record("7", "Seven", files)
    return store_of(zenodo_server, "7", tmp_path / "cache")


@pytest.mark.parametrize(
    ("place", "wanted", "content"),
    [
        ("a.tif", "a.tif", "mine"),
        ("a.tif.part", "a.tif", "mine"),
        ("a.tif.part.json", "a.tif", "{}"),
        (".a.tif.lock", "a.tif", "mine"),
        ("x.zip", "x.zip", "mine"),
        ("x/notes.txt", "x.zip", "mine"),
        ("x/deep/a.tif", "x.zip", "mine"),
        ("x", "x.zip", "mine"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_file_where_a_download_goes(
    store: ZenodoStore, tmp_path: Path, place: str, wanted: str, content: str, force: bool
) -> None:
    path = tmp_path / CACHE / place
    path.parent.mkdir(parents=True)
    path.write_text(content)
    before = snapshot(tmp_path / "cache")
    with pytest.raises(ConflictError, match="move it away") as raised:
        harvested(store, preload=(wanted,), force=force)
    assert str(path) in str(raised.value)
    assert before.items() <= snapshot(tmp_path / "cache").items()
    shutil.move(path, tmp_path / "mine")
    assert len(harvested(store, preload=(wanted,)).items) == 1


def test_the_file_that_belongs_there(
    store: ZenodoStore, tmp_path: Path, zenodo_server: ZenodoServer
) -> None:
    for name in ("a.tif", "x.zip"):
        path = tmp_path / CACHE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "made" / name, path)
    # As after a run that died before it could say that these are whole.
    (tmp_path / CACHE / "x" / "deep").mkdir(parents=True)
    shutil.copy(tmp_path / "made" / "a.tif", tmp_path / CACHE / "x" / "deep")
    assert len(harvested(store, preload=("a.tif", "x.zip")).items) == 2
    assert contents(zenodo_server) == []


def test_what_was_fetched_is_replaced(
    store: ZenodoStore, tmp_path: Path, zenodo_server: ZenodoServer
) -> None:
    harvested(store, preload=("a.tif", "x.zip"))
    for path in ((tmp_path / CACHE / "a.tif"), (tmp_path / CACHE / "x" / "deep" / "a.tif")):
        path.write_bytes(path.read_bytes()[:-1])
    zenodo_server.reset()
    harvested(store, preload=("a.tif", "x.zip"))
    assert len(contents(zenodo_server)) == 2
    note = tmp_path / CACHE / "x" / "notes.txt"
    note.write_text("mine")
    with pytest.raises(ConflictError, match=r"notes\.txt"):
        harvested(store, preload=("x.zip",), force=True)
    assert note.read_text() == "mine"
