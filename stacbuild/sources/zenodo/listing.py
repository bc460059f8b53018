"""Listing of a Zenodo record."""

from __future__ import annotations

from collections.abc import Iterator

from stacbuild import progress
from stacbuild.formats import archive
from stacbuild.formats.file_format import format_of
from stacbuild.net import http
from stacbuild.net.ranges import RangeFile
from stacbuild.sources.listing_base import Entry, matches, matches_inside
from stacbuild.sources.zenodo.collection import is_data
from stacbuild.sources.zenodo.files import member_path
from stacbuild.sources.zenodo.harvest import Token
from stacbuild.sources.zenodo.record import fetch_record
from stacbuild.sources.zenodo.store import ZenodoStore


def entries(store: ZenodoStore, match: str | None) -> Iterator[Entry]:
    """Yield the data and archives of a record, and members of a zip if *match* is for them."""
    with http.session(progress.current().say, kind="zenodo") as session:
        session.auth = Token(store.api, store.access_token)
        for file in fetch_record(session, store.api, store.record).files:
            folder = archive.stem(file.key)
            if folder is None:
                if is_data(file.key) and matches(file.key, match):
                    yield Entry(file.key, str(format_of(file.key)), file.size)
                continue
            kind = f"{file.key[len(folder) + 1 :]} archive"
            if not matches_inside(folder, match):
                if matches(folder, match) or matches(f"{folder}/", match):
                    yield Entry(f"{folder}/", kind, file.size)
            elif not file.key.lower().endswith(".zip"):
                # Only a zip has a table of contents that can be read without the rest.
                progress.say(f"{file.key}: its members are known once it is preloaded")
                yield Entry(f"{folder}/", kind, file.size)
            else:
                with RangeFile(file.url, session, file.size) as remote:
                    for member in archive.members(remote, file.url):
                        data_id = member_path(folder, member.name)
                        if is_data(member.name) and matches(data_id, match):
                            kind = str(format_of(member.name))
                            yield Entry(data_id, f"{kind} in a zip", member.size)
