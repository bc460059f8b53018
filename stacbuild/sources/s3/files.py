"""Listing of the files that a data id matches in a bucket."""

from __future__ import annotations

from collections.abc import Iterator

from stacbuild.errors import MissingError
from stacbuild.formats.zarr_errors import read_error
from stacbuild.net.versions import version_text
from stacbuild.sources.matching import Found, Listing
from stacbuild.sources.s3.store import S3Store


def listing_of(store: S3Store) -> Listing:
    """Return the listing of a bucket or prefix, requested when it is used; lists need none."""
    # Imported when used: it takes a third of a second.
    from stacbuild.formats.s3_system import S3FileSystem

    options = store.storage_options

    def list_folder(path: str) -> Iterator[Found]:
        where = f"{store.root}/{path}".rstrip("/")
        system = S3FileSystem(use_listings_cache=False, **options)
        try:
            found = system.ls(where, detail=True)
        except FileNotFoundError:
            if not path:
                raise MissingError(f"s3://{where}: there is no such folder; check root") from None
            return
        except Exception as error:
            raise read_error(error, f"s3://{where}", options) from error
        for each in found:
            name = each["name"].rstrip("/").rpartition("/")[2]
            if each["name"].rstrip("/") != where:
                yield Found(
                    f"{path}/{name}".strip("/"),
                    each["type"] == "directory",
                    version=version_text(each.get("ETag"), None),
                )

    return Listing(f"s3://{store.root}", list_folder, checked=False)
