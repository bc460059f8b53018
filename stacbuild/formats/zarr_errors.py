"""Conversion of exceptions of zarr, fsspec, s3fs and aiohttp to errors of `stacbuild.errors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr.errors
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from stacbuild.errors import (
    AuthError,
    IntegrityError,
    LocalError,
    MissingError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.net.hrefs import is_local

Json = dict[str, Any]

MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
# The first is raised by s3fs and for local files, the second by `zarr_http`.
REFUSED = (PermissionError, AuthError)


_NO_GROUP = "no Zarr group is there; check the"


def not_found(href: str, why: str) -> StacbuildError:
    """Return the error for an href without the expected data."""
    return (MissingError if is_local(href) else NotFoundError)(f"{href}: {why}")


IS_ARRAY = "is an array, not a group"


def is_no_group(href: str) -> StacbuildError:
    """Return the error for the href of an array."""
    group, _, name = href.rstrip("/").rpartition("/")
    return not_found(href, f"{IS_ARRAY}; name {group}, and {name} in open_params.variable_names")


def read_error(error: Exception, href: str, storage_options: Json | None = None) -> StacbuildError:
    """Return an exception of fsspec, s3fs, aiohttp, zarr or xarray as an error of ours.

    A server's message about refused credentials is left out, as it may quote them.
    """
    if isinstance(error, StacbuildError):
        return error
    where = where_of(href, storage_options)
    local = is_local(href)
    text = _one_line(error, storage_options)
    if isinstance(error, zarr.errors.GroupNotFoundError | FileNotFoundError):
        return not_found(where, _no_group(Path(href)) if local else f"{_NO_GROUP} address")
    if isinstance(error, (*REFUSED, NoCredentialsError)):
        if local:
            return LocalError(f"{where}: may not be read (permission denied)")
        return AuthError(f"{where}: access was refused; check the store's credentials")
    if not local:
        # Imported when used: it takes a tenth of a second.
        from aiohttp import ClientError as WebError

        if isinstance(error, WebError):
            return RemoteError(f"{where}: cannot be read ({text}); try again later")
    if isinstance(error, BotoCoreError | ClientError | OSError):
        if local:
            return LocalError(f"{where}: cannot be read ({text})")
        return RemoteError(f"{where}: cannot be read ({text}); try again later")
    return IntegrityError(f"{where}: is not a readable Zarr dataset ({text}); write it again")


def _no_group(path: Path) -> str:
    """Return why there is no Zarr group at a local path."""
    if path.is_file():
        return "is not a file of a format that is read: GeoTIFF, netCDF, HDF5, GRIB or a Zarr store"
    if path.is_dir():
        return "is a folder, but no Zarr group; name a store or file in it"
    return f"{_NO_GROUP} path"


def where_of(href: str, storage_options: Json | None) -> str:
    """Return an href for messages: that of a bucket with its server."""
    options = storage_options or {}
    endpoint = options.get("endpoint_url") or options.get("client_kwargs", {}).get("endpoint_url")
    return f"{href} at {endpoint}" if href.startswith("s3://") and endpoint else href


def _one_line(error: Exception, storage_options: Json | None) -> str:
    text = " ".join(str(error).split())[:300] or type(error).__name__
    for name in ("key", "secret", "token", "username", "password"):
        if value := (storage_options or {}).get(name):
            text = text.replace(str(value), "***")
    return text
