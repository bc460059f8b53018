from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from filelock import FileLock

from stacbuild.errors import IntegrityError, LocalError, LockedError, NotFoundError, RemoteError
from stacbuild.net import http
from stacbuild.net.download import download
from stacbuild.net.speed import Patience
from tests.support.file_server import FileServer, page, stall

DATA = os.urandom(3_000_000)
MD5 = hashlib.md5(DATA).hexdigest()
QUICK = Patience(tries=3, pause=0.001, seconds=0.3, min_speed=100_000)


class Notes:
    """A task that keeps what it is told."""

    def __init__(self) -> None:
        self.done: float = 0
        self.total: float | None = None
        self.notes: list[str] = []

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.notes += [note] if note else []


@pytest.fixture
def session() -> Any:
    with http.session(backoff=0.001, tries=3) as made:
        yield made


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_comes_whole_and_leaves_nothing_beside(
    tmp_path: Path, session: requests.Session
) -> None:
    task = Notes()
    with FileServer({"/f": DATA}) as server:
        path = download(
            f"{server.url}/f", tmp_path / "f", size=len(DATA), md5=MD5, session=session, task=task
        )
    assert path.read_bytes() == DATA
    assert left(tmp_path) == ["f"]
    assert (task.done, task.total, task.notes) == (len(DATA), len(DATA), [])


def test_a_cut_body_is_resumed_where_it_broke(tmp_path: Path, session: requests.Session) -> None:
    with FileServer({"/f": DATA}, cuts=[1_200_000, 700_000]) as server:
        path = download(f"{server.url}/f", tmp_path / "f", md5=MD5, session=session, patience=QUICK)
        assert path.read_bytes() == DATA
        assert server.body_bytes == len(DATA)
        assert [asked.headers.get("Range") for asked in server.asked] == [
            None,
            "bytes=1200000-",
            "bytes=1900000-",
        ]
        assert server.asked[1].headers["If-Range"] == server.etag("/f")


def test_a_changed_file_is_started_anew(tmp_path: Path, session: requests.Session) -> None:
    with FileServer({"/f": os.urandom(len(DATA))}, cuts=[1_000_000]) as server:
        with pytest.raises(RemoteError, match=r"body ended|broke"):
            download(f"{server.url}/f", tmp_path / "f", session=session, patience=Patience(tries=1))
        assert left(tmp_path) == ["f.part", "f.part.json"]
        server.files["/f"] = DATA
        download(f"{server.url}/f", tmp_path / "f", session=session)
    assert (tmp_path / "f").read_bytes() == DATA


@pytest.mark.parametrize("etags", [True, False])
def test_a_server_that_ignores_ranges_is_started_anew(
    tmp_path: Path, session: requests.Session, etags: bool
) -> None:
    with FileServer({"/f": DATA}, cuts=[1_000_000], ranges=False, etags=etags) as server:
        path = download(f"{server.url}/f", tmp_path / "f", session=session, md5=MD5, patience=QUICK)
    assert path.read_bytes() == DATA


def test_bytes_nobody_vouches_for_are_not_built_upon(
    tmp_path: Path, session: requests.Session
) -> None:
    with FileServer({"/f": DATA}, cuts=[1_100_000], etags=False) as server:
        download(f"{server.url}/f", tmp_path / "f", session=session, patience=QUICK)
        assert [asked.headers.get("Range") for asked in server.asked] == [None, None]
    assert (tmp_path / "f").read_bytes() == DATA


def test_another_process_that_was_killed_is_continued(
    tmp_path: Path, session: requests.Session
) -> None:
    code = (
        "import sys; from pathlib import Path; from stacbuild.net import http\n"
        "from stacbuild.net.download import download\n"
        "download(sys.argv[1], Path(sys.argv[2]), session=http.session())"
    )

    def slow(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.send_header("ETag", server.etag("/f"))
        handler.end_headers()
        handler.wfile.write(DATA[:1_500_000])
        handler.wfile.flush()
        handler.connection.recv(1)
        handler.close_connection = True
        return True

    part = tmp_path / "f.part"
    with FileServer({"/f": DATA}, faults=[slow]) as server:
        command = [sys.executable, "-c", code, f"{server.url}/f", str(tmp_path / "f")]
        with subprocess.Popen(command) as process:
            deadline = time.monotonic() + 60
            while not (part.exists() and part.stat().st_size >= 1_000_000):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        have = part.stat().st_size
        assert not (tmp_path / "f").exists()
        download(f"{server.url}/f", tmp_path / "f", md5=MD5, session=session)
        assert server.asked[-1].headers["Range"] == f"bytes={have}-"
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_wrong_md5_is_tried_twice_and_keeps_nothing(
    tmp_path: Path, session: requests.Session
) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with FileServer({"/f": DATA}) as server:
        with pytest.raises(IntegrityError, match=f"md5 {MD5} instead of {'0' * 32}"):
            download(f"{server.url}/f", tmp_path / "f", md5="0" * 32, session=session)
        assert len(server.asked) == 2
    assert left(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_wrong_md5_once_is_healed(tmp_path: Path, session: requests.Session) -> None:
    def flipped(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(bytes([DATA[0] ^ 1]) + DATA[1:])
        return True

    with FileServer({"/f": DATA}, faults=[flipped]) as server:
        download(f"{server.url}/f", tmp_path / "f", md5=MD5, session=session)
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_wrong_size_is_an_error(tmp_path: Path, session: requests.Session) -> None:
    with (
        FileServer({"/f": DATA}) as server,
        pytest.raises(IntegrityError, match="server has 3000000 bytes, but 5 are expected"),
    ):
        download(f"{server.url}/f", tmp_path / "f", size=5, session=session)


@pytest.mark.parametrize("count", [1, 3])
def test_a_stall_reconnects_within_its_budget(
    tmp_path: Path, session: requests.Session, count: int
) -> None:
    task = Notes()
    with FileServer({"/f": DATA}, faults=[stall] * count) as server:
        if count < QUICK.tries:
            download(f"{server.url}/f", tmp_path / "f", session=session, patience=QUICK, task=task)
            assert (tmp_path / "f").read_bytes() == DATA
            assert "resuming in" in task.notes[0]
        else:
            with pytest.raises(RemoteError, match=r"broke at 10 bytes.*, after 3 tries"):
                download(f"{server.url}/f", tmp_path / "f", session=session, patience=QUICK)


def test_a_trickle_reconnects(tmp_path: Path, session: requests.Session) -> None:
    def trickle(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.send_header("ETag", server.etag("/f"))
        handler.end_headers()
        try:
            for place in range(0, len(DATA), 100):
                handler.wfile.write(DATA[place : place + 100])
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            handler.close_connection = True
        return True

    task = Notes()
    with FileServer({"/f": DATA}, faults=[trickle]) as server:
        download(f"{server.url}/f", tmp_path / "f", session=session, patience=QUICK, task=task)
    assert (tmp_path / "f").read_bytes() == DATA
    assert "kB/s" in task.notes[0]


def test_a_page_or_a_missing_file_leaves_nothing(tmp_path: Path, session: requests.Session) -> None:
    with FileServer(faults=[page(200)]) as server:
        with pytest.raises(RemoteError, match="HTML page instead of a file"):
            download(f"{server.url}/f.tif", tmp_path / "f", session=session)
        with pytest.raises(NotFoundError, match=r"/f.tif: not found"):
            download(f"{server.url}/f.tif", tmp_path / "f", session=session)
    assert left(tmp_path) == []


@pytest.mark.parametrize("length", [None, len(DATA)])
def test_a_body_without_end_is_not_kept(
    tmp_path: Path, session: requests.Session, length: int | None
) -> None:
    sent = 0

    def endless(handler: Any) -> bool:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            while sent < 1 << 30:
                handler.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
                sent += 1 << 16
        return True

    with FileServer({"/f": DATA}, faults=[endless] * 9) as server:
        with pytest.raises(IntegrityError, match=r"sends more than \d+ bytes; nothing was kept"):
            download(f"{server.url}/f", tmp_path / "f", size=length or 10, session=session)
        assert len(server.asked) == 1
    assert sent < 1 << 26
    assert left(tmp_path) == []


def test_a_full_disk_is_foreseen(tmp_path: Path, session: requests.Session) -> None:
    def huge(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**17))
        handler.end_headers()
        handler.close_connection = True
        return True

    with (
        FileServer(faults=[huge]) as server,
        pytest.raises(LocalError, match=r"needs 100.0 PB for f, but only .*B are free"),
    ):
        download(f"{server.url}/f", tmp_path / "f", session=session)


def test_two_at_once_are_refused(tmp_path: Path, session: requests.Session) -> None:
    with (
        FileServer({"/f": DATA}) as server,
        FileLock(tmp_path / ".f.lock"),
        pytest.raises(LockedError, match="another run"),
    ):
        download(f"{server.url}/f", tmp_path / "f", session=session)
