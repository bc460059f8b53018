"""The stores of the configuration: where data come from, and where cubes go.

Each has a ``key``, the canonical address that its items carry in the catalog, so that the same
source is found again whatever a configuration calls it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator

from stacbuild.config.types import DataId, LocalPath, Located, Model, Name, Secret, Text, Url
from stacbuild.safe_text import remember_secret

ZENODO_API = "https://zenodo.org/api"
CLMS_API = "https://land.copernicus.eu/api"
S3_HOST = "s3.amazonaws.com"
_AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _api(configured: str | None, variable: str, default: str) -> str:
    return (configured or os.environ.get(variable) or default).rstrip("/")


def _record(value: Any) -> Any:
    # A record number without quotes is a number to YAML; it is unmistakable all the same.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        msg = 'has to be the number of a Zenodo record, such as "13333034"'
        raise ValueError(msg)
    return text


def _bucket(value: str) -> str:
    if "://" in value or not value.strip("/"):
        msg = 'has to be "bucket" or "bucket/prefix", without s3:// (the server is endpoint_url)'
        raise ValueError(msg)
    return value


class CacheParams(Model):
    """Where a store keeps what it fetched."""

    root: LocalPath
    """A folder, relative to the configuration."""


class _Cached(Model):
    cache_store_id: Literal["file"] = "file"
    """Kind of store that keeps what was fetched: a folder."""
    cache_store_params: CacheParams | None = None
    """Which folder; by default `zenodo_cache` or `clms_cache` beside the configuration."""


class ZenodoParams(_Cached):
    """``root`` is the number of the record."""

    root: Annotated[str, BeforeValidator(_record)]
    """Number of the record, such as "13333034"."""
    endpoint_url: Url | None = None
    """Root of the API; by default that of the environment variable `STACBUILD_ZENODO_API`, else
    `https://zenodo.org/api`."""
    access_token: Secret | None = None
    """Token for a record that is not open; none by default. It goes to the API's host only."""


class ZenodoStore(Located):
    """The files of one Zenodo record."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["zenodo"]
    """Kind of store."""
    store_params: ZenodoParams
    """Which record, and how it is reached."""

    @property
    def key(self) -> str:
        """``zenodo:<record>``."""
        return f"zenodo:{self.record}"

    @property
    def record(self) -> str:
        """Number of the record."""
        return self.store_params.root

    @property
    def api(self) -> str:
        """Root of the API, without trailing slash."""
        return _api(self.store_params.endpoint_url, "STACBUILD_ZENODO_API", ZENODO_API)

    @property
    def access_token(self) -> SecretStr | None:
        """Token for records that are not open."""
        return self.store_params.access_token

    @property
    def cache(self) -> Path:
        """Absolute folder that fetched files go to, in a folder a record."""
        params = self.store_params.cache_store_params
        return self._absolute(params.root if params else "zenodo_cache")


class ClientParams(Model):
    """The part of boto's client arguments that says where the server is."""

    endpoint_url: Url | None = None
    """URL of the server; the same as `endpoint_url` one level up, give one of them."""
    region_name: Text | None = None
    """Region of the bucket, such as `eu-central-1`; by default what the AWS settings of this
    machine say."""


class StorageOptions(Model):
    """How s3fs reaches the server; the keys are those of s3fs."""

    anon: bool = False
    """Whether requests go unsigned, as open buckets need it."""
    key: Secret | None = None
    """Access key id, together with `secret`; by default what the AWS settings of this machine say
    (`AWS_ACCESS_KEY_ID`, ...)."""
    secret: Secret | None = None
    """Secret access key, together with `key`."""
    token: Secret | None = None
    """Session token of temporary keys."""
    endpoint_url: Url | None = None
    """URL of the server; that of AWS by default."""
    client_kwargs: ClientParams | None = None
    """Further arguments of boto's client."""

    @model_validator(mode="after")
    def _consistent(self) -> StorageOptions:
        if self.anon and (self.key or self.secret or self.token):
            msg = "anon is true, yet there is a key, secret or token: remove one of them"
            raise ValueError(msg)
        if (self.key is None) != (self.secret is None):
            msg = "key and secret go together: one of them is missing"
            raise ValueError(msg)
        client = self.client_kwargs
        if client and client.endpoint_url and self.endpoint_url:
            msg = "endpoint_url is given here and in client_kwargs: remove one of them"
            raise ValueError(msg)
        return self


class S3Params(Model):
    """``root`` is ``bucket`` or ``bucket/prefix``."""

    root: Annotated[DataId, BeforeValidator(lambda v: _bucket(v) if isinstance(v, str) else v)]
    """`bucket` or `bucket/prefix`; data ids are relative to it."""
    storage_options: StorageOptions = StorageOptions()
    """How the server is reached."""


class S3Store(Located):
    """A bucket, or a prefix in one, on any S3 server."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["s3"]
    """Kind of store."""
    store_params: S3Params
    """Which bucket, and how it is reached."""

    @property
    def key(self) -> str:
        """``s3:<host[:port]>/<root>``."""
        host = urlsplit(self.endpoint_url).netloc if self.endpoint_url else S3_HOST
        return f"s3:{host}/{self.root}"

    @property
    def root(self) -> str:
        """``bucket`` or ``bucket/prefix``, without slashes around."""
        return self.store_params.root.strip("/")

    @property
    def endpoint_url(self) -> str | None:
        """URL of the server; none means AWS."""
        options = self.store_params.storage_options
        client = options.client_kwargs
        return options.endpoint_url or (client.endpoint_url if client else None)

    @property
    def anonymous(self) -> bool:
        """Whether requests go unsigned."""
        return self.store_params.storage_options.anon

    @property
    def storage_options(self) -> dict[str, Any]:
        """Arguments for ``s3fs.S3FileSystem``, **with** the secrets in plain text."""
        options = self.store_params.storage_options
        plain: dict[str, Any] = {"anon": options.anon}
        for name in ("key", "secret", "token"):
            if (value := getattr(options, name)) is not None:
                plain[name] = value.get_secret_value()
        if not options.anon and options.key is None:
            # Where boto looks by itself.
            for name in _AWS_VARIABLES:
                remember_secret(os.environ.get(name, ""))
        if self.endpoint_url:
            plain["endpoint_url"] = self.endpoint_url
        if options.client_kwargs and options.client_kwargs.region_name:
            plain["client_kwargs"] = {"region_name": options.client_kwargs.region_name}
        return plain

    def https_url(self, path: str) -> str:
        """Path-style URL of an object, percent-quoted."""
        server = self.endpoint_url or f"https://{S3_HOST}"
        return f"{server}/{quote(f'{self.root}/{path}')}"

    def s3_url(self, path: str) -> str:
        """``s3://bucket/[prefix/]path``."""
        return f"s3://{self.root}/{path}"


class FileParams(Model):
    """``root`` is a folder."""

    root: LocalPath
    """A folder, relative to the configuration; data ids are relative to it."""


class FileStore(Located):
    """A folder on this machine."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["file"]
    """Kind of store."""
    store_params: FileParams
    """Which folder."""

    @property
    def key(self) -> str:
        """``file:<root as written>``."""
        return f"file:{self.store_params.root}"

    @property
    def root(self) -> Path:
        """Absolute folder."""
        return self._absolute(self.store_params.root)


class HttpsParams(Model):
    """``root`` is a URL; without a scheme it is taken for https, as the notebook's tool does."""

    root: Annotated[
        Url,
        BeforeValidator(lambda v: f"https://{v}" if isinstance(v, str) and "://" not in v else v),
    ]
    """A URL, `https://` unless it says otherwise; data ids are relative to it."""


class HttpsStore(Located):
    """Files under a URL."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
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


class MemoryParams(Model):
    """``root`` is a folder in memory."""

    root: Text = "stacbuild"
    """A folder in the memory of the process."""


class MemoryStore(Located):
    """Memory of this process; cubes only, for trying things out."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["memory"]
    """Kind of store."""
    store_params: MemoryParams = MemoryParams()
    """Which folder in memory."""

    @property
    def key(self) -> str:
        """``memory:<root>``."""
        return f"memory:{self.root}"

    @property
    def root(self) -> str:
        """Folder in fsspec's memory file system."""
        return self.store_params.root.strip("/")


def _filled(value: Any) -> Any:
    # The file from the portal, pasted into a configuration, has fields without a value (ip_range).
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class ClmsParams(_Cached):
    """``credentials`` is the path of the JSON file from the portal, or its content."""

    credentials: (
        Annotated[
            Annotated[LocalPath, Tag("path")]
            | Annotated[dict[str, Secret], BeforeValidator(_filled), Tag("inline")],
            Discriminator(lambda value: "inline" if isinstance(value, dict) else "path"),
        ]
        | None
    ) = None
    """The JSON file from the profile on the portal, relative to the configuration, or its content
    as a mapping; a product that is not in the cache cannot be requested without."""
    endpoint_url: Url | None = None
    """Root of the API; by default that of the environment variable `STACBUILD_CLMS_API`, else
    `https://land.copernicus.eu/api`."""


class ClmsStore(Located):
    """The download service of the Copernicus Land Monitoring Service."""

    identifier: Name
    """Name of the store, as datasets refer to it."""
    store_id: Literal["clms"]
    """Kind of store."""
    store_params: ClmsParams
    """How the service is reached."""

    @property
    def key(self) -> str:
        """``clms``."""
        return "clms"

    @property
    def api(self) -> str:
        """Root of the API, without trailing slash."""
        return _api(self.store_params.endpoint_url, "STACBUILD_CLMS_API", CLMS_API)

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

    @property
    def cache(self) -> Path:
        """Absolute folder that fetched products go to."""
        params = self.store_params.cache_store_params
        return self._absolute(params.root if params else "clms_cache")


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
        return str(path if path.suffix == ".json" else path / "catalog.json")

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


Store = ZenodoStore | S3Store | FileStore | HttpsStore | MemoryStore | ClmsStore | StacStore
"""Any store of a configuration; ``store_id`` tells them apart."""

AnyStore = Annotated[Store, Field(discriminator="store_id")]
