"""Configuration of an external STAC catalog."""

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
    """``url`` or ``root`` is the URL of a STAC API or a catalog, or the path of a catalog."""

    url: Url | None = None
    """URL of a STAC API or of a static catalog; required unless `root` is given."""
    root: (
        Annotated[
            Annotated[LocalPath, Tag("path")] | Annotated[Url, Tag("url")], Discriminator(_place)
        ]
        | None
    ) = None
    """Alternative to `url`: a URL, or the path of a static catalog (its folder or its JSON file),
    relative to the configuration."""
    storage_options: StorageOptions | None = None
    """Access to files on S3; by default AWS, with unsigned requests."""
    read_headers: bool = False
    """Whether to read the header of each file at harvest, also of products of more than 64 files
    whose items state their grid, data type and nodata value (of these, eight are read)."""

    @model_validator(mode="after")
    def _one_address(self) -> StacParams:
        if (self.url is None) == (self.root is None):
            msg = "needs the address of a catalog, either as url or as root"
            raise ValueError(msg)
        return self


class StacStore(Store):
    """An external STAC catalog: a STAC API, or JSON files (URL or folder)."""

    is_searched_by_time = True
    has_scenes = True
    note = "a data id is collection, collection/item, or collection?bbox=...&datetime=..."

    store_id: Literal["stac"]
    """Kind of store."""
    store_params: StacParams
    """Location of the catalog, and access to its files."""

    @property
    def key(self) -> str:
        """``stac:<host/path>``, or ``stac:<root as written>`` for local files."""
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
        """Absolute folder of a catalog on this machine; None if it is remote."""
        return None if "://" in self.location else Path(self.location).parent

    @property
    def server(self) -> str:
        """URL that limits the catalog's hrefs: they must not refer to a more private network."""
        # The origin of a local catalog is unknown, so its hrefs may only refer to the web. This
        # reserved name (RFC 2606) represents any server on the web.
        return "https://web.invalid" if self.folder else self.location

    @property
    def servers(self) -> tuple[str, ...]:
        """`server` as a tuple, as for every kind."""
        return (self.server,)

    @property
    def s3_root(self) -> str | None:
        """Any bucket, on the server of the configuration; None without credentials."""
        return None if self.anonymous else "s3://"

    @property
    def s3_options(self) -> dict[str, Any]:
        """`storage_options`; empty if requests are unsigned."""
        return {} if self.anonymous else self.storage_options

    @property
    def endpoint_url(self) -> str:
        """URL of the server for ``s3://`` hrefs."""
        options = self.store_params.storage_options or StorageOptions()
        client = options.client_kwargs
        found = options.endpoint_url or (client.endpoint_url if client else None)
        return found or f"https://{S3_HOST}"

    @property
    def anonymous(self) -> bool:
        """Whether ``s3://`` hrefs are read with unsigned requests, the default."""
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
        """Return ``storage_options``, if an S3 server or keys are requested."""
        return S3Store.params_of(endpoint, signed) if endpoint or signed else {}
