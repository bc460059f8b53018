"""`MultiSourceDataStore`: inspect a configuration, build it and open its data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stacbuild.building import CubeResult, build
from stacbuild.config import config_schema, load_config
from stacbuild.errors import StacbuildError, failures_of, raise_failures
from stacbuild.multistore.geolocations import Drawing, boxes, draw
from stacbuild.multistore.overview import ConfigSchema, config_table
from stacbuild.multistore.status import StatusTable
from stacbuild.multistore.stores import Stores
from stacbuild.multistore.tables import Table
from stacbuild.progress import duration
from stacbuild.sources import HarvestResult, harvest


class MultiSourceDataStore:
    """The interface of xcube-multistore's notebooks, for a configuration of stacbuild.

    Parameters
    ----------
    config
        The YAML file, or its content as a mapping, which is not modified.

    Raises
    ------
    ConfigError
        If the configuration is invalid; the message has one line per problem.
    """

    def __init__(self, config: str | os.PathLike[str] | Mapping[str, Any]) -> None:
        self._config = load_config(config)
        self._catalog_dir = self._config.directory / "catalogs"
        self._stores = Stores(self._config, self._catalog_dir)

    def __repr__(self) -> str:
        names = ", ".join(dataset.identifier for dataset in self._config.datasets)
        return f"MultiSourceDataStore({names})"

    @property
    def stores(self) -> Stores:
        """The stores, by identifier: ``stores.storage.open_data("gami.zarr")``."""
        return self._stores

    @staticmethod
    def get_config_schema() -> ConfigSchema:
        """Return the JSON Schema of configurations, shown as a collapsible tree in a notebook."""
        return ConfigSchema(config_schema())

    def display_config(self) -> Table:
        """Return a table with a row for each source; credentials are masked."""
        return config_table(self._config)

    def display_geolocations(self) -> Drawing:
        """Return a drawing of the grids, with an interactive map if folium is installed."""
        return draw(boxes(self._config))

    def generate(self) -> None:
        """Preload data, and build the cubes that are not up to date.

        Two tables show the progress: they are updated in a notebook, and printed to stdout
        elsewhere.

        Raises
        ------
        Failures
            If any data id or dataset failed; raised after all others are finished.
        """
        raise_failures(failures_of(self._preload()) + failures_of(self._build()))

    def _preload(self) -> list[HarvestResult]:
        wanted: dict[str, list[str]] = {}
        for entry in self._config.preload_datasets:
            wanted.setdefault(entry.store, []).extend(entry.data_ids)
        if not wanted:
            return []
        table = StatusTable([name for names in wanted.values() for name in names], live=self._live)
        results = []
        for store, names in wanted.items():
            table.begin(*names)
            found = harvest(self._config, self._catalog_dir, stores=(store,), reporter=table)
            results += found
            errors = {each.name: each.error for each in found if each.error is not None}
            for name in names:
                # A failure whose name is not a data id concerns the whole store.
                others = (error for key, error in errors.items() if key not in names)
                error = errors.get(name) or next(others, None)
                done = "Preloaded." if table.fetched else "Already preloaded."
                _end(table, name, done, error)
        table.close()
        return results

    def _build(self) -> list[CubeResult]:
        table = StatusTable([each.identifier for each in self._config.datasets], live=self._live)
        results = []
        for dataset in self._config.datasets:
            name = dataset.identifier
            table.begin(name)
            (result,) = build(self._config, self._catalog_dir, datasets=(name,), reporter=table)
            results.append(result)
            done = f"Dataset {name!r} finished: {duration(result.seconds)}"
            if result.status == "UP TO DATE":
                done = f"Dataset {name!r} is up to date."
            _end(table, name, done, result.error)
        table.close()
        return results

    @property
    def _live(self) -> bool | None:
        return self._config.general.visualize


def _end(table: StatusTable, name: str, done: str, error: StacbuildError | None) -> None:
    if error is None:
        table.set(name, "COMPLETED", done)
    else:
        table.set(name, "FAILED", "-", f"{type(error).__name__}: {error}")


__all__ = ["MultiSourceDataStore"]
