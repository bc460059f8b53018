"""Configuration of files on a web server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from stacbuild.config.addresses import Address, address_of
from stacbuild.config.store import Store
from stacbuild.config.types import Model, Url


class HttpsParams(Model):
    """``root`` is a URL; without a scheme it is https, as in xcube-multistore."""

    root: Annotated[
        Url,
        BeforeValidator(lambda v: f"https://{v}" if isinstance(v, str) and "://" not in v else v),
    ]
    """A URL, by default with `https://`; data ids are relative to it."""


class HttpsStore(Store):
    """Files on a web server, below a URL."""

    listable = False
    is_mixed = True
    is_tiled = True
    has_files = True
    is_watched = True

    store_id: Literal["https"]
    """Kind of store."""
    store_params: HttpsParams
    """Location of the files."""

    @property
    def key(self) -> str:
        """``https:<host/path>``."""
        return f"https:{self.root.partition('://')[2]}"

    @property
    def root(self) -> str:
        """URL without trailing slash."""
        return self.store_params.root

    @property
    def servers(self) -> tuple[str, ...]:
        """The URL."""
        return (self.root,)

    def address(self, data_id: str) -> Address:
        """Return the address of a data id, if the URL is in a bucket."""
        return address_of(f"{self.root}/{data_id}")
