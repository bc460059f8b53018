"""From a configuration and the catalog to jobs: the last that sees both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stacbuild.config import GridMapping
from stacbuild.planning.fingerprint import Inputs, inputs_of, settings_of
from stacbuild.planning.grids import check_pixels, known_grid
from stacbuild.planning.job import Job, Source
from stacbuild.planning.sources import Sources, look, source_collections, variable_items
from stacbuild.stac.catalog import slug
from stacbuild.storage.kinds import storage_of
from stacbuild.storage.output import Output
from stacbuild.storage.ownership import written_before

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Config, Dataset, SourceVariable
    from stacbuild.geo.bbox import BBox
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.estimate import Estimate
    from stacbuild.profiles import Profiles
    from stacbuild.stac.catalog import Catalog


def collection_id(config: Config) -> str:
    """Return the id of the collection that a configuration's cubes go to."""
    stem = config.path.stem if config.path else "cubes"
    return slug(stem.removesuffix("_config").removesuffix("-config"))


def output_of(config: Config, dataset: Dataset, catalog: Catalog) -> Output:
    """Return where the cube of a dataset goes, and whose it is."""
    return Output(
        storage_of(config.storage),
        dataset.identifier,
        catalog,
        collection_id(config),
        config.path,
        dataset.format_id,
    )


def output_named(config: Config, name: str, catalog: Catalog) -> Output:
    """Return where a cube goes, of a dataset or of one that the configuration has no more."""
    for dataset in config.datasets:
        if dataset.identifier == name:
            return output_of(config, dataset, catalog)
    storage = storage_of(config.storage)
    return Output(storage, name, catalog, collection_id(config), config.path)


@dataclass(frozen=True)
class Resolver:
    """What is resolved for each dataset of a configuration, and what all of them share.

    Parameters
    ----------
    bbox
        West, south, east, north in the grid's CRS, if only that part of each cube is meant.
    """

    config: Config
    catalog: Catalog
    profiles: Profiles
    bbox: BBox | None = None

    def output(self, dataset: Dataset) -> Output:
        """Return where the cube of a dataset goes, and whose it is."""
        return output_of(self.config, dataset, self.catalog)

    def grid(self, dataset: Dataset) -> Grid | None:
        """Return the grid as far as the catalog tells; None if its source is not harvested yet.

        Raises
        ------
        ConfigError, BuildError
            As `stacbuild.planning.grids.known_grid`, or if it has too many pixels.
        """
        grid = known_grid(self.config, dataset, self.catalog, self.bbox)
        if grid is not None:
            check_pixels(grid)
        return grid

    def sources(self, dataset: Dataset) -> Sources:
        """Look up the items of each variable of a dataset; nothing is fetched."""
        return look(self.config, dataset.variables, self.catalog, self.profiles)

    def inputs(self, dataset: Dataset, grid: Grid, items: Sequence[pystac.Item]) -> Inputs:
        """Take the digests of all that a cube of these items is made of."""
        settings = settings_of(self.config, dataset, grid, boxed=self.bbox is not None)
        return inputs_of(dataset, settings, items, source_collections(self.catalog, items))

    def estimate(
        self, dataset: Dataset, grid: Grid, found: Sequence[Sequence[pystac.Item]]
    ) -> Estimate:
        """Estimate what a cube will be and cost, and refuse one that the disk has no room for."""
        # Imported when used: it takes a second.
        from stacbuild.planning.estimate import check_space, estimate

        output = self.output(dataset)
        expected = estimate(dataset, grid, found, output.storage, output.item())
        check_space(output, expected, written_before(output))
        return expected

    def job(
        self,
        dataset: Dataset,
        grid: Grid,
        found: Sequence[Sequence[pystac.Item]],
    ) -> Job:
        """Put together what a build needs.

        Parameters
        ----------
        found
            The items of each variable, all of them ready to be read.
        """
        output, items = self.output(dataset), [item for items in found for item in items]
        return Job(
            output=output,
            dataset=dataset,
            grid=grid,
            sources=tuple(
                Source(variable, tuple(items), self._storage_options(variable, items))
                for variable, items in zip(dataset.variables, found, strict=True)
            ),
            collections=tuple(source_collections(self.catalog, items)),
            inputs=self.inputs(dataset, grid, items),
            expression=_expression(self.config, dataset),
            scheduler=self.config.general.dask_scheduler,
            zarr_format=self.config.general.zarr_format,
            before=output.item(),
        )

    def harvested(self, dataset: Dataset) -> Job:
        """Harvest what the catalog lacks for a cube, and resolve its job.

        Whether it can be stored is not checked: see `estimate`.

        Raises
        ------
        StacbuildError
            What the harvester of a missing source raises, and all that refuses the cube.
        """
        found = self._harvest(dataset, dataset.variables)
        output = self.output(dataset)
        output.storage.check_sources(output, (item for items in found for item in items))
        of = self.config.grid_of(dataset)
        if not isinstance(of, GridMapping) and of is not dataset:
            self._harvest(of, of.variables[:1])
        grid = self.grid(dataset)
        assert grid is not None  # noqa: S101 - was harvested
        return self.job(dataset, grid, found)

    def _harvest(
        self, dataset: Dataset, variables: Sequence[SourceVariable]
    ) -> list[list[pystac.Item]]:
        return variable_items(self.config, dataset, variables, self.catalog, self.profiles)

    def _storage_options(
        self, variable: SourceVariable, items: Sequence[pystac.Item]
    ) -> dict[str, Any]:
        store = self.config.store(variable.store)
        # A catalog of others may have files that are not on S3.
        return store.s3_options if all(map(_is_on_s3, items)) else {}


def _is_on_s3(item: pystac.Item) -> bool:
    return "s3" in item.assets["data"].extra_fields.get("alternate", {})


def _expression(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return the part of the resolved configuration that this cube depends on."""
    resolved = config.resolved()
    stores = {variable.store for variable in dataset.variables} | {"storage"}

    def named(section: str, names: set[str]) -> list[Any]:
        return [entry for entry in resolved.get(section, []) if entry["identifier"] in names]

    grid = config.grid_of(dataset)
    taken = {"grid_mapping": grid.identifier}
    if not isinstance(grid, GridMapping):
        # With the dataset whose grid was taken over, and that one's store.
        stores |= {variable.store for variable in grid.variables}
        datasets = named("datasets", {dataset.identifier, grid.identifier})
        return {
            "datasets": [
                entry | ({} if entry["identifier"] == grid.identifier else taken)
                for entry in datasets
            ],
            "data_stores": named("data_stores", stores),
        }
    return {
        # By the grid's own name: it may have been taken over from a dataset that is not in here.
        "datasets": [entry | taken for entry in named("datasets", {dataset.identifier})],
        "data_stores": named("data_stores", stores),
        "grid_mappings": named("grid_mappings", {grid.identifier}),
    }
