"""What a build would do with each cube, and why; `stacbuild.cubes.build` asks the same function.

Nothing is fetched: it compares what the catalog holds with what the cube's item says that it was
made of. Only for cubes in a bucket is the server asked, whether the cube is still there. What only
a cube that is to be built needs is imported for that, so that nothing to do is soon said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stacbuild.catalog import Catalog, slug
from stacbuild.config import MemoryStore
from stacbuild.config.overlaps import check_catalog_folder
from stacbuild.cubes.fingerprint import (
    FINGERPRINT,
    INPUTS,
    changes,
    fingerprint,
    inputs_of,
    other_software,
)
from stacbuild.cubes.forms import check_form, data_path
from stacbuild.cubes.grids import check_pixels, described_grid, grid_name, known_grid
from stacbuild.cubes.own_sources import check_sources
from stacbuild.cubes.ownership import Place, check_item, check_place
from stacbuild.cubes.presence import absence, written_before
from stacbuild.cubes.sources import Sources, look, source_collections
from stacbuild.errors import ConfigError, ConflictError, StacbuildError, failure_of
from stacbuild.harvesters import load_profiles

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Config, Dataset
    from stacbuild.cubes.estimate import Estimate
    from stacbuild.grid import Grid
    from stacbuild.profiles import Profiles

Box = tuple[float, float, float, float]
Action = Literal["create", "rebuild", "up to date", "conflict", "fails"]

# Reasons that are told in full; of more it is told how many.
_TOLD = 3


@dataclass(frozen=True)
class CubePlan:
    """What a build would do with one cube.

    Parameters
    ----------
    name
        Identifier of the dataset.
    reasons
        Why it is to be built, each on its own; empty if it is up to date.
    grid
        Of the cube; None if it is that of a source which is not harvested yet.
    href
        Where it is, or will be if that is known before.
    item
        The file of its item; None if the catalog has none.
    code
        Custom functions that a build runs, as ``<file>:<function>``.
    harvest
        What has to be harvested or fetched first: ``<store>: <data id>: <why>``.
    made_with
        Software that made the cube in another version than is there now: ``<name> <version>, now
        <version>``. It is no reason to build it again.
    expected
        What it will be and cost; None for one that is up to date.
    error
        Why it fails.
    """

    name: str
    action: Action
    reasons: tuple[str, ...]
    grid: Grid | None
    href: str | None = None
    item: str | None = None
    code: tuple[str, ...] = ()
    harvest: tuple[str, ...] = ()
    made_with: tuple[str, ...] = ()
    expected: Estimate | None = field(default=None)
    error: StacbuildError | None = None

    @property
    def reason(self) -> str:
        """The reasons in one line."""
        more = f"; and {len(self.reasons) - _TOLD} more" if len(self.reasons) > _TOLD else ""
        return "; ".join(self.reasons[:_TOLD]) + more

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data; bytes are whole numbers, null where not known."""
        expected = self.expected
        return {
            "name": self.name,
            "action": self.action,
            "reason": self.reason,
            "reasons": list(self.reasons),
            "href": self.href,
            "item": self.item,
            "shape": list(self.grid.shape) if self.grid else None,
            "crs": f"EPSG:{self.grid.epsg}" if self.grid else None,
            "bbox": list(self.grid.bounds) if self.grid else None,
            "note": self.grid.note or None if self.grid else None,
            "variables": [
                {
                    "name": each.name,
                    "dtype": each.dtype,
                    "dims": list(each.dims),
                    "shape": list(each.shape),
                    "chunks": list(each.chunks),
                }
                for each in (expected.variables if expected else ())
            ],
            "harvest": list(self.harvest),
            "custom_code": list(self.code),
            "made_with": list(self.made_with),
            "bytes_to_fetch": expected.fetch if expected else 0,
            "bytes_to_write": expected.write if expected else 0,
            "peak_memory": expected.memory if expected else 0,
            "free_disk": expected.free if expected else None,
        }


def collection_id(config: Config) -> str:
    """Return the id of the collection that a configuration's cubes go to."""
    stem = config.path.stem if config.path else "cubes"
    return slug(stem.removesuffix("_config").removesuffix("-config"))


def place_of(config: Config, dataset: Dataset, catalog: Catalog) -> Place:
    """Return where the cube of a dataset goes, and whose it is."""
    return Place(
        config.storage,
        dataset.identifier,
        catalog,
        collection_id(config),
        config.path,
        dataset.format_id,
    )


def plan(
    config: Config,
    catalog_dir: Path,
    datasets: Sequence[str] = (),
    bbox: Box | None = None,
    *,
    force: bool = False,
) -> list[CubePlan]:
    """Return what a build would do with each cube, and why.

    Parameters
    ----------
    config
        The configuration.
    catalog_dir
        The folder of ``catalog.json``.
    datasets
        Identifiers of the datasets; all if empty.
    bbox
        West, south, east, north in the grid's CRS, as for a build.
    force
        Whether to build what is up to date, too.

    Returns
    -------
    One plan a cube, in order. A cube that cannot be built is a plan with the action ``fails``, and
    one with the action ``conflict`` if something lies in its place that stacbuild did not make.

    Raises
    ------
    ConfigError
        If there is no such dataset, or the box does not lie on a grid.
    """
    chosen = [config.dataset(name) for name in datasets] or list(config.datasets)
    for dataset in chosen:
        try:
            described_grid(config, dataset, bbox)
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001, S112 - of this dataset only, whose plan says it below
            continue
    check_catalog_folder(config, catalog_dir)
    profiles, catalog = load_profiles(config), Catalog(catalog_dir)
    return [_plan(config, dataset, catalog, profiles, bbox, force) for dataset in chosen]


def _plan(
    config: Config,
    dataset: Dataset,
    catalog: Catalog,
    profiles: Profiles,
    bbox: Box | None,
    force: bool,
) -> CubePlan:
    name, collection = dataset.identifier, collection_id(config)
    code = tuple(
        dict.fromkeys(
            f"{custom.file.name}:{custom.function_name}"
            for variable in dataset.variables
            if (custom := variable.custom_processing)
        )
    )
    place = data_path(config.storage, dataset)
    planned = CubePlan(name, "create", (), None, str(place) if place else None, code=code)
    try:
        check_form(config, dataset)
        grid = known_grid(config, dataset, catalog, bbox)
        planned = replace(planned, grid=grid)
        if grid is not None:
            check_pixels(grid_name(config, dataset), grid)
        target = place_of(config, dataset, catalog)
        check_item(target)
        before = catalog.get(collection, name)
        sources = look(config, dataset.variables, catalog, profiles)
        check_sources(target, (item for items in sources.items for item in items))
        if before is not None:
            path = str(catalog.item_path(collection, name))
            planned = replace(
                planned,
                action="rebuild",
                href=before.assets["data"].href,
                item=path,
                made_with=tuple(other_software(before)),
            )
        reasons = _reasons(config, dataset, grid, catalog, sources, before, bbox is not None)
        if force and not reasons:
            reasons = ["--force"]
        if not reasons:
            return replace(planned, action="up to date")
        check_place(target)
        needed = {**sources.absent, **sources.changed}
        planned = replace(
            planned,
            reasons=tuple(reasons),
            harvest=tuple(f"{store}: {data_id}: {why}" for (store, data_id), why in needed.items()),
        )
        if grid is None:
            return planned
        # Imported when used: it takes a second.
        from stacbuild.cubes.estimate import check_space, estimate

        expected = estimate(config, dataset, grid, sources.items, before=before)
        check_space(config, dataset, expected, written_before(config, catalog, name))
    except ConflictError as error:
        return replace(planned, action="conflict", reasons=(str(error),), error=error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is this cube's
        return _failing(planned, failure_of(error, name))
    return replace(planned, expected=expected)


def _failing(planned: CubePlan, error: StacbuildError) -> CubePlan:
    return replace(planned, action="fails", reasons=(str(error),), error=error)


def _reasons(
    config: Config,
    dataset: Dataset,
    grid: Grid | None,
    catalog: Catalog,
    sources: Sources,
    before: pystac.Item | None,
    boxed: bool,
) -> list[str]:
    if before is None:
        return [
            "in memory only" if isinstance(config.storage, MemoryStore) else "not in the catalog"
        ]
    reasons = [f"source {data_id}: {why}" for (_, data_id), why in sources.changed.items()]
    items = [item for found in sources.items for item in found]
    if grid is None:
        reasons.append(f"its grid, {grid_name(config, dataset)}, is not known yet")
    elif all(sources.items):
        inputs = inputs_of(
            config,
            dataset,
            grid,
            boxed=boxed,
            sources=items,
            collections=source_collections(catalog, items),
        )
        known = before.properties.get(INPUTS)
        if known is None:
            reasons.append("its item does not say what it was made of")
        else:
            reasons += changes(known, inputs, grid_name(config, dataset))
            if before.properties.get(FINGERPRINT) != fingerprint(known):
                reasons.append("its fingerprint is not that of what it was made of")
    return reasons + absence(config, catalog, dataset, before)
