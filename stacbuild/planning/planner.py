"""What a build would do with each cube, and why; `stacbuild.building.build` asks the same function.

Nothing is fetched: it compares what the catalog holds with what the cube's item says that it was
made of. Only for cubes in a bucket is the server asked, whether the cube is still there. What only
a cube that is to be built needs is imported for that, so that nothing to do is soon said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stacbuild.config.overlaps import check_catalog_folder
from stacbuild.errors import ConfigError, ConflictError, StacbuildError, failure_of
from stacbuild.planning.fingerprint import changes, fingerprint, other_software
from stacbuild.planning.grids import described_grid, grid_name
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
    from stacbuild.planning.job import Job
    from stacbuild.planning.sources import Sources

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
    job
        What a build runs; None if there is nothing to do, or sources have to be harvested first.
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
    resolver, chosen = resolver_of(config, catalog_dir, datasets, bbox)
    return [plan_one(resolver, dataset, force=force) for dataset in chosen]


def resolver_of(
    config: Config, catalog_dir: Path, datasets: Sequence[str], bbox: BBox | None
) -> tuple[Resolver, list[Dataset]]:
    """Return what resolves the cubes of a configuration, and the datasets that are meant.

    Raises
    ------
    ConfigError
        As `plan`.
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
    return Resolver(config, Catalog(catalog_dir), load_profiles(config), bbox), chosen


def plan_one(resolver: Resolver, dataset: Dataset, *, force: bool) -> CubePlan:
    """Return the plan of one cube, as `plan` does of each."""
    output = resolver.output(dataset)
    code = tuple(
        dict.fromkeys(
            f"{custom.file.name}:{custom.function_name}"
            for variable in dataset.variables
            if (custom := variable.custom_processing)
        )
    )
    href = str(output.data_path) if output.data_path else None
    planned = CubePlan(dataset.identifier, "create", (), None, href, code=code)
    try:
        check_format(output)
        planned = replace(planned, grid=resolver.grid(dataset))
        check_item(output)
        before = output.item()
        sources = resolver.sources(dataset)
        output.storage.check_sources(output, (item for items in sources.items for item in items))
        if before is not None:
            planned = replace(
                planned,
                action="rebuild",
                href=before.assets["data"].href,
                item=str(output.catalog.item_path(output.collection, output.identifier)),
                made_with=tuple(other_software(before)),
            )
        reasons = _reasons(resolver, dataset, planned.grid, sources, before)
        if force and not reasons:
            reasons = ["--force"]
        if not reasons:
            return replace(planned, action="up to date")
        check_output(output)
        needed = {**sources.absent, **sources.changed}
        planned = replace(
            planned,
            reasons=tuple(reasons),
            harvest=tuple(f"{store}: {data_id}: {why}" for (store, data_id), why in needed.items()),
        )
        if planned.grid is None:
            return planned
        expected = resolver.estimate(dataset, planned.grid, sources.items)
        job = None if needed else resolver.job(dataset, planned.grid, sources.items)
    except ConflictError as error:
        return replace(planned, action="conflict", reasons=(str(error),), error=error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is this cube's
        failure = failure_of(error, dataset.identifier)
        return replace(planned, action="fails", reasons=(str(failure),), error=failure)
    return replace(planned, expected=expected, job=job)


def _reasons(
    resolver: Resolver,
    dataset: Dataset,
    grid: Grid | None,
    sources: Sources,
    before: pystac.Item | None,
) -> list[str]:
    output = resolver.output(dataset)
    if before is None:
        return [str(absence(output, None))]
    reasons = [f"source {data_id}: {why}" for (_, data_id), why in sources.changed.items()]
    items = [item for found in sources.items for item in found]
    if grid is None:
        reasons.append(f"its grid, {grid_name(resolver.config, dataset)}, is not known yet")
    elif all(sources.items):
        known = before.properties.get(INPUTS)
        if known is None:
            reasons.append("its item does not say what it was made of")
        else:
            reasons += changes(known, resolver.inputs(dataset, grid, items), grid.name)
            if before.properties.get(FINGERPRINT) != fingerprint(known):
                reasons.append("its fingerprint is not that of what it was made of")
    absent = absence(output, before)
    return [*reasons, absent] if absent else reasons
