"""Configuration of a Zenodo record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, SecretStr

from stacbuild.config.types import Secret, Url
from stacbuild.sources.service import Service, ServiceParams


def _record(value: Any) -> Any:
    # A record number without quotes is a number to YAML; it is unmistakable all the same.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        msg = 'has to be the number of a Zenodo record, such as "13333034"'
        raise ValueError(msg)
    return text


class ZenodoParams(ServiceParams):
    """``root`` is the number of the record."""

    root: Annotated[str, BeforeValidator(_record)]
    """Number of the record, such as "13333034"."""
    endpoint_url: Url | None = None
    """Root URL of the API; by default the value of the environment variable
    `STACBUILD_ZENODO_API`, or `https://zenodo.org/api`."""
    access_token: Secret | None = None
    """Token for a restricted record. It is sent to the API's host only."""


class ZenodoStore(Service):
    """The files of one Zenodo record."""

    is_tiled = True
    has_files = True
    api_variable = "STACBUILD_ZENODO_API"
    api_default = "https://zenodo.org/api"

    store_id: Literal["zenodo"]
    """Kind of store."""
    store_params: ZenodoParams
    """Number of the record, and access to it."""

    @property
    def key(self) -> str:
        """``zenodo:<record>``."""
        return f"zenodo:{self.record}"

    @property
    def endpoint_url(self) -> str | None:
        """Root URL of the API, if the configuration states one."""
        return self.store_params.endpoint_url

    @property
    def record(self) -> str:
        """Number of the record."""
        return self.store_params.root

    @property
    def access_token(self) -> SecretStr | None:
        """Token for restricted records."""
        return self.store_params.access_token

    @property
    def own_cache(self) -> Path:
        """The record's folder in the cache."""
        return self.cache / self.record

    def collection_key(self, data_id: str) -> str:
        """Return the number of the record."""
        del data_id
        return self.record
