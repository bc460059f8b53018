"""The cache of a record: fetched once, unpacked once, and never somebody else's files."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from stacbuild.errors import ConflictError, IntegrityError
from stacbuild.net.http import session
from stacbuild.sources.zenodo.cache import Cache, LocalFile
from stacbuild.sources.zenodo.record import RecordFile
from tests.support.file_server import FileServer

CONTENT = b"pixels" * 100


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.tif", content)
    return stream.getvalue()


class Served:
    """A server with one file, and a cache for it."""

    def __init__(self, server: FileServer, folder: Path, key: str, content: bytes) -> None:
        self.cache, self.server = Cache(folder), server
        server.files[f"/{key}"] = content
        md5 = hashlib.md5(content).hexdigest()
        self.file = RecordFile(key, len(content), md5, f"{server.url}/{key}")

    def fetch(self, *, force: bool = False) -> list[LocalFile]:
        with session(lambda _: None) as http:
            return self.cache.fetch(self.file, http, force=force)


def test_a_file_is_found_while_it_is_that_of_the_record(tmp_path: Path) -> None:
    with FileServer({}) as server:
        served = Served(server, tmp_path / "c", "a.tif", CONTENT)
        cache, file = served.cache, served.file
        assert cache.find(file) is None
        [local] = served.fetch()
        assert (local.name, local.size, local.md5) == ("a.tif", len(CONTENT), file.md5)
        assert local.path.read_bytes() == CONTENT
        assert cache.find(file) == [local]
        # Another version of the record, or an edited file.
        assert cache.find(RecordFile("a.tif", file.size, "0", file.url)) is None
        local.path.write_bytes(b"short")
        assert cache.find(file) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {"a": 1}}', '{"files": [], "md5": 1}'])
def test_a_marker_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    with FileServer({}) as server:
        served = Served(server, tmp_path / "c", "a.tif", CONTENT)
        served.fetch()
        (tmp_path / "c" / "a.tif.stacbuild.json").write_text(text)
        assert served.cache.find(served.file) is None
        asked = len(server.asked)
        # The file is whole, so that it is not fetched again.
        [local] = served.fetch()
        assert len(server.asked) == asked
        assert served.cache.find(served.file) == [local]
        served.fetch(force=True)
        assert len(server.asked) > asked


def test_an_archive_is_unpacked_and_goes(tmp_path: Path) -> None:
    with FileServer({}) as server:
        served = Served(server, tmp_path / "c", "maps.zip", packed(a=CONTENT, b=b"x"))
        found = served.fetch()
        assert sorted(each.name for each in found) == ["a.tif", "b.tif"]
        assert {each.path.parent for each in found} == {(tmp_path / "c" / "maps").resolve()}
        assert not (tmp_path / "c" / "maps.zip").exists()
        assert served.cache.find(served.file) == found
        marker = json.loads((tmp_path / "c" / "maps.zip.stacbuild.json").read_text())
        assert str(tmp_path) not in json.dumps(marker["files"])


@pytest.mark.parametrize("key", ["a.tif", "maps.zip"])
def test_files_of_others_are_left_alone(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "c"
    mine = folder / ("a.tif" if key == "a.tif" else "maps/a.tif")
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    content = CONTENT if key == "a.tif" else packed(a=CONTENT)
    with FileServer({}) as server, pytest.raises(ConflictError, match=r"a\.tif|maps"):
        Served(server, folder, key, content).fetch()
    assert mine.read_bytes() == b"mine"


def test_a_key_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")
    for key in ("../a.tif", "/etc/a.tif", "x/../../a.tif"):
        with pytest.raises(IntegrityError, match="refused, such a file would leave"):
            cache.find(RecordFile(key, 1, None, "https://host.example/a.tif"))
