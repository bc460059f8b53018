"""Shared configuration of services whose files are downloaded into a cache."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

from stacbuild.config.store import Store
from stacbuild.config.types import LocalPath, Model


class CacheParams(Model):
    """Cache of downloaded files."""

    root: LocalPath
    """A folder, relative to the configuration."""


class ServiceParams(Model):
    """Parameters of a service with a cache."""

    cache_store_id: Literal["file"] = "file"
    """Kind of store of the cache: always a folder."""
    cache_store_params: CacheParams | None = None
    """Folder of the cache; by default `zenodo_cache` or `clms_cache` beside the configuration."""


class Service(Store):
    """A service with an API, whose files are downloaded into a cache."""

    preloadable = True
    api_variable: ClassVar[str]
    """Environment variable with the root URL of the API."""
    api_default: ClassVar[str]
    """Default root URL of the API."""

    store_params: ServiceParams
    """Access to the service."""

    @property
    @abstractmethod
    def endpoint_url(self) -> str | None:
        """Root URL of the API, if the configuration states one."""

    @property
    def api(self) -> str:
        """Root URL of the API, without trailing slash."""
        found = self.endpoint_url or os.environ.get(self.api_variable) or self.api_default
        return found.rstrip("/")

    @property
    def servers(self) -> tuple[str, ...]:
        """The API."""
        return (self.api,)

    @property
    def cache(self) -> Path:
        """Absolute path of the folder for downloaded files."""
        params = self.store_params.cache_store_params
        return self._absolute(params.root if params else self._default_cache)

    @property
    def implied_params(self) -> dict[str, Any]:
        """Cache and API, if the configuration does not state them."""
        implied: dict[str, Any] = {}
        if self.store_params.cache_store_params is None:
            implied["cache_store_params"] = {"root": self._default_cache}
        # A URL with a user name must not be written to a file.
        if self.endpoint_url is None and "@" not in self.api:
            implied["endpoint_url"] = self.api
        return implied

    @property
    def _default_cache(self) -> str:
        return f"{self.store_id}_cache"

    @classmethod
    def params_of(cls, endpoint: str | None, signed: bool) -> dict[str, Any]:
        """Return ``endpoint_url``, if there is one."""
        del signed
        return {"endpoint_url": endpoint} if endpoint else {}
