from __future__ import annotations

import io
import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from stacbuild.errors import NotFoundError, RemoteError
from stacbuild.net import http
from stacbuild.net.pages import AHEAD, PAGE, PagedFile, Pages
from stacbuild.net.ranges import RangeFile
from stacbuild.net.speed import Patience
from tests.support.file_server import FileServer, page

DATA = os.urandom(40 * AHEAD + 123)
QUICK = Patience(tries=3, pause=0.001, seconds=0.3)


def test_it_reads_like_a_file_and_nothing_twice() -> None:
    with FileServer({"/f": DATA}) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session)
        expected = io.BytesIO(DATA)
        assert file.size == len(DATA)
        for offset, whence, count in [
            (0, 0, 10), (PAGE - 5, 0, 10), (3, 1, 3 * PAGE), (-100, 2, 200), (5 * PAGE, 0, 0),
            (len(DATA) + 5, 0, 1), (0, 0, -1),
        ]:  # fmt: skip
            assert file.seek(offset, whence) == expected.seek(offset, whence)
            assert file.read(count) == expected.read(count)
            assert file.tell() == expected.tell()
        assert file.bytes_read == server.body_bytes == len(DATA)


def test_a_known_size_needs_no_request_to_open() -> None:
    with FileServer({"/f": DATA}) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session, size=len(DATA))
        assert (file.requests, server.asked) == (0, [])


def test_spans_that_lie_close_are_one_request() -> None:
    with FileServer({"/f": DATA}) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session, size=len(DATA))
        near = [
            (AHEAD + 10, AHEAD + 20),
            (2 * AHEAD - 10, 2 * AHEAD + 20),
            (3 * AHEAD - 9, 5 * AHEAD),
        ]
        file.pages.prefetch([*near, (30 * AHEAD, 30 * AHEAD + 1)])
        assert file.requests == 2
        file.seek(AHEAD)
        assert file.read(4 * AHEAD) == DATA[AHEAD : 5 * AHEAD]
        assert file.requests == 2


def test_what_is_announced_is_fetched_to_the_page() -> None:
    with FileServer({"/f": DATA}) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session, size=len(DATA))
        file.pages.prefetch([(AHEAD + 10, AHEAD + 20), (20 * AHEAD, 21 * AHEAD)])
        assert server.body_bytes == PAGE + AHEAD


def test_threads_share_pages_and_none_comes_twice() -> None:
    with FileServer({"/f": DATA}) as server, http.session() as session:
        pages = RangeFile(f"{server.url}/f", session).pages

        def read(start: int) -> bool:
            file = PagedFile(pages)
            file.seek(start * 1000)
            return file.read(9 * PAGE) == DATA[start * 1000 : start * 1000 + 9 * PAGE]

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(60)))
        assert server.body_bytes <= len(DATA)


def test_nothing_is_fetched_twice_however_it_is_asked_for() -> None:
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        fetched.append((start, stop))
        return DATA[start:stop]

    pages = Pages("f", fetch, len(DATA))
    pages.prefetch([(3 * PAGE, 4 * PAGE), (40 * PAGE, 41 * PAGE)])
    assert pages.read(0, 45 * PAGE) == DATA[: 45 * PAGE]
    pages.prefetch([(0, 60 * PAGE)])
    assert pages.read(2 * PAGE + 7, 60 * PAGE - 3) == DATA[2 * PAGE + 7 : 60 * PAGE - 3]
    assert sum(stop - start for start, stop in fetched) == len(
        set().union(*(range(*span) for span in fetched))
    )


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    entered, go = threading.Event(), threading.Event()
    broken = [True]

    def fetch(start: int, stop: int) -> bytes:
        entered.set()
        go.wait()
        if broken:
            raise RemoteError("f: gone")
        return DATA[start:stop]

    pages = Pages("f", fetch, len(DATA))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(pages.read, 0, 10)
        entered.wait()
        second = pool.submit(pages.read, 5, 10)
        go.set()
        for future in (first, second):
            with pytest.raises(RemoteError, match="gone"):
                future.result()
    broken.clear()
    assert pages.read(0, 10) == DATA[:10]


def test_a_cut_body_is_completed() -> None:
    with (
        FileServer({"/f": DATA}, cuts=[PAGE, 3 * PAGE + 7, 11]) as server,
        http.session() as session,
    ):
        file = RangeFile(f"{server.url}/f", session, patience=QUICK)
        assert file.read() == DATA
        assert file.bytes_read == len(DATA)


def test_bodies_cut_for_ever_are_an_error() -> None:
    with FileServer({"/f": DATA}, cuts=[PAGE, *[5] * 9]) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session, patience=QUICK)
        with pytest.raises(RemoteError, match=r"/f: bytes .* are incomplete after 3 tries"):
            file.read()


def test_what_is_not_there_or_no_file_is_named() -> None:
    with FileServer(faults=[page(404), page(200)]) as server, http.session() as session:
        with pytest.raises(NotFoundError, match="/f: not found"):
            RangeFile(f"{server.url}/f", session)
        with pytest.raises(RemoteError, match="HTML page"):
            RangeFile(f"{server.url}/f", session)


def test_a_server_without_ranges_is_not_read_whole() -> None:
    with (
        FileServer({"/f": DATA}, ranges=False) as server,
        http.session() as session,
        pytest.raises(RemoteError, match="no ranges, which are parts of a file; download"),
    ):
        RangeFile(f"{server.url}/f", session)


def test_a_file_that_changes_meanwhile_is_an_error() -> None:
    with FileServer({"/f": DATA}) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session)
        server.files["/f"] = DATA[::-1]
        with pytest.raises(RemoteError, match="changed while it was read"):
            file.read()


def test_a_zip_is_listed_in_few_requests() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in "abc":
            archive.writestr(name, os.urandom(10 * PAGE))
    with FileServer({"/f": packed.getvalue()}) as server, http.session() as session:
        file = RangeFile(f"{server.url}/f", session)
        with zipfile.ZipFile(file) as archive:
            assert archive.namelist() == ["a", "b", "c"]
        assert file.requests <= 3
