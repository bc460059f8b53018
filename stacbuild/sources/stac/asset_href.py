"""The address at which an asset of a foreign item is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from stacbuild.errors import AuthError, IntegrityError, StacbuildError
from stacbuild.net.hrefs import is_relative_path
from stacbuild.net.signing import SERVICE, container_of
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.reader import Reader

Json = dict[str, Any]


def may_be_read(asset: Json) -> bool:
    """Return whether an href of an asset has a scheme that is read."""
    known = ("/", "http:", "https:", "s3:", "file:")
    return any(is_relative_path(href) or href.startswith(known) for href in _hrefs(asset))


def resolve_href(reader: Reader, found: Found, asset: Json) -> tuple[str, str | None]:
    """Return the href of an asset, and its ``s3://`` URL if it is read there with credentials.

    That is https or a file if there is any, else S3, unless the store reads S3 first. A signature
    in an href that is signed anyway when it is read is removed.

    Raises
    ------
    IntegrityError, StacbuildError
        It has no href, or none that is allowed.
    AuthError
        Its provider wants keys, and the store has none.
    """
    refused: StacbuildError | None = None
    store, hrefs = reader.store, list(_hrefs(asset))
    s3 = next((href for href in hrefs if href.startswith("s3://")), None)
    if s3 is not None and store.lacks_keys:
        raise AuthError(
            f"{found.id}: {s3}: {store.provider.title} wants keys; {store.provider.keys}"
        )
    on_s3 = s3 if store.is_s3_first else None
    for href in hrefs:
        if href.startswith("s3://"):
            on_s3 = on_s3 or href
            continue
        try:
            whole = reader.resolve_asset(found.location, href)
        except IntegrityError as error:
            refused = refused or error
            continue
        plain = whole.partition("?")[0]
        if container_of(plain, store.https_options.get(SERVICE, "")):
            whole = plain
        if urlsplit(whole).query and "://" in whole:
            refused = refused or StacbuildError(
                f"{found.id}: its address holds a query, which may be a signature that expires; "
                "name a store that needs none, or the catalog's s3:// addresses and credentials"
            )
        elif store.anonymous or on_s3 is None:
            return whole, None
    if on_s3 is None:
        raise refused or IntegrityError(f"{found.id}: its asset has no address")
    url = f"{store.endpoint_url}/{quote(on_s3.removeprefix('s3://'))}"
    reader.resolve(found.location, url)
    if not store.anonymous:
        return url, reader.resolve(found.location, on_s3)
    return url, None


def _hrefs(asset: Json) -> Iterator[str]:
    alternates = asset.get("alternate")
    others = alternates.values() if isinstance(alternates, dict) else ()
    for each in (asset, *others):
        if isinstance(each, dict) and isinstance(each.get("href"), str):
            yield each["href"]
