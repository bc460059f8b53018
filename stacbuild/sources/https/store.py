"""Files under a URL as a configuration has them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from stacbuild.config.addresses import Address, address_of
from stacbuild.config.store import Store
from stacbuild.config.types import Model, Url


class HttpsParams(Model):
    """``root`` is a URL; without a scheme it is taken for https, as the notebook's tool does."""

    root: Annotated[
        Url,
        BeforeValidator(lambda v: f"https://{v}" if isinstance(v, str) and "://" not in v else v),
    ]
    """A URL, `https://` unless it says otherwise; data ids are relative to it."""


class HttpsStore(Store):
    """Files under a URL."""

    listable = False
    is_mixed = True

    store_id: Literal["https"]
    """Kind of store."""
    store_params: HttpsParams
    """Which URL."""

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
        """Return the address that a data id has if the URL leads into a bucket."""
        return address_of(f"{self.root}/{data_id}")
