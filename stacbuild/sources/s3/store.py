"""Configuration of a bucket on an S3 server."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, model_validator

from stacbuild.config.addresses import S3_HOST, Address, parts_of, server_of
from stacbuild.config.store import Store
from stacbuild.config.types import DataId, Model, Secret, Text, Url
from stacbuild.safe_text import remember_secret

_AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _bucket(value: str) -> str:
    if "://" in value or not value.strip("/"):
        msg = 'has to be "bucket" or "bucket/prefix", without s3:// (the server is endpoint_url)'
        raise ValueError(msg)
    return value


class ClientParams(Model):
    """Arguments of boto's client that locate the server."""

    endpoint_url: Url | None = None
    """URL of the server; an alternative to `endpoint_url` of `storage_options`."""
    region_name: Text | None = None
    """Region of the bucket, such as `eu-central-1`; by default that of the local AWS settings."""


class StorageOptions(Model):
    """Access to the server; the keys are those of s3fs."""

    anon: bool = False
    """Whether requests are unsigned, as public buckets require."""
    key: Secret | None = None
    """Access key id, together with `secret`; by default that of the local AWS settings
    (`AWS_ACCESS_KEY_ID`, ...)."""
    secret: Secret | None = None
    """Secret access key, together with `key`."""
    token: Secret | None = None
    """Session token of temporary credentials."""
    endpoint_url: Url | None = None
    """URL of the server; by default that of AWS."""
    requester_pays: bool = False
    """Whether you pay for requests and transfer, as some buckets demand."""
    client_kwargs: ClientParams | None = None
    """Further arguments of boto's client."""

    @model_validator(mode="after")
    def _consistent(self) -> StorageOptions:
        if self.anon and (self.key or self.secret or self.token):
            msg = "anon is true, yet there is a key, secret or token: remove one of them"
            raise ValueError(msg)
        if self.anon and self.requester_pays:
            msg = "anon is true, yet requester_pays needs signed requests: remove one of them"
            raise ValueError(msg)
        if (self.key is None) != (self.secret is None):
            msg = "key and secret go together: one of them is missing"
            raise ValueError(msg)
        client = self.client_kwargs
        if client and client.endpoint_url and self.endpoint_url:
            msg = "endpoint_url is set here and in client_kwargs: remove one of them"
            raise ValueError(msg)
        return self


class S3Params(Model):
    """``root`` is ``bucket`` or ``bucket/prefix``."""

    root: Annotated[DataId, BeforeValidator(lambda v: _bucket(v) if isinstance(v, str) else v)]
    """`bucket` or `bucket/prefix`; data ids are relative to it."""
    storage_options: StorageOptions = StorageOptions()
    """Access to the server."""


class S3Store(Store):
    """A bucket, or a prefix in a bucket, on any S3 server."""

    writable = True
    is_mixed = True
    is_tiled = True
    has_files = True
    is_watched = True
    note = "storage_options: anon, or key and secret (best as ${NAME} of the environment)"

    store_id: Literal["s3"]
    """Kind of store."""
    store_params: S3Params
    """Location of the bucket, and access to it."""

    @property
    def key(self) -> str:
        """``s3:<host[:port]>/<root>``."""
        host = urlsplit(self.endpoint_url).netloc if self.endpoint_url else S3_HOST
        return f"s3:{host}/{self.root}"

    @property
    def servers(self) -> tuple[str, ...]:
        """The S3 server."""
        return (self.server,)

    @property
    def s3_root(self) -> str:
        """``s3://bucket/[prefix/]``."""
        return self.s3_url("")

    @property
    def s3_options(self) -> dict[str, Any]:
        """`storage_options`; empty if requests are unsigned."""
        return {} if self.anonymous else self.storage_options

    @property
    def root(self) -> str:
        """``bucket`` or ``bucket/prefix``, without leading and trailing slashes."""
        return self.store_params.root.strip("/")

    @property
    def endpoint_url(self) -> str | None:
        """URL of the server; None: AWS."""
        options = self.store_params.storage_options
        client = options.client_kwargs
        return options.endpoint_url or (client.endpoint_url if client else None)

    @property
    def anonymous(self) -> bool:
        """Whether requests are unsigned."""
        return self.store_params.storage_options.anon

    @property
    def storage_options(self) -> dict[str, Any]:
        """Arguments for ``s3fs.S3FileSystem``, **with** the secrets in plain text."""
        options = self.store_params.storage_options
        plain: dict[str, Any] = {"anon": options.anon}
        if options.requester_pays:
            plain["requester_pays"] = True
        for name in ("key", "secret", "token"):
            if (value := getattr(options, name)) is not None:
                plain[name] = value.get_secret_value()
        if not options.anon and options.key is None:
            # boto reads these by itself.
            for name in _AWS_VARIABLES:
                remember_secret(os.environ.get(name, ""))
        if self.endpoint_url:
            plain["endpoint_url"] = self.endpoint_url
        if options.client_kwargs and options.client_kwargs.region_name:
            plain["client_kwargs"] = {"region_name": options.client_kwargs.region_name}
        return plain

    @property
    def server(self) -> str:
        """URL of the server; by default that of AWS."""
        return self.endpoint_url or f"https://{S3_HOST}"

    def https_url(self, path: str) -> str:
        """Return the path-style URL of an object, percent-quoted."""
        return f"{self.server}/{quote(f'{self.root}/{path}')}"

    def s3_url(self, path: str) -> str:
        """Return ``s3://bucket/[prefix/]path``."""
        return f"s3://{self.root}/{path}"

    def address(self, data_id: str) -> Address:
        """Return server, bucket and key of a data id."""
        return server_of(self.server), parts_of(f"{self.root}/{data_id}")

    @classmethod
    def params_of(cls, endpoint: str | None, signed: bool) -> dict[str, Any]:
        """Return ``storage_options``: unsigned unless *signed*."""
        return {
            "storage_options": {"anon": not signed}
            | ({"endpoint_url": endpoint} if endpoint else {})
        }
