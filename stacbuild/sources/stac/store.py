"""Somebody's STAC catalog as a configuration has it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from stacbuild.config.addresses import S3_HOST
from stacbuild.config.store import Store
from stacbuild.config.types import LocalPath, Model, Url
from stacbuild.sources.s3.store import S3Params, S3Store, StorageOptions


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


class StacStore(Store):
    """Somebody's STAC catalog: a STAC API, or files behind a URL or in a folder."""

    note = "a data id is collection, collection/item, or collection?bbox=...&datetime=..."

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
    def catalog_folder(self) -> Path | None:
        """Absolute folder of a catalog on this machine; none if it is elsewhere."""
        return None if "://" in self.location else Path(self.location).parent

    @property
    def server(self) -> str:
        """URL that its hrefs start from; they may not lead to what is further inside a network."""
        # A catalog of files was made somewhere: it leads to the web only, as this name, which
        # nobody has (RFC 2606), stands for.
        return "https://web.invalid" if self.folder else self.location

    @property
    def servers(self) -> tuple[str, ...]:
        """The same, as all kinds have it."""
        return (self.server,)

    @property
    def s3_root(self) -> str | None:
        """Any bucket, on the server of the configuration; none without credentials."""
        return None if self.anonymous else "s3://"

    @property
    def s3_options(self) -> dict[str, Any]:
        """`storage_options`; empty if requests go unsigned."""
        return {} if self.anonymous else self.storage_options

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

    @classmethod
    def params_of(cls, endpoint: str | None, signed: bool) -> dict[str, Any]:
        """Return ``storage_options``, if an S3 server or keys are asked for."""
        return S3Store.params_of(endpoint, signed) if endpoint or signed else {}
