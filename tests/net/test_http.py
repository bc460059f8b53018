from __future__ import annotations

import pytest
import requests

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net import http
from tests.standins.server import LoopbackServer, Request, Response
from tests.support.file_server import FileServer, page, redirect


def test_json_is_parsed() -> None:
    with FileServer({"/a": b'{"b": 1}'}) as server, http.session() as session:
        assert http.get_json(session, f"{server.url}/a") == {"b": 1}
    assert server.asked[0].headers["User-Agent"].startswith("stacbuild/")


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFoundError), (410, NotFoundError), (401, AuthError), (403, RemoteError)],
)
def test_a_refusal_is_named_at_once(status: int, error: type[Exception]) -> None:
    with FileServer(faults=[page(status)]) as server, http.session() as session:
        with pytest.raises(error, match=rf"^{server.url}/a: .*{status}"):
            http.get_json(session, f"{server.url}/a?key=canary")
        assert len(server.asked) == 1


def test_a_page_where_json_was_due_is_named() -> None:
    with (
        FileServer(faults=[page(200)]) as server,
        http.session() as session,
        pytest.raises(RemoteError, match="HTML page instead of JSON"),
    ):
        http.get_json(session, f"{server.url}/a")


def test_what_is_not_json_is_named() -> None:
    with (
        FileServer({"/a": b"II*\0"}) as server,
        http.session() as session,
        pytest.raises(RemoteError, match="not JSON"),
    ):
        http.get_json(session, f"{server.url}/a")


@pytest.mark.parametrize("searches", [True, False])
def test_only_posts_that_search_are_repeated(searches: bool) -> None:
    class Busy(LoopbackServer):
        def respond(self, request: Request) -> Response:
            return Response(200, request.body)

    with Busy() as server, http.session(backoff=0.001, searches=searches) as session:
        server.fail("/search", status=429, headers={"Retry-After": "0"})
        if searches:
            answer = http.send(session, "POST", f"{server.url}/search", json={"limit": 1})
            assert answer.json() == {"limit": 1}
        else:
            with pytest.raises(RemoteError, match="429"):
                http.send(session, "POST", f"{server.url}/search", json={"limit": 1})
        assert server.requests == 1 + searches


def test_429_and_5xx_are_waited_for_and_said() -> None:
    told: list[str] = []
    faults = [page(429, Retry_After="0"), page(503), page(500)]
    with (
        FileServer({"/a": b"1"}, faults=faults) as server,
        http.session(told.append, backoff=0.001) as session,
    ):
        assert http.get_json(session, f"{server.url}/a") == 1
    assert [line.split(";")[0] for line in told] == [
        "127.0.0.1 answers 429 Too Many Requests",
        "127.0.0.1 answers 503 Service Unavailable",
        "127.0.0.1 answers 500 Internal Server Error",
    ]


def test_5xx_for_ever_ends_with_the_budget() -> None:
    with FileServer(faults=[page(503)] * 9) as server:
        with (
            http.session(tries=3, backoff=0.001) as session,
            pytest.raises(RemoteError, match="503 Service Unavailable"),
        ):
            http.get_json(session, f"{server.url}/a")
        assert len(server.asked) == 3


def test_a_wait_of_hours_is_refused() -> None:
    with (
        FileServer(faults=[page(429, Retry_After="86400")]) as server,
        http.session() as session,
        pytest.raises(RemoteError, match=r"asks to wait \d+ s; try again then"),
    ):
        http.get_json(session, f"{server.url}/a")


def test_no_server_is_named_without_the_query() -> None:
    with FileServer() as server:
        url = f"{server.url}/a?signature=canary"
    with (
        http.session(tries=2, backoff=0.001) as session,
        pytest.raises(RemoteError, match="/a: no connection") as caught,
    ):
        http.get_json(session, url)
    assert "canary" not in str(caught.value)


def test_authorization_does_not_follow_to_another_host() -> None:
    with FileServer({"/b": b"1"}) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with FileServer(faults=[redirect(f"{elsewhere}/b")]) as server, http.session() as session:
            headers = {"Authorization": "Bearer canary"}
            assert http.get_json(session, f"{server.url}/a", headers=headers) == 1
    assert server.asked[0].headers["Authorization"] == "Bearer canary"
    assert "Authorization" not in other.asked[0].headers


def test_a_redirect_leaves_the_web_nowhere() -> None:
    with (
        FileServer(faults=[redirect("file:///etc/passwd")]) as server,
        http.session() as session,
        pytest.raises(RemoteError, match="redirects from http to file, which is refused"),
    ):
        http.get_json(session, f"{server.url}/a")


def test_a_content_range_of_thousands_of_digits() -> None:
    answer = requests.Response()
    for stated in (f"bytes {'9' * 5000}-1/2", f"bytes 0-1/{'9' * 5000}"):
        answer.headers["Content-Range"] = stated
        assert http.content_range(answer) is None
    answer.headers["Content-Range"] = "bytes 5-9/10"
    assert http.content_range(answer) == (5, 10)
