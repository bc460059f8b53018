"""Listing of a folder on a web server, from the HTML page that servers generate for it."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import requests

from stacbuild.errors import RemoteError, StacbuildError
from stacbuild.net.http import public_url, reason, send

# Of a page: that of a folder of 100 000 files.
_MOST_BYTES = 32 * 2**20


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
        The request fails, or the page is larger than 32 MB.
    """
    folder = f"{url.rstrip('/')}/"
    advice = "name files in a list, data_id: [a.tif, b.tif]"
    with send(session, "GET", folder, headers={"Accept": "text/html"}, stream=True) as response:
        if "html" not in response.headers.get("Content-Type", "").lower():
            raise StacbuildError(
                f"{public_url(folder)}: the server does not list this folder as a page; {advice}"
            )
        body = bytearray()
        try:
            for part in response.iter_content(1 << 16):
                body += part
                if len(body) > _MOST_BYTES:
                    raise RemoteError(
                        f"{public_url(folder)}: the list of files has more than 32 MB; {advice}"
                    )
        except (requests.RequestException, OSError) as error:
            raise RemoteError(f"{public_url(folder)}: {reason(error)}") from error
        base, text = response.url, body.decode(response.encoding or "utf-8", errors="replace")
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
