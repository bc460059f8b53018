"""Open data from the stores of a configuration: ``msds.stores.storage.open_data(...)``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.config import Config
from stacbuild.config.models import STORAGE
from stacbuild.errors import ConfigError, MissingError
from stacbuild.planning.resolve import output_of
from stacbuild.stac.catalog import DATA_ID, STORE, Catalog
from stacbuild.storage.formats import FORMATS

if TYPE_CHECKING:
    import xarray as xr

    from stacbuild.config import Dataset


class Stores:
    """The stores of a configuration, by attribute or by key."""

    def __init__(self, config: Config, catalog_dir: Path) -> None:
        self._stores = {
            store.identifier: DataStore(config, store.identifier, catalog_dir)
            for store in config.data_stores
        }

    def __getitem__(self, identifier: str) -> DataStore:
        if identifier not in self._stores:
            raise ConfigError(f"there is no store {identifier!r}; there are: {', '.join(self)}")
        return self._stores[identifier]

    def __getattr__(self, identifier: str) -> DataStore:
        stores = self.__dict__.get("_stores", {})
        if identifier not in stores:
            raise AttributeError(
                f"there is no store {identifier!r}; there are: {', '.join(stores)}"
            )
        found: DataStore = stores[identifier]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._stores]

    def __repr__(self) -> str:
        return f"Stores({', '.join(self)})"


class DataStore:
    """One store: its built cubes, or its harvested data ids."""

    def __init__(self, config: Config, identifier: str, catalog_dir: Path) -> None:
        self._config, self._store = config, config.store(identifier)
        self._catalog_dir = catalog_dir
        self._cubes = identifier == STORAGE

    def __repr__(self) -> str:
        return f"DataStore({self._store.identifier}, {self._store.store_id})"

    def list_data_ids(self) -> list[str]:
        """Return the sorted data ids of built cubes, or of harvested sources."""
        if self._cubes:
            return sorted(
                f"{dataset.identifier}{FORMATS[dataset.format_id].data_ending}"
                for dataset in self._config.datasets
                if self._cube(dataset) is not None
            )
        if not (self._catalog_dir / "catalog.json").exists():
            return []
        return sorted(
            {
                item.properties[DATA_ID]
                for item in Catalog(self._catalog_dir).items()
                if item.properties.get(STORE) == self._store.key
            }
        )

    def has_data(self, data_id: str) -> bool:
        """Return whether *data_id* is one of `list_data_ids`."""
        return data_id in self.list_data_ids()

    def open_data(self, data_id: str, *, chunks: dict[str, int] | None = None) -> xr.Dataset:
        """Open a cube or a harvested Zarr store lazily; values are masked and scaled.

        Parameters
        ----------
        data_id
            ``<dataset>.zarr``, ``.levels`` (finest level) or ``.nc`` for cubes; the data id of the
            configuration for sources.
        chunks
            Sizes of dask chunks by dimension; by default those of the store.

        Returns
        -------
        xarray.Dataset
            Lazy; integers with a fill value become floats with NaN, as in the case study's tool.

        Raises
        ------
        MissingError
            If it is not built or harvested yet.
        ConfigError
            If it is a raster file.
        """
        from stacbuild.formats.cube import open_cube_data

        href, options = self._address(data_id)
        return open_cube_data(href, options, chunks=chunks or {}, mask_and_scale=True)

    def _address(self, data_id: str) -> tuple[str, dict[str, Any] | None]:
        store = self._store
        if not self.has_data(data_id):
            existing = ", ".join(self.list_data_ids()) or "nothing yet"
            raise MissingError(
                f"{store.identifier}: there is no {data_id!r}; run generate() first "
                f"(there is: {existing})"
            )
        if self._cubes:
            found = self._cube(self._config.dataset(data_id.rpartition(".")[0]))
            assert found is not None  # noqa: S101 - checked by has_data
            return found
        href = self._source(data_id)
        on_s3 = href.startswith("s3://")
        return href, (store.storage_options if on_s3 else store.https_options) or None

    def _source(self, data_id: str) -> str:
        from stacbuild.formats.zarr_store import MEDIA_TYPE
        from stacbuild.planning.allowed import check_items

        items = Catalog(self._catalog_dir).find(self._store.key, data_id)
        check_items(items, self._config, self._store, self._catalog_dir)
        asset = items[0].assets["data"]
        if len(items) > 1 or asset.media_type != MEDIA_TYPE:
            raise ConfigError(
                f"{self._store.identifier}: {data_id!r} is not a Zarr store but "
                f"{len(items)} file(s); open the cube that is made from it instead"
            )
        if self._store.s3_options:
            other = asset.extra_fields.get("alternate", {}).get("s3", {}).get("href")
            return str(other or asset.href)
        return str(asset.href)

    def _cube(self, dataset: Dataset) -> tuple[str, dict[str, Any] | None] | None:
        output = output_of(self._config, dataset, Catalog(self._catalog_dir))
        return output.storage.find_cube(output)
