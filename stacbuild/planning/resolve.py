"""Resolve the datasets of a configuration to jobs, with the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stacbuild.config import GridMapping
from stacbuild.machine import memory_bytes
from stacbuild.planning.chunking import check_shards
from stacbuild.planning.cycles import check_cycle
from stacbuild.planning.fingerprint import REGION, Inputs, inputs_of, settings_of
from stacbuild.planning.grids import as_read, check_pixels, known_grid
from stacbuild.planning.job import Job, Skipped, Source, with_skipped
from stacbuild.planning.regions import region_digest, region_of
from stacbuild.planning.sources import (
    Sources,
    find_sources,
    source_collections,
    unread,
    variable_items,
)
from stacbuild.stac.catalog import slug
from stacbuild.stac.scenes import is_on_s3
from stacbuild.storage.kinds import storage_of
from stacbuild.storage.output import Output
from stacbuild.storage.ownership import resumable_bytes

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Config, Dataset, SourceVariable
    from stacbuild.geo.bbox import BBox
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.estimate import Estimate
    from stacbuild.profiles import Profiles
    from stacbuild.stac.catalog import Catalog

# Most memory that is used unless the configuration states how much.
_MEMORY = 4 * 10**9


def collection_id(config: Config) -> str:
    """Return the id of the collection of a configuration's cubes."""
    stem = config.path.stem if config.path else "cubes"
    return slug(stem.removesuffix("_config").removesuffix("-config"))


def output_of(config: Config, dataset: Dataset, catalog: Catalog) -> Output:
    """Return the output of a dataset."""
    return Output(
        storage_of(config.storage),
        dataset.identifier,
        catalog,
        collection_id(config),
        config.path,
        dataset.format_id,
    )


def output_named(config: Config, name: str, catalog: Catalog) -> Output:
    """Return the output of a dataset, which the configuration may no longer have."""
    for dataset in config.datasets:
        if dataset.identifier == name:
            return output_of(config, dataset, catalog)
    storage = storage_of(config.storage)
    return Output(storage, name, catalog, collection_id(config), config.path)


@dataclass(frozen=True)
class Resolver:
    """Resolves each dataset of a configuration.

    Parameters
    ----------
    bbox
        West, south, east, north in the grid's CRS, to build a part of each cube only.
    share
        Number of cubes that are built at the same time, between which the memory is divided.
    """

    config: Config
    catalog: Catalog
    profiles: Profiles
    bbox: BBox | None = None
    share: int = 1

    def output(self, dataset: Dataset) -> Output:
        """Return the output of a dataset."""
        return output_of(self.config, dataset, self.catalog)

    def grid(self, dataset: Dataset) -> Grid | None:
        """Return the grid of a dataset; None if it is that of a source that is not harvested.

        Raises
        ------
        ConfigError, BuildError
            As `stacbuild.planning.grids.known_grid`, or if it has too many pixels.
        """
        grid = known_grid(self.config, dataset, self.catalog, self.bbox)
        if grid is None:
            return None
        check_pixels(grid)
        shards = self.config.shards_of(dataset)
        grid = replace(grid, shards=shards if isinstance(shards, bool) else shards[::-1])
        check_shards(dataset, grid)
        return grid

    def sources(self, dataset: Dataset) -> Sources:
        """Return the items that the catalog has for each variable; nothing is fetched."""
        return find_sources(self.config, dataset.variables, self.catalog, self.profiles)

    def check_sources(self, dataset: Dataset, items: Sequence[pystac.Item]) -> None:
        """Check that a cube is not its own source, and would not overwrite its sources.

        Raises
        ------
        ConflictError
            If it is, or would.
        """
        output = self.output(dataset)
        output.storage.check_sources(output, items)
        check_cycle(output, items)

    def inputs(self, dataset: Dataset, grid: Grid, items: Sequence[pystac.Item]) -> Inputs:
        """Return the digests of everything that a cube of these items is made of."""
        settings = settings_of(self.config, dataset, grid, clipped=self.bbox is not None)
        inputs = inputs_of(dataset, settings, items, source_collections(self.catalog, items))
        region = region_digest(self.config, dataset)
        return inputs | ({REGION: region} if region else {})

    def estimate(
        self, dataset: Dataset, grid: Grid, found: Sequence[Sequence[pystac.Item]]
    ) -> Estimate:
        """Return the estimate of a cube, after checking that the disk has enough space."""
        # Imported late: it takes a second.
        from stacbuild.planning.estimate import check_space, estimate

        output = self.output(dataset)
        read = as_read(self.config, dataset, found[0])
        expected = estimate(read, grid, found, output, self.memory)
        check_space(output, expected, resumable_bytes(output))
        return expected

    @property
    def memory(self) -> int:
        """Bytes that what is computed at the same time may use."""
        whole = self.config.general.memory or min(_MEMORY, memory_bytes() // 4)
        return max(1, whole // self.share)

    def job(
        self,
        dataset: Dataset,
        grid: Grid,
        found: Sequence[Sequence[pystac.Item]],
        inputs: Inputs | None = None,
    ) -> Job:
        """Return the job of a dataset.

        Parameters
        ----------
        found
            The items of each variable, all of them described and present.
        inputs
            From `inputs`, if they are computed already.
        """
        output, items = self.output(dataset), [item for items in found for item in items]
        read = as_read(self.config, dataset, found[0])
        made_of = inputs or self.inputs(dataset, grid, items)
        skipped = tuple(dict.fromkeys(Skipped(**each) for each in unread(items)))
        return Job(
            output=output,
            dataset=dataset,
            grid=grid,
            sources=tuple(
                Source(variable, tuple(items), self._storage_options(variable, items))
                for variable, items in zip(read.variables, found, strict=True)
            ),
            collections=tuple(source_collections(self.catalog, items)),
            inputs=with_skipped(made_of, skipped),
            skipped=skipped,
            expression=_expression(self.config, dataset),
            scheduler=self.config.general.dask_scheduler,
            memory=self.memory,
            zarr_format=self.config.general.zarr_format,
            previous=output.item(),
            region=region_of(self.config, dataset),
        )

    def harvested(self, dataset: Dataset) -> Job:
        """Return the job of a dataset, after harvesting what the catalog lacks.

        It does not check that there is enough space: see `estimate`.

        Raises
        ------
        StacbuildError
            If a source cannot be harvested, or the cube cannot be built.
        """
        found = self._harvest(dataset, dataset.variables)
        self.check_sources(dataset, [item for items in found for item in items])
        mapping = self.config.grid_of(dataset)
        if not isinstance(mapping, GridMapping) and mapping is not dataset:
            self._harvest(mapping, mapping.variables[:1])
        grid = self.grid(dataset)
        assert grid is not None  # noqa: S101 - its source was harvested
        return self.job(dataset, grid, found)

    def _harvest(
        self, dataset: Dataset, variables: Sequence[SourceVariable]
    ) -> list[list[pystac.Item]]:
        return variable_items(self.config, dataset, variables, self.catalog, self.profiles)

    def _storage_options(
        self, variable: SourceVariable, items: Sequence[pystac.Item]
    ) -> dict[str, Any]:
        store = self.config.store(variable.store)
        # A third-party catalog may have files that are not on S3.
        return store.options_of(all(map(is_on_s3, items)))


def _expression(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return the part of the resolved configuration that this cube depends on."""
    grid = config.grid_of(dataset)
    used = [dataset.identifier]
    stores = {"storage", *(variable.store for variable in dataset.variables)}
    if not isinstance(grid, GridMapping) and grid.identifier != dataset.identifier:
        # With the dataset whose source has the grid, and its stores.
        used.append(grid.identifier)
        stores |= {variable.store for variable in grid.variables}
    # The grid itself, since grid_mapping may name another dataset that uses it.
    mapping = {"grid_mapping": grid.identifier}
    expression = {
        "datasets": [
            each if each["identifier"] == grid.identifier else each | mapping
            for each in config.resolved_entries("datasets", used)
        ],
        "data_stores": config.resolved_entries("data_stores", stores),
    }
    if isinstance(grid, GridMapping):
        expression["grid_mappings"] = config.resolved_entries("grid_mappings", [grid.identifier])
    return expression
