"""The base class of stores; each kind is a subclass in its own package."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from stacbuild.config.addresses import Address
from stacbuild.config.types import Located, Name


class Store(Located):
    """A store of a configuration, from which data are read or to which cubes are written.

    A kind declares its capabilities as class variables and overrides what differs from a plain
    server that is read in place. ``stacbuild sources`` prints the first line of its docstring.
    """

    readable: ClassVar[bool] = True
    """Whether datasets can be read from it."""
    listable: ClassVar[bool] = True
    """Whether its data ids can be listed."""
    preloadable: ClassVar[bool] = False
    """Whether its data can be downloaded as a whole, into `cache`."""
    writable: ClassVar[bool] = False
    """Whether cubes can be written to it."""
    described_in_place: ClassVar[bool] = True
    """Whether headers can be read without a download; if not, its listing describes data ids."""
    is_mixed: ClassVar[bool] = False
    """Whether it may contain unrelated products, as a bucket or a folder may."""
    is_tiled: ClassVar[bool] = False
    """Whether items of a data id are tiles of one product, whatever their dates.

    Otherwise, items of different times are steps of the cube's dimension ``time``."""
    has_files: ClassVar[bool] = False
    """Whether a data id may be several files: a list or a pattern (`stacbuild.config.data_ids`)."""
    is_watched: ClassVar[bool] = False
    """Whether a plan can list what a data id of several files matches now."""
    is_searched_by_time: ClassVar[bool] = False
    """Whether ``open_params.time_range`` selects items when they are harvested."""
    has_scenes: ClassVar[bool] = False
    """Whether items may be scenes, with several assets (`stacbuild.config.scenes`), which its
    listing describes."""
    note: ClassVar[str] = ""
    """Comment beside its parameters in a first configuration."""

    identifier: Name
    """Name of the store, which datasets refer to."""
    store_id: str
    """Kind of store."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Canonical address, ``<store_id>:<address>``, recorded in its items in the catalog."""

    @property
    def cache(self) -> Path | None:
        """Absolute folder that files are downloaded to."""
        return None

    @property
    def own_cache(self) -> Path | None:
        """Folder in `cache`, or `cache` itself, with files of this store only."""
        return self.cache

    @property
    def catalog_folder(self) -> Path | None:
        """Absolute folder of a local STAC catalog that is read; cubes may be written beside it."""
        return None

    @property
    def folder(self) -> Path | None:
        """Absolute folder that local hrefs of its items have to be in."""
        return self.cache or self.catalog_folder

    @property
    def servers(self) -> tuple[str, ...]:
        """URLs that hrefs of its items may begin with, even in a private network."""
        return ()

    @property
    def s3_root(self) -> str | None:
        """``s3://`` URL that ``s3://`` hrefs of its items have to begin with."""
        return None

    @property
    def storage_options(self) -> dict[str, Any]:
        """Arguments for s3fs, **with** credentials in plain text; empty if nothing is on S3."""
        return {}

    @property
    def s3_options(self) -> dict[str, Any]:
        """Arguments for s3fs **with** credentials in plain text; empty if it is read unsigned."""
        return {}

    @property
    def https_options(self) -> dict[str, Any]:
        """Options for https hrefs, see `stacbuild.net.signing`; empty if they are read as such."""
        return {}

    def options_of(self, on_s3: bool) -> dict[str, Any]:
        """Return the options by which files are read, on S3 with credentials or by https."""
        return self.s3_options if on_s3 else self.https_options

    @property
    def implied_params(self) -> dict[str, Any]:
        """Parameters that are in effect but set by the environment or the code."""
        return {}

    def collection_key(self, data_id: str) -> str:
        """Return the name that profiles use for the collection of a data id."""
        return data_id

    def path(self, data_id: str) -> Path | None:
        """Return the absolute local path of a data id; None if it is remote."""
        del data_id
        return None

    def address(self, data_id: str) -> Address | None:
        """Return server, bucket and key of a data id that may be an S3 object, else None."""
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
