"""Whatever opening a Zarr store raises is one of our errors, in one line without credentials."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import botocore.exceptions
import pytest
import zarr.errors

from stacbuild.errors import (
    AuthError,
    IntegrityError,
    LocalError,
    MissingError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.formats.zarr_errors import is_no_group, read_error, where_of
from stacbuild.formats.zarr_store import open_group

REMOTE, LOCAL = "s3://bucket/a.zarr", "/data/a.zarr"
OPTIONS = {"key": "canary-key", "secret": "s", "endpoint_url": "https://s3.example"}


@pytest.mark.parametrize(
    ("error", "remote", "local"),
    [
        (FileNotFoundError("x"), NotFoundError, MissingError),
        (zarr.errors.GroupNotFoundError("x"), NotFoundError, MissingError),
        (PermissionError("canary-key"), AuthError, LocalError),
        (botocore.exceptions.NoCredentialsError(), AuthError, LocalError),
        (OSError("broken"), RemoteError, LocalError),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="x"), RemoteError, LocalError),
        (ValueError("is\nno\narray"), IntegrityError, IntegrityError),
    ],
)
def test_each_exception_by_where_it_was_raised(
    error: Exception, remote: type[StacbuildError], local: type[StacbuildError]
) -> None:
    for href, kind in ((REMOTE, remote), (LOCAL, local)):
        found = read_error(error, href, OPTIONS)
        assert type(found) is kind
        assert href in str(found)
        assert "\n" not in str(found)
        assert "canary" not in str(found)


def test_errors_of_the_web_are_remote_and_ours_stay() -> None:
    found = read_error(aiohttp.ClientPayloadError("cut"), "https://host.example/a.zarr")
    assert type(found) is RemoteError
    ours = NotFoundError("x")
    assert read_error(ours, REMOTE) is ours


def test_keys_are_taken_out_of_messages() -> None:
    assert "canary" not in str(read_error(OSError("key canary-key refused"), REMOTE, OPTIONS))


def test_where_a_bucket_is() -> None:
    assert where_of(REMOTE, OPTIONS) == "s3://bucket/a.zarr at https://s3.example"
    assert where_of(REMOTE, None) == REMOTE
    assert where_of(LOCAL, OPTIONS) == LOCAL


def test_an_array_is_no_group() -> None:
    assert "open_params.variable_names" in str(is_no_group("/data/a.zarr/v/"))


@pytest.mark.parametrize(
    ("name", "why"), [("readme.txt", "is not a file of a format"), ("cubes", "is a folder")]
)
def test_what_is_there_but_no_group_is_not_called_missing(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "readme.txt").write_text("Two maps.")
    (tmp_path / "cubes").mkdir()
    with pytest.raises(StacbuildError, match=f"{name}: {why}"):
        open_group(str(tmp_path / name))
