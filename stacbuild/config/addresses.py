"""One spelling for each address of an object: server, bucket and key."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

S3_HOST = "s3.amazonaws.com"
# Servers of AWS, whose bucket is in the path, or before the server's name.
_REGIONAL = r"s3([.-][a-z0-9-]+|\.dualstack\.[a-z0-9-]+)?\.amazonaws\.com"
_AWS, _AWS_BUCKET = re.compile(_REGIONAL), re.compile(rf"(.+)\.{_REGIONAL}")

Address = tuple[str, tuple[str, ...]]
"""Server, and the parts of a key on it, bucket first."""


def server_of(url: str) -> str:
    """Return host and port of a URL: the same text for the same server.

    Names of buckets are unique among all regions of AWS, so that its servers are one.
    """
    split = urlsplit(url)
    host = (split.hostname or "").rstrip(".")
    if _AWS.fullmatch(host):
        return S3_HOST
    default = {"http": 80, "https": 443}.get(split.scheme)
    return host if split.port in (None, default) else f"{host}:{split.port}"


def address_of(url: str) -> Address:
    """Return the address that an http URL has if it leads into a bucket."""
    server, path = server_of(url), unquote(urlsplit(url).path)
    if of_bucket := _AWS_BUCKET.fullmatch(server):
        return S3_HOST, parts_of(f"{of_bucket[1]}/{path}")
    return server, parts_of(path)


def parts_of(path: str) -> tuple[str, ...]:
    """Return the parts of a key, bucket first."""
    return tuple(part for part in os.path.normpath(path).split("/") if part not in ("", "."))
