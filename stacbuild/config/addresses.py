"""Canonical addresses of objects: server, bucket and key."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

S3_HOST = "s3.amazonaws.com"
# Endpoints of AWS; the bucket is in the path, or the first part of the host name.
_REGIONAL = r"s3([.-][a-z0-9-]+|\.dualstack\.[a-z0-9-]+)?\.amazonaws\.com"
_AWS, _AWS_BUCKET = re.compile(_REGIONAL), re.compile(rf"(.+)\.{_REGIONAL}")

Address = tuple[str, tuple[str, ...]]
"""Server, then bucket and key split at slashes."""


def server_of(url: str) -> str:
    """Return host and port of a URL, without a default port.

    Bucket names are unique across the regions of AWS, so all its endpoints count as one server.
    """
    split = urlsplit(url)
    host = (split.hostname or "").rstrip(".")
    if _AWS.fullmatch(host):
        return S3_HOST
    default = {"http": 80, "https": 443}.get(split.scheme)
    return host if split.port in (None, default) else f"{host}:{split.port}"


def address_of(url: str) -> Address:
    """Return server, bucket and key of an http URL, read as the URL of an object."""
    server, path = server_of(url), unquote(urlsplit(url).path)
    if of_bucket := _AWS_BUCKET.fullmatch(server):
        return S3_HOST, parts_of(f"{of_bucket[1]}/{path}")
    return server, parts_of(path)


def parts_of(path: str) -> tuple[str, ...]:
    """Return the parts of a path that begins with the bucket, normalized."""
    return tuple(part for part in os.path.normpath(path).split("/") if part not in ("", "."))
