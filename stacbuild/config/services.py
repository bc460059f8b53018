"""Stores that are services: records of Zenodo, and the Copernicus Land Monitoring Service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, SecretStr, Tag

from stacbuild.config.types import LocalPath, Located, Model, Name, Secret, Url

ZENODO_API = "https://zenodo.org/api"
CLMS_API = "https://land.copernicus.eu/api"


def _api(configured: str | None, variable: str, default: str) -> str:
    return (configured or os.environ.get(variable) or default).rstrip("/")


def _record(value: Any) -> Any:
    # A record number without quotes is a number to YAML; it is unmistakable all the same.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        msg = 'has to be the number of a Zenodo record, such as "13333034"'
        raise ValueError(msg)
    return text


class CacheParams(Model):
    """Where a store keeps what it fetched."""

    root: LocalPath
    """A folder, relative to the configuration."""


class _Cached(Model):
    cache_store_id: Literal["file"] = "file"
    """Kind of store that keeps what was fetched: a folder."""
    cache_store_params: CacheParams | None = None
    """Which folder; by default `zenodo_cache` or `clms_cache` beside the configuration."""


class ZenodoParams(_Cached):
    """``root`` is the number of the record."""

    root: Annotated[str, BeforeValidator(_record)]
    """Number of the record, such as "13333034"."""
    endpoint_url: Url | None = None
    """Root of the API; by default that of the environment variable `STACBUILD_ZENODO_API`, else
    `https://zenodo.org/api`."""
    access_token: Secret | None = None
    """Token for a record that is not open; none by default. It goes to the API's host only."""


class ZenodoStore(Located):
    """The files of one Zenodo record."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["zenodo"]
    """Kind of store."""
    store_params: ZenodoParams
    """Which record, and how it is reached."""

    @property
    def key(self) -> str:
        """``zenodo:<record>``."""
        return f"zenodo:{self.record}"

    @property
    def record(self) -> str:
        """Number of the record."""
        return self.store_params.root

    @property
    def api(self) -> str:
        """Root of the API, without trailing slash."""
        return _api(self.store_params.endpoint_url, "STACBUILD_ZENODO_API", ZENODO_API)

    @property
    def access_token(self) -> SecretStr | None:
        """Token for records that are not open."""
        return self.store_params.access_token

    @property
    def cache(self) -> Path:
        """Absolute folder that fetched files go to, in a folder a record."""
        params = self.store_params.cache_store_params
        return self._absolute(params.root if params else "zenodo_cache")


def _filled(value: Any) -> Any:
    # The file from the portal, pasted into a configuration, has fields without a value (ip_range).
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class ClmsParams(_Cached):
    """``credentials`` is the path of the JSON file from the portal, or its content."""

    credentials: (
        Annotated[
            Annotated[LocalPath, Tag("path")]
            | Annotated[dict[str, Secret], BeforeValidator(_filled), Tag("inline")],
            Discriminator(lambda value: "inline" if isinstance(value, dict) else "path"),
        ]
        | None
    ) = None
    """The JSON file from the profile on the portal, relative to the configuration, or its content
    as a mapping; a product that is not in the cache cannot be requested without."""
    endpoint_url: Url | None = None
    """Root of the API; by default that of the environment variable `STACBUILD_CLMS_API`, else
    `https://land.copernicus.eu/api`."""


class ClmsStore(Located):
    """The download service of the Copernicus Land Monitoring Service."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["clms"]
    """Kind of store."""
    store_params: ClmsParams
    """How the service is reached."""

    @property
    def key(self) -> str:
        """``clms``."""
        return "clms"

    @property
    def api(self) -> str:
        """Root of the API, without trailing slash."""
        return _api(self.store_params.endpoint_url, "STACBUILD_CLMS_API", CLMS_API)

    @property
    def credentials(self) -> Path | None:
        """Absolute path of the credentials file."""
        value = self.store_params.credentials
        return self._absolute(value) if isinstance(value, str) else None

    @property
    def credentials_inline(self) -> dict[str, SecretStr] | None:
        """Content of the credentials, when written into the configuration."""
        value = self.store_params.credentials
        return value if isinstance(value, dict) else None

    @property
    def cache(self) -> Path:
        """Absolute folder that fetched products go to."""
        params = self.store_params.cache_store_params
        return self._absolute(params.root if params else "clms_cache")
