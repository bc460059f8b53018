"""Names that lead elsewhere for the connection than for the check (DNS rebinding)."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from typing import Any

import pytest

from stacbuild.errors import RemoteError, StacbuildError
from stacbuild.formats.zarr_store import open_group
from stacbuild.net import http
from stacbuild.net.hrefs import leads_inwards
from tests.support.file_server import FileServer, redirect

Answers = Callable[..., None]

# Each test has names of its own: what was looked up is remembered for the whole process.
_NUMBERS = itertools.count()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """A name server that gives a name one address after the other, the last one for ever."""
    known: dict[str, list[str]] = {}
    system = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not (addresses := known.get(name)):
            return system(host, port, *args, **kwargs)
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        if not address:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port or 0)))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return lambda name, *addresses: known.update({name: list(addresses)})


@pytest.fixture
def name() -> str:
    return f"rebound-{next(_NUMBERS)}.example.org"


@pytest.mark.parametrize("first", ["1.1.1.1", ""])
@pytest.mark.parametrize("client", ["requests", "zarr"])
def test_a_name_that_leads_inwards_after_the_check(
    answers: Answers, name: str, client: str, first: str
) -> None:
    answers(name, first, "127.0.0.1")
    with FileServer({"/a": b"{}", "/a.zarr/zarr.json": b"{}"}) as server:
        url = f"http://{name}:{server.url.rpartition(':')[2]}"
        assert not leads_inwards("https://1.1.1.1", url)
        with (
            http.session() as session,
            pytest.raises(StacbuildError, match="an address of a private network now"),
        ):
            open_group(f"{url}/a.zarr") if client == "zarr" else http.get_json(session, f"{url}/a")
        assert server.asked == []
        # What was an outage for a moment is mended by the next check.
        assert leads_inwards("https://1.1.1.1", url)


def test_a_redirect_to_a_name_that_leads_inwards_after_the_check(
    answers: Answers, name: str
) -> None:
    with FileServer({"/b": b"1"}) as inner:
        target = f"http://{name}:{inner.url.rpartition(':')[2]}/b"
        answers(name, "1.1.1.1", "127.0.0.1")
        with (
            FileServer(faults=[redirect(target)]) as server,
            http.session() as session,
            pytest.raises(RemoteError, match="refused"),
        ):
            http.get_json(session, f"{server.url}/a")
        assert inner.asked == []


def test_a_name_of_the_configuration_may_lead_inwards(answers: Answers, name: str) -> None:
    answers(name, "127.0.0.1")
    with FileServer({"/a": b"1"}) as server, http.session() as session:
        url = f"http://{name}:{server.url.rpartition(':')[2]}/a"
        assert http.get_json(session, url) == 1
        assert leads_inwards(url, url) is False
