"""Configuration of the download service of the CLMS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, SecretStr, Tag

from stacbuild.config.types import LocalPath, Secret, Url
from stacbuild.sources.service import Service, ServiceParams


def _filled(value: Any) -> Any:
    # The file from the portal, pasted into a configuration, has fields without a value (ip_range).
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class ClmsParams(ServiceParams):
    """``credentials`` is the path of the JSON file from the portal, or its content."""

    credentials: (
        Annotated[
            Annotated[LocalPath, Tag("path")]
            | Annotated[dict[str, Secret], BeforeValidator(_filled), Tag("inline")],
            Discriminator(lambda value: "inline" if isinstance(value, dict) else "path"),
        ]
        | None
    ) = None
    """Path of the JSON file from your profile on the portal, relative to the configuration, or its
    content as a mapping. Required to request a product that is not in the cache."""
    endpoint_url: Url | None = None
    """Root URL of the API; by default the value of the environment variable `STACBUILD_CLMS_API`,
    or `https://land.copernicus.eu/api`."""


class ClmsStore(Service):
    """The download service of the Copernicus Land Monitoring Service."""

    is_tiled = True
    described_in_place = False
    note = "credentials: the JSON file from your profile at https://land.copernicus.eu"
    api_variable = "STACBUILD_CLMS_API"
    api_default = "https://land.copernicus.eu/api"

    store_id: Literal["clms"]
    """Kind of store."""
    store_params: ClmsParams
    """Access to the service."""

    @property
    def key(self) -> str:
        """``clms``."""
        return "clms"

    @property
    def endpoint_url(self) -> str | None:
        """Root URL of the API, if the configuration states one."""
        return self.store_params.endpoint_url

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

    def collection_key(self, data_id: str) -> str:
        """Return the product of a data id ``<product>|<file>``."""
        return data_id.partition("|")[0]
