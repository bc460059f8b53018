"""What tests of the web part share: a served catalog, and a client that hides nothing."""

from __future__ import annotations

import http.client
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.cli import command


@contextmanager
def running(
    *words: object, through: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``stacbuild serve`` or ``browse``; give the process and the first line it prints.

    ``through`` is a command to run it with, instead of the usual one.
    """
    process = subprocess.Popen(
        [*through, *map(str, words)] if through else command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, (process.returncode, out, err)
        assert "Traceback" not in err


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(url: str, path: str | None = None, method: str = "GET", **headers: str) -> Answer:
    """Send one request, its path as it is written: no client tidies it up first."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        host = {"Host": headers.pop("Host", parts.netloc)}
        connection.putrequest(method, path or parts.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (host | headers).items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        got = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, got, response.read())
    finally:
        connection.close()


def folder(url: str) -> str:
    """Return the path of the folder that a URL lies in."""
    return str(Path(urlsplit(url).path).parent)
