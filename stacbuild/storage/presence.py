"""Whether a cube still is where its item says; only what is soon seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.errors import RemoteError
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.formats import whole
from stacbuild.storage.journal import Journal
from stacbuild.storage.ownership import ATTRIBUTE, attribute_of

if TYPE_CHECKING:
    import pystac

    from stacbuild.sources.s3.store import S3Store
    from stacbuild.storage.ownership import Place


def absence(place: Place, before: pystac.Item) -> list[str]:
    """Return why a cube has to be built again, whatever it is made of; nothing if it does not."""
    storage, href = place.storage, whole(before).href
    if isinstance(storage, MemoryStore):
        return ["in memory only"]
    if isinstance(storage, FileStore):
        if Path(before.assets["data"].href) != place.data_path:
            return ["its place changed"]
        if Path(href).is_symlink():
            return ["its place is a symbolic link"]
        if href.endswith(".nc"):
            # Its attributes would take a library to read that takes longer than all else here.
            size = _size(Path(href))
            if size not in (None, before.assets["data"].extra_fields.get("file:size")):
                return ["the cube is not that of its item"]
            said = None if size is None else before.properties.get(FINGERPRINT)
        else:
            said = attribute_of(Path(href), ATTRIBUTE)
        if said is None:
            return ["the cube is gone"]
        if said != before.properties.get(FINGERPRINT):
            return ["the cube is not that of its item"]
    else:
        if not href.startswith(storage.https_url("")):
            return ["its place changed"]
        if not _is_in_bucket(storage, href.removeprefix(storage.https_url("")).strip("/")):
            return ["the cube is gone"]
    journal = Journal.read(place.journal)
    if journal is not None and (journal.committing or journal.removing) and not journal.done:
        return [
            "the run that removed it did not end"
            if journal.removing
            else "the run that made it did not end"
        ]
    return []


def written_before(place: Place) -> int:
    """Return the bytes that an earlier run wrote of a cube; its place takes them up again."""
    if not isinstance(place.storage, FileStore):
        return 0
    journal = Journal.read(place.journal)
    finished = journal.finished.values() if journal else ()
    return sum(max(size, 0) for regions in finished for size in regions.values())


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_in_bucket(storage: S3Store, name: str) -> bool:
    import s3fs
    from botocore.exceptions import BotoCoreError

    fs = s3fs.S3FileSystem(**storage.storage_options, use_listings_cache=False)
    path = f"{storage.root}/{name}"
    try:
        return bool(fs.exists(f"{path}/zarr.json") or fs.exists(f"{path}/.zgroup"))
    except (OSError, BotoCoreError) as error:
        raise RemoteError(f"{storage.s3_url(name)}: cannot be asked for: {error}") from error
