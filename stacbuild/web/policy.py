"""The Content-Security-Policy of the pages of STAC Browser.

Its links lead where the catalog says, which may come from a third party: an href such as
``javascript:...`` would otherwise run with the rights of the page, which can read all files that
are served.
"""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
from urllib.parse import urlsplit


def content_policy(page: bytes) -> str:
    """Return the Content-Security-Policy (W3C, level 3) of an HTML page.

    Only the scripts that the page itself has run: files of this server, its inline scripts (by
    their digests), and those of other hosts if it loads them, as the user's own build of STAC
    Browser may. No script runs from a link, an attribute or inserted HTML.

    Images, styles and requests are not restricted, since a catalog may refer to any host. ``eval``
    is allowed: STAC Browser compiles JSON schemas with it when it validates an item, and decoders
    of rasters are WebAssembly.
    """
    found = _Scripts()
    found.feed(page.decode("utf-8", errors="replace"))
    found.close()
    sources = dict.fromkeys(["'self'", "'unsafe-eval'", *found.sources])
    return "; ".join(
        [
            f"script-src {' '.join(sources)}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
        ]
    )


class _Scripts(HTMLParser):
    """Collects the scripts of a page, as sources of ``script-src``."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self._inline: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "script":
            return
        src = dict(attrs).get("src")
        if src is None:
            self._inline = []
        elif (url := urlsplit(src)).netloc:
            self.sources.append(f"{url.scheme}://{url.netloc}" if url.scheme else url.netloc)

    def handle_data(self, data: str) -> None:
        if self._inline is not None:
            self._inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._inline is not None:
            # Browsers normalize line ends before they compute the digest.
            text = "".join(self._inline).replace("\r\n", "\n").replace("\r", "\n")
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            self.sources.append(f"'sha256-{digest}'")
            self._inline = None
