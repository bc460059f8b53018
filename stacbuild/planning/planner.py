"""Plan what a build does with each cube, and why.

Nothing is fetched: the digests in the cube's item are compared with those of the configuration and
the catalog. Only for a cube in a bucket the server is asked whether it still exists. Modules that
only a build needs are imported late, so that a plan without work is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stacbuild.config.data_ids import short
from stacbuild.config.overlaps import check_catalog_folder
from stacbuild.errors import ConfigError, ConflictError, StacbuildError, failure_of
from stacbuild.planning.fingerprint import changes, fingerprint, other_software
from stacbuild.planning.grids import configured_grid, grid_name
from stacbuild.planning.resolve import Resolver
from stacbuild.sources import load_profiles
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.extensions import FINGERPRINT, INPUTS
from stacbuild.storage.ownership import absence, check_format, check_item, check_output

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import Config, Dataset
    from stacbuild.geo.bbox import BBox
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.estimate import Estimate
    from stacbuild.planning.fingerprint import Inputs
    from stacbuild.planning.job import Job
    from stacbuild.planning.sources import Sources

Action = Literal["create", "rebuild", "up to date", "conflict", "fails"]

# Reasons in one line; further ones are counted.
_MAX_REASONS = 3


@dataclass(frozen=True)
class CubePlan:
    """What a build would do with one cube.

    Parameters
    ----------
    name
        Identifier of the dataset.
    reasons
        Why it is built; empty if it is up to date.
    grid
        Its grid; None if it is that of a source that is not harvested yet.
    href
        Its path or URL, if known before the build.
    item
        The file of its item; None if the catalog has none.
    code
        Custom functions that a build runs, as ``<file>:<function>``.
    harvest
        Sources to harvest or fetch first, as ``<store>: <data id>: <why>``.
    made_with
        Software whose version changed since the cube was built, as ``<name> <version>, now
        <version>``. It is no reason to rebuild.
    expected
        Estimate of its size and cost; None if it is up to date.
    job
        The job that a build runs; None if it is up to date, or sources have to be harvested first.
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
    job: Job | None = field(default=None, repr=False)
    error: StacbuildError | None = None

    @property
    def reason(self) -> str:
        """The reasons in one line."""
        count = len(self.reasons) - _MAX_REASONS
        return "; ".join(self.reasons[:_MAX_REASONS]) + (f"; and {count} more" if count > 0 else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON data; sizes are integers, null where unknown."""
        expected = self.expected
        return {
            "name": self.name,
            "action": self.action,
            "reason": self.reason,
            "reasons": list(self.reasons),
            "href": self.href,
            "item": self.item,
            "shape": list(self.grid.shape) if self.grid else None,
            "crs": self.grid.crs if self.grid else None,
            "bbox": list(self.grid.bounds) if self.grid else None,
            "note": self.grid.note or None if self.grid else None,
            "variables": [
                {
                    "name": each.name,
                    "dtype": each.dtype,
                    "dims": list(each.dims),
                    "shape": list(each.shape),
                    "chunks": list(each.chunking.chunks),
                    "shards": list(each.chunking.shards) if each.chunking.shards else None,
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


def plan(
    config: Config,
    catalog_dir: Path,
    datasets: Sequence[str] = (),
    bbox: BBox | None = None,
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
        Also rebuild cubes that are up to date.

    Returns
    -------
    One plan per cube, in order. The action is ``fails`` if the cube cannot be built, and
    ``conflict`` if its path is occupied by something that stacbuild did not make.

    Raises
    ------
    ConfigError
        If a dataset does not exist, or the bbox does not intersect a grid.
    """
    resolver, chosen = resolver_of(config, catalog_dir, datasets, bbox)
    return [plan_one(resolver, dataset, force=force) for dataset in chosen]


def resolver_of(
    config: Config, catalog_dir: Path, datasets: Sequence[str], bbox: BBox | None
) -> tuple[Resolver, list[Dataset]]:
    """Return the resolver of a configuration, and the selected datasets.

    Raises
    ------
    ConfigError
        As `plan`.
    """
    chosen = [config.dataset(name) for name in datasets] or list(config.datasets)
    for dataset in chosen:
        try:
            configured_grid(config, dataset, bbox)
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001, S112 - fails this dataset only; reported in its plan
            continue
    check_catalog_folder(config, catalog_dir)
    return Resolver(config, Catalog(catalog_dir), load_profiles(config), bbox), chosen


def plan_one(resolver: Resolver, dataset: Dataset, *, force: bool) -> CubePlan:
    """Return the plan of one cube."""
    output = resolver.output(dataset)
    code = tuple(
        dict.fromkeys(
            custom.label for variable in dataset.variables if (custom := variable.custom_processing)
        )
    )
    href = str(output.data_path) if output.data_path else None
    planned = CubePlan(dataset.identifier, "create", (), None, href, code=code)
    try:
        check_format(output)
        planned = replace(planned, grid=resolver.grid(dataset))
        check_item(output)
        previous = output.item()
        sources = resolver.sources(dataset)
        items = [item for found in sources.items for item in found]
        resolver.check_sources(dataset, items)
        inputs = None
        if previous is not None:
            planned = replace(
                planned,
                action="rebuild",
                href=previous.assets["data"].href,
                item=str(output.catalog.item_path(output.collection, output.identifier)),
                made_with=tuple(other_software(previous)),
            )
            if planned.grid is not None and all(sources.items):
                inputs = resolver.inputs(dataset, planned.grid, items)
        reasons = _reasons(resolver, planned, sources, previous, inputs)
        if force and not reasons:
            reasons = ["--force"]
        if not reasons:
            return replace(planned, action="up to date")
        check_output(output)
        needed = {**sources.absent, **sources.changed}
        planned = replace(
            planned,
            reasons=tuple(reasons),
            harvest=tuple(
                f"{store}: {short(data_id)}: {why}" for (store, data_id), why in needed.items()
            ),
        )
        if planned.grid is None:
            return planned
        expected = resolver.estimate(dataset, planned.grid, sources.items)
        job = None if needed else resolver.job(dataset, planned.grid, sources.items, inputs)
    except ConflictError as error:
        return replace(planned, action="conflict", reasons=(str(error),), error=error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an error fails this cube only
        failure = failure_of(error, dataset.identifier)
        return replace(planned, action="fails", reasons=(str(failure),), error=failure)
    return replace(planned, expected=expected, job=job)


def _reasons(
    resolver: Resolver,
    planned: CubePlan,
    sources: Sources,
    previous: pystac.Item | None,
    inputs: Inputs | None,
) -> list[str]:
    dataset = resolver.config.dataset(planned.name)
    output = resolver.output(dataset)
    if previous is None:
        return [str(absence(output, None))]
    reasons = [f"source {short(data_id)}: {why}" for (_, data_id), why in sources.changed.items()]
    if planned.grid is None:
        reasons.append(f"its grid, {grid_name(resolver.config, dataset)}, is not known yet")
    elif inputs is not None:
        recorded = previous.properties.get(INPUTS)
        if recorded is None:
            reasons.append("its item does not record the inputs")
        else:
            reasons += changes(recorded, inputs, planned.grid.name)
            if previous.properties.get(FINGERPRINT) != fingerprint(recorded):
                reasons.append("its fingerprint does not match the recorded inputs")
    absent = absence(output, previous)
    return [*reasons, absent] if absent else reasons
