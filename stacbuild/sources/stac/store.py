"""Configuration of an external STAC catalog."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urljoin

from pydantic import Discriminator, Tag, model_validator

from stacbuild.config.addresses import S3_HOST
from stacbuild.config.store import Store
from stacbuild.config.types import LocalPath, Model, Url
from stacbuild.sources.s3.store import S3Params, S3Store, StorageOptions
from stacbuild.sources.stac.providers import PROVIDERS, Provider, provider_of


def _place(value: Any) -> str:
    return "url" if isinstance(value, str) and "://" in value else "path"


ProviderName = Literal["earth-search", "cdse", "eopf", "planetary-computer", "usgs"]


class StacParams(Model):
    """``url`` or ``root`` is the URL of a STAC API or a catalog, or the path of a catalog."""

    url: Url | None = None
    """URL of a STAC API or of a static catalog; required unless `root` or `provider` is given."""
    root: (
        Annotated[
            Annotated[LocalPath, Tag("path")] | Annotated[Url, Tag("url")], Discriminator(_place)
        ]
        | None
    ) = None
    """Alternative to `url`: a URL, or the path of a static catalog (its folder or its JSON file),
    relative to the configuration."""
    provider: ProviderName | None = None
    """Provider whose rules of access hold: S3 server, keys, who pays, and signatures. By default
    that of the address."""
    storage_options: StorageOptions | None = None
    """Access to files on S3; by default that of the provider, or else AWS, with unsigned
    requests."""
    read_headers: bool = False
    """Whether to read the header of each file at harvest, also of products of more than 64 files
    whose items state their grid, data type and nodata value (of these, eight are read)."""

    @model_validator(mode="after")
    def _one_address(self) -> StacParams:
        stated = sum(each is not None for each in (self.url, self.root))
        if stated > 1 or (not stated and self.provider is None):
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
    def https_options(self) -> dict[str, Any]:
        """URL of the service that signs https hrefs, if the provider has one."""
        if not self.provider.tokens:
            return {}
        # Imported when used: configurations are read without requests.
        from stacbuild.net.signing import SERVICE

        origin = self.location if "://" in self.location else self.provider.url
        return {SERVICE: urljoin(origin, self.provider.tokens)}

    @cached_property
    def provider(self) -> Provider:
        """Provider by its name or by the address."""
        return provider_of(self.store_params.provider, self._address)

    @property
    def endpoint_url(self) -> str:
        """URL of the server for ``s3://`` hrefs."""
        client = self._options.client_kwargs
        found = self._options.endpoint_url or (client.endpoint_url if client else None)
        return found or f"https://{S3_HOST}"

    @property
    def anonymous(self) -> bool:
        """Whether ``s3://`` hrefs are read with unsigned requests, the default."""
        return self._options.anon

    @property
    def is_s3_first(self) -> bool:
        """Whether files are read on S3 although they have https addresses: these want a login."""
        return self.provider.on_s3 or self._options.requester_pays

    @property
    def lacks_keys(self) -> bool:
        """Whether files on S3 need keys of the provider, and there are none."""
        return bool(self.provider.keys) and self.anonymous and self._is_at_provider

    @property
    def _is_at_provider(self) -> bool:
        """Whether files on S3 are read from the server of the provider, not from a copy."""
        stated = self.provider.storage_options or {}
        return self.endpoint_url == str(stated.get("endpoint_url", f"https://{S3_HOST}"))

    @property
    def storage_options(self) -> dict[str, Any]:
        """Arguments for ``s3fs.S3FileSystem``, **with** the secrets in plain text."""
        same = S3Store(
            identifier=self.identifier,
            store_id="s3",
            store_params=S3Params(root="any", storage_options=self._options),
        )
        options = same.storage_options
        if self.provider.connections and self._is_at_provider:
            options["config_kwargs"] = {"max_pool_connections": self.provider.connections}
        return options

    @cached_property
    def _options(self) -> StorageOptions:
        """Options of the configuration; what they leave out is as the provider has it."""
        default = StorageOptions.model_validate(
            {"anon": True} | (self.provider.storage_options or {})
        )
        own = self.store_params.storage_options
        if own is None:
            return default
        if own.endpoint_url or (own.client_kwargs and own.client_kwargs.endpoint_url):
            left = {"requester_pays"}
        else:
            left = {"requester_pays", "endpoint_url", "client_kwargs"}
        left -= own.model_fields_set
        return own.model_copy(update={name: getattr(default, name) for name in left})

    @property
    def _address(self) -> str:
        params = self.store_params
        if params.provider is not None and params.url is None and params.root is None:
            return PROVIDERS[params.provider].url
        return str(params.url or params.root)

    @classmethod
    def params_of(cls, endpoint: str | None, signed: bool) -> dict[str, Any]:
        """Return ``storage_options``, if an S3 server or keys are requested."""
        return S3Store.params_of(endpoint, signed) if endpoint or signed else {}
