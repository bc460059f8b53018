"""Opening of Zarr stores for reading, from the href of an asset.

An href is an absolute local path, an ``http(s)://`` or ``s3://`` URL, or ``memory://`` (the
memory file system of fsspec). Zarr formats 2 and 3 are read, with or without consolidated
metadata. Everything is opened read-only, and every failure is an error of `stacbuild.errors`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import xarray as xr
import zarr
import zarr.errors
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.zip import ZipFileSystem
from zarr.storage import FsspecStore, LocalStore

from stacbuild.errors import (
    IntegrityError,
    NotFoundError,
    StacbuildError,
)
from stacbuild.formats.array_store import ArrayStore, attach, open_store
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.zarr_ahead import coordinates_ahead
from stacbuild.formats.zarr_bounds import BoundedStore
from stacbuild.formats.zarr_decode import decoded
from stacbuild.formats.zarr_errors import (
    MISSING,
    REFUSED,
    is_no_group,
    not_found,
    read_error,
    where_of,
)
from stacbuild.formats.zarr_listed import has_arrays
from stacbuild.formats.zarr_members import (
    PartStore,
    format_of,
    groups_of,
    hidden_of,
    holds_array,
    inherited,
    is_name,
    mended,
)
from stacbuild.formats.zarr_reused import ReusedStore, reuse
from stacbuild.formats.zarr_values import damaged_index, naming
from stacbuild.net.hrefs import check_form, is_local
from stacbuild.net.speed import Patience

if TYPE_CHECKING:
    from zarr.abc.store import Store

MEDIA_TYPE = "application/vnd.zarr"

HIDDEN = "stacbuild:hidden"
"""Key in the ``encoding`` of a source's dataset: arrays that it was opened without, and why."""

NOTES = "stacbuild:notes"
"""Key in the ``encoding`` of a source's dataset: attributes left out, as texts after "its"."""

Json = dict[str, Any]
Chunks = Literal["auto"] | dict[str, int] | None

_PATIENCE = Patience(tries=5)


def open_group(href: str, storage_options: Json | None = None) -> zarr.Group:
    """Open the Zarr group at *href*, read-only.

    Parameters
    ----------
    href
        Absolute local path, ``http(s)://``, ``s3://`` or ``memory://`` URL of a group.
    storage_options
        Arguments of s3fs for ``s3://``, never shown. They are not used for other hrefs, so that no
        credentials are sent to the https URL of a store on S3.

    Returns
    -------
    zarr.Group
        ``group.metadata.zarr_format`` is 2 or 3, ``group.metadata.consolidated_metadata`` is None
        if the store has none; ``group.store`` is the store at *href* itself.

    Raises
    ------
    NotFoundError
        There is no Zarr group, or (plain http without consolidated metadata) its members cannot
        be listed.
    MissingError
        There is no such local group.
    AuthError
        Credentials are missing or refused.
    RemoteError, LocalError
        The server or the disk does not answer.
    IntegrityError
        The metadata are not those of Zarr.
    """
    if not href.startswith("memory://"):
        check_form(href)
    try:
        if (file := open_store(href, storage_options)) is not None:
            return _of_file(file, href)
        try:
            group = _open(href, storage_options)
            listed = is_consolidated(group) or _lists(group)
        except Exception as error:
            # zarr cannot open a group if it cannot read one of its arrays.
            if not isinstance(read_error(error, href), IntegrityError):
                raise
            group, listed = _mended(href, storage_options, error), True
        if not listed:
            found = _inherited(href, storage_options)
            if found is None:
                refuse_groups_only(group, href)
                raise not_found(
                    href,
                    f"has no consolidated metadata and {_why_unlisted(href)}; run zarr."
                    "consolidate_metadata on it, or name it by an address that can be listed",
                )
            group = found
    except StacbuildError:
        raise
    except Exception as error:
        raise read_error(error, href, storage_options) from error
    return group


def _of_file(file: ArrayStore, href: str) -> zarr.Group:
    group = zarr.open_group(file, mode="r", zarr_format=3)
    if not file.has_data:
        refuse_groups_only(group, href)
        if file.hidden:
            why = "; ".join(f"{name} {each.reason}" for name, each in [*file.hidden.items()][:5])
            raise IntegrityError(f"{href}: none of its arrays can be read: {why}")
        if not _lists(group):
            raise IntegrityError(f"{href}: holds no arrays; check the file")
    return group


def is_consolidated(group: zarr.Group) -> bool:
    """Return whether *group* was opened from consolidated metadata."""
    return group.metadata.consolidated_metadata is not None


def open_dataset(
    href: str,
    storage_options: Json | None = None,
    *,
    chunks: Chunks = None,
    mask_and_scale: bool = False,
    **options: Any,
) -> xr.Dataset:
    """Open the Zarr group at *href* as a dataset; only metadata and index coordinates are read.

    Parameters
    ----------
    href, storage_options
        As for `open_group`.
    chunks
        None for lazily indexed arrays without dask, ``{}`` for dask arrays in the store's chunks.
    mask_and_scale
        Whether xarray applies fill value, scale and offset; by default types are not changed.
    options
        Further arguments of `xarray.open_zarr`.

    Raises
    ------
    StacbuildError
        As `open_group`, and IntegrityError if the group is not a dataset that CF can decode.
    """
    return dataset_of(
        open_group(href, storage_options),
        href,
        storage_options,
        chunks=chunks,
        mask_and_scale=mask_and_scale,
        **options,
    )


def dataset_of(
    group: zarr.Group,
    href: str,
    storage_options: Json | None = None,
    *,
    chunks: Chunks = None,
    mask_and_scale: bool = False,
    **options: Any,
) -> xr.Dataset:
    """Return *group*, opened from *href* by `open_group`, as a dataset; see `open_dataset`."""
    try:
        with coordinates_ahead(group):
            dataset: xr.Dataset = xr.open_zarr(
                group.store,
                consolidated=is_consolidated(group),
                zarr_format=group.metadata.zarr_format,
                chunks=chunks,
                mask_and_scale=mask_and_scale,
                # "days" or "years" is the unit of an age far more often than of a time difference.
                **{"decode_timedelta": False, **options},
            )
    except Exception as error:
        failure = read_error(error, href, storage_options)
        if isinstance(failure, IntegrityError) and (damage := damaged_index(group)):
            failure = IntegrityError(f"{where_of(href, storage_options)}: {damage}")
        raise failure from error
    return dataset


def open_source(href: str, storage_options: Json | None = None) -> xr.Dataset:
    """Open a foreign group as `source_of`, to be read in windows; errors as `open_dataset`."""
    group = open_group(href, storage_options)
    reuse(group.store)
    return source_of(group, href, storage_options)


def source_of(group: zarr.Group, href: str, storage_options: Json | None = None) -> xr.Dataset:
    """Return *group*, opened from *href* by `open_group`, as a lazy dataset of a source.

    Only coordinates are decoded, by `stacbuild.formats.zarr_decode.decoded`.
    """
    # Without decode_times=False dates in data would be decoded, too.
    try:
        raw = dataset_of(group, href, storage_options, decode_times=False)
        if not all(map(is_name, raw.sizes)):
            raise IntegrityError(f"{href}: not every dimension has a name")
    except IntegrityError as error:
        if isinstance(group.store, ArrayStore):
            raise
        # xarray cannot open some groups that zarr can.
        group = _mended(href, storage_options, error)
        raw = dataset_of(group, href, storage_options, decode_times=False)
    if not raw.variables:
        refuse_groups_only(group, href)
    with naming(href):
        found = decoded(raw, group.metadata.zarr_format)
    store = group.store
    found.encoding[HIDDEN] = store.hidden if isinstance(store, ArrayStore) else hidden_of(store)
    found.encoding[NOTES] = _notes(store)
    return attach(found, store)


def _notes(store: Store) -> list[str]:
    whole = store.below if isinstance(store, PartStore) else store
    return sorted(whole.notes.values()) if isinstance(whole, BoundedStore | ArrayStore) else []


def refuse_groups_only(group: zarr.Group, href: str) -> None:
    """Raise an error if a group without arrays has nested groups with arrays, naming them."""
    below = [path for path in _group_paths(group.store) if path]
    if below:
        name = href.rstrip("/").rpartition("/")[2].removesuffix(".zip")
        shown = ", ".join(f"{name}/{path}" for path in below[:20])
        more = f" and {len(below) - 20} more" if len(below) > 20 else ""
        do = "unpack the zip archive and name" if _is_zip(href) else "name"
        raise not_found(href, f"holds groups and no arrays; {do} one of them: {shown}{more}")


def group_paths(href: str, storage_options: Json | None = None) -> list[str]:
    """Return the paths of the groups with arrays in the group at *href*, ``""`` for itself."""
    try:
        return _group_paths(_store(href, storage_options, (*MISSING, *REFUSED)))
    except Exception as error:
        raise read_error(error, href, storage_options) from error


def _group_paths(store: Store) -> list[str]:
    return groups_of(store, format_of(store))


def _mended(href: str, storage_options: Json | None, error: Exception) -> zarr.Group:
    """Open a group without the arrays that cannot be read; raise *error* if none can be read."""
    store = _store(href, storage_options, (*MISSING, *REFUSED))
    try:
        zarr_format = format_of(store)
        part = mended(store, zarr_format)
        group = zarr.open_group(part, mode="r", zarr_format=zarr_format)  # type: ignore[arg-type]
        if not _lists(group):
            why = part.why_none()
            raise (
                error
                if why is None
                else IntegrityError(f"{where_of(href, storage_options)}: {why}")
            )
    except StacbuildError:
        raise
    except Exception:  # noqa: BLE001 - the first error is more informative
        raise error from None
    return group


def _inherited(href: str, storage_options: Json | None) -> zarr.Group | None:
    """Open a group from the consolidated metadata of the store that contains it, if possible."""
    inside = re.match(r"(?P<above>.*?\.zarr)/(?P<path>.+)", href.rstrip("/"))
    if inside is None:
        return None
    store, above = (_store(each, storage_options, MISSING) for each in (href, inside["above"]))
    zarr_format = format_of(above)
    part = inherited(store, above, inside["path"], zarr_format)
    if part is None:
        return None
    group = zarr.open_group(part, mode="r", zarr_format=zarr_format)  # type: ignore[arg-type]
    return group if _lists(group) else None


def _open(href: str, storage_options: Json | None) -> zarr.Group:
    # Format 3 first, then 2: zarr would request the metadata of both.
    strict = _store(href, storage_options, MISSING)
    refused: Exception | None = None
    try:
        return zarr.open_group(strict, mode="r", zarr_format=3)
    except zarr.errors.GroupNotFoundError:
        pass
    except zarr.errors.ContainsArrayError as error:
        raise is_no_group(href) from error
    except REFUSED as error:
        # Object stores answer 403 for missing keys if listing is not allowed.
        refused = error
    try:
        return zarr.open_group(strict, mode="r", zarr_format=2)
    except zarr.errors.GroupNotFoundError:
        if ".zarr/" in href and holds_array(strict):
            raise is_no_group(href) from None
        raise refused or FileNotFoundError(href) from None
    except REFUSED as error:
        refused = error
    # Only for metadata a refusal counts as missing; a refused chunk is an error.
    lenient = _store(href, storage_options, (*MISSING, *REFUSED))
    try:
        found = zarr.open_group(lenient, mode="r", zarr_format=2)
    except zarr.errors.GroupNotFoundError:
        raise refused from None
    consolidated = is_consolidated(found)
    return zarr.open_group(strict, mode="r", zarr_format=2, use_consolidated=consolidated)


def _store(
    href: str, storage_options: Json | None, missing: tuple[type[Exception], ...]
) -> BoundedStore | ArrayStore:
    if (file := open_store(href, storage_options)) is not None:
        return file
    if _is_zip(href):
        return BoundedStore(_zipped(href, storage_options), href)
    if is_local(href):
        return BoundedStore(LocalStore(href, read_only=True), href)
    scheme = urlsplit(href).scheme
    if scheme == "s3":
        # Imported when used: it takes a third of a second.
        from stacbuild.formats.s3_system import s3_store

        return BoundedStore(ReusedStore(s3_store(href, storage_options or {}, missing)), href)
    options: Json = {}  # of memory, as open_group refuses other schemes
    if scheme in ("http", "https"):
        # Imported when used: it takes a tenth of a second.
        from stacbuild.formats.zarr_http import client_options, guarded_client

        options = {
            # A cached listing may be outdated.
            "use_listings_cache": False,
            "client_kwargs": client_options(_PATIENCE, href, storage_options),
            "get_client": guarded_client,
        }
    store = FsspecStore.from_url(
        href, storage_options=options, read_only=True, allowed_exceptions=missing
    )
    return BoundedStore(ReusedStore(store), href)


def _is_zip(href: str) -> bool:
    return href.lower().endswith(".zip")


def _lists(group: zarr.Group) -> bool:
    # An empty group is as unusable as one whose members cannot be listed.
    try:
        return has_arrays(group)
    except (*REFUSED, NotFoundError):
        return False


def _why_unlisted(href: str) -> str:
    if urlsplit(href).scheme in ("http", "https"):
        return "this server lists no folders, so its arrays are unknown"
    return "holds no arrays that can be listed"


def _zipped(href: str, storage_options: Json | None) -> FsspecStore:
    """Open a zip archive of the content of a group, or of its folder."""
    if is_local(href) and not Path(href).exists():
        raise FileNotFoundError(href)
    files = ZipFileSystem(href if is_local(href) else FileBytes(href, storage_options).open())
    tops = {name.split("/")[0] for name in files.find("")}
    folder = tops.pop() if len(tops) == 1 else ""
    inner = folder if folder and files.isdir(folder) else ""
    wrapped = AsyncFileSystemWrapper(files, asynchronous=True)
    return FsspecStore(wrapped, path=inner, read_only=True)
