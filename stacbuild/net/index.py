"""Listing of a folder on a web server, from the HTML page that servers generate for it."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import requests

from stacbuild.errors import StacbuildError
from stacbuild.net.http import public_url, read_bounded, send


def list_index(session: requests.Session, url: str) -> dict[str, bool]:
    """Return the names in a folder, and whether each is a folder.

    Parameters
    ----------
    url
        URL of the folder, without query.

    Raises
    ------
    NotFoundError
        There is no such folder.
    StacbuildError
        The server does not list it.
    AuthError, RemoteError
        The request fails, or the page is larger than 32 MB or trickles.
    """
    folder = f"{url.rstrip('/')}/"
    advice = "name files in a list, data_id: [a.tif, b.tif]"
    with send(session, "GET", folder, headers={"Accept": "text/html"}, stream=True) as response:
        if "html" not in response.headers.get("Content-Type", "").lower():
            raise StacbuildError(
                f"{public_url(folder)}: the server does not list this folder as a page; {advice}"
            )
        body = read_bounded(response, f"a list of files; {advice}")
        base = response.url
        try:
            text = body.decode(response.encoding or "utf-8", errors="replace")
        except LookupError:
            text = body.decode(errors="replace")
    page = _Links()
    page.feed(text)
    found: dict[str, bool] = {}
    top = urlsplit(base)
    for href in page.hrefs:
        try:
            at = urlsplit(urljoin(base, href))
        except ValueError:
            continue
        # Links to parents, other servers and other orders of the same list are no files.
        if at[:2] != top[:2] or at.query or not at.path.startswith(top.path):
            continue
        name, slash, rest = at.path[len(top.path) :].partition("/")
        plain = unquote(name)
        if plain and not rest and "/" not in plain and plain not in (".", ".."):
            found[plain] = bool(slash)
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for key, value in attrs if key == "href" and value]
