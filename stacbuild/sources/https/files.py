"""Listing of the files that a data id matches on a web server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from stacbuild import progress
from stacbuild.errors import NotFoundError
from stacbuild.net.http import session
from stacbuild.net.index import list_index
from stacbuild.sources.https.store import HttpsStore
from stacbuild.sources.matching import Found, Listing


def listing_of(store: HttpsStore) -> Listing:
    """Return the listing of a web server, requested when it is used; lists need none."""

    def list_folder(path: str) -> Iterator[Found]:
        url = f"{store.root}/{quote(path)}" if path else store.root
        with session(progress.current().say) as http:
            try:
                names = list_index(http, url)
            except NotFoundError:
                if not path:
                    raise
                return
        for name, is_folder in names.items():
            yield Found(f"{path}/{name}".strip("/"), is_folder)

    return Listing(store.key, list_folder, checked=False)
