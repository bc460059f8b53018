"""What every kind of store answers for itself; each kind is a subclass in its own package."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from stacbuild.config.addresses import Address
from stacbuild.config.types import Located, Name


class Store(Located):
    """One store of a configuration: where data come from, or where cubes go.

    A kind states what it can do in class variables, and overrides what differs from an ordinary
    server that is read in place. The first line of its docstring is what ``stacbuild sources``
    prints.
    """

    readable: ClassVar[bool] = True
    """Whether datasets can be read from it."""
    listable: ClassVar[bool] = True
    """Whether its data ids can be listed."""
    preloadable: ClassVar[bool] = False
    """Whether its data can be fetched as a whole, into `cache`."""
    writable: ClassVar[bool] = False
    """Whether it can take cubes."""
    described_in_place: ClassVar[bool] = True
    """Whether headers can be read where they are; if not, its listing describes data ids."""
    is_mixed: ClassVar[bool] = False
    """Whether it holds products that have nothing to do with each other (a bucket, a folder)."""
    note: ClassVar[str] = ""
    """Comment beside its parameters in a first configuration."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: str
    """Kind of store."""

    @property
    def key(self) -> str:
        """Canonical address, ``<store_id>:<where>``, which its items carry in the catalog."""
        raise NotImplementedError

    @property
    def cache(self) -> Path | None:
        """Absolute folder that fetched files go to."""
        return None

    @property
    def own_cache(self) -> Path | None:
        """Folder in `cache`, or `cache` itself, that holds files of this store only."""
        return self.cache

    @property
    def catalog_folder(self) -> Path | None:
        """Absolute folder of somebody's catalog on this machine, beside which cubes may lie."""
        return None

    @property
    def folder(self) -> Path | None:
        """Absolute folder that its items may lead into."""
        return self.cache or self.catalog_folder

    @property
    def servers(self) -> tuple[str, ...]:
        """URLs that its items may lead to, whatever network they are in."""
        return ()

    @property
    def s3_root(self) -> str | None:
        """``s3://`` address that its items' ``s3://`` hrefs have to begin with."""
        return None

    @property
    def s3_options(self) -> dict[str, Any]:
        """Arguments for s3fs **with** credentials in plain text; empty if it is read unsigned."""
        return {}

    @property
    def implied_params(self) -> dict[str, Any]:
        """Parameters in effect that come from the environment or the code, not from the file."""
        return {}

    def collection_key(self, data_id: str) -> str:
        """Return what profiles call the collection of a data id."""
        return data_id

    def path(self, data_id: str) -> Path | None:
        """Return the absolute path of a data id on this machine; None if it is elsewhere."""
        del data_id
        return None

    def address(self, data_id: str) -> Address | None:
        """Return the server and key of a data id that may be an S3 object, else None."""
        del data_id
        return None

    @classmethod
    def params_of(cls, endpoint: str | None, signed: bool) -> dict[str, Any]:
        """Return ``store_params`` for the options of the command line.

        Parameters
        ----------
        endpoint
            URL of a server other than the default one.
        signed
            Whether requests to S3 are signed with the keys of the environment.
        """
        del endpoint, signed
        return {}
