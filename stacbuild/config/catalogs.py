"""Stores that are somebody's STAC catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from stacbuild.config.files import S3_HOST, S3Params, S3Store, StorageOptions
from stacbuild.config.types import LocalPath, Located, Model, Name, Url


def _place(value: Any) -> str:
    return "url" if isinstance(value, str) and "://" in value else "path"


class StacParams(Model):
    """``url``, or ``root``, is the address of a STAC API or a catalog, or the path of one."""

    url: Url | None = None
    """Address of a STAC API or of a static catalog; give it or `root`."""
    root: (
        Annotated[
            Annotated[LocalPath, Tag("path")] | Annotated[Url, Tag("url")], Discriminator(_place)
        ]
        | None
    ) = None
    """The same, or the path of a static catalog (its folder or its JSON file), relative to the
    configuration."""
    storage_options: StorageOptions | None = None
    """How files on S3 are reached; unsigned on AWS by default."""

    @model_validator(mode="after")
    def _one_address(self) -> StacParams:
        if (self.url is None) == (self.root is None):
            msg = "needs the address of a catalog, either as url or as root"
            raise ValueError(msg)
        return self


class StacStore(Located):
    """Somebody's STAC catalog: a STAC API, or files behind a URL or in a folder."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["stac"]
    """Kind of store."""
    store_params: StacParams
    """Which catalog, and how its files are reached."""

    @property
    def key(self) -> str:
        """``stac:<host/path>``, or ``stac:<root as written>`` of files here."""
        return f"stac:{self._address.partition('://')[2] or self._address}"

    @property
    def location(self) -> str:
        """URL of the catalog without trailing slash, or the absolute path of its file."""
        if "://" in self._address:
            return self._address
        path = self._absolute(self._address)
        if path.suffix in (".json", ".geojson") or path.is_file():
            return str(path)
        collection = path / "collection.json"
        one_of_them = collection.is_file() and not (path / "catalog.json").exists()
        return str(collection if one_of_them else path / "catalog.json")

    @property
    def folder(self) -> Path | None:
        """Absolute folder of a catalog on this machine; none if it is elsewhere."""
        return None if "://" in self.location else Path(self.location).parent

    @property
    def server(self) -> str:
        """Where its hrefs start from: what lies further within a network they may not lead to."""
        # A catalog of files was made somewhere: it leads to the web only, as this name, which
        # nobody has (RFC 2606), stands for.
        return "https://web.invalid" if self.folder else self.location

    @property
    def endpoint_url(self) -> str:
        """URL of the server that ``s3://`` hrefs are on."""
        options = self.store_params.storage_options or StorageOptions()
        client = options.client_kwargs
        found = options.endpoint_url or (client.endpoint_url if client else None)
        return found or f"https://{S3_HOST}"

    @property
    def anonymous(self) -> bool:
        """Whether ``s3://`` hrefs are read unsigned, as they are without ``storage_options``."""
        options = self.store_params.storage_options
        return options is None or options.anon

    @property
    def storage_options(self) -> dict[str, Any]:
        """Arguments for ``s3fs.S3FileSystem``, **with** the secrets in plain text."""
        options = self.store_params.storage_options
        if options is None:
            return {"anon": True}
        same = S3Store(
            identifier=self.identifier,
            store_id="s3",
            store_params=S3Params(root="any", storage_options=options),
        )
        return same.storage_options

    @property
    def _address(self) -> str:
        params = self.store_params
        return str(params.url or params.root)
