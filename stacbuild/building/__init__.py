"""Items to cubes: plan what is to be done, and do it, a cube at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stacbuild import progress
from stacbuild.building.leftovers import tell_of_forgotten, tidy
from stacbuild.errors import StacbuildError, failure_of
from stacbuild.planning.grids import Box
from stacbuild.planning.planner import CubePlan, plan_one, resolver_of
from stacbuild.planning.resolve import Resolver
from stacbuild.progress import Reporter
from stacbuild.runs import one_run
from stacbuild.sources.unmatched import tell_of_unmatched

if TYPE_CHECKING:
    from stacbuild.config import Config


@dataclass(frozen=True)
class CubeResult:
    """What became of one cube.

    Parameters
    ----------
    name
        Identifier of the dataset.
    href
        Path or URL of the cube; None if it failed.
    item
        Path of its STAC item; None if it failed or lives in memory only.
    """

    name: str
    status: Literal["COMPLETED", "UP TO DATE", "FAILED"]
    message: str
    seconds: float
    href: str | None = None
    item: str | None = None
    error: StacbuildError | None = None


def build(
    config: Config,
    catalog_dir: Path,
    *,
    datasets: Sequence[str] = (),
    bbox: Box | None = None,
    force: bool = False,
    wait: bool = False,
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Build the cubes of a configuration that are not up to date.

    Parameters
    ----------
    config
        The configuration.
    catalog_dir
        The folder of ``catalog.json``, which is read and added to.
    datasets
        Identifiers of the datasets to build; all if empty.
    bbox
        West, south, east, north in the grid's CRS: build only the pixels of the grid whose
        centres lie in this box.
    force
        Whether to build what is up to date, too.
    wait
        Whether to wait for another run that writes a cube of these; it fails otherwise.

    Returns
    -------
    One result a cube, in order. A failure is a result with its error; the others go on.

    Raises
    ------
    ConfigError
        If there is no such dataset, or the box does not lie on a grid.
    """
    with progress.reported_to(reporter):
        resolver, chosen = resolver_of(config, catalog_dir, datasets, bbox)
        with one_run():
            # Planned one by one: what was built before counts.
            done = [
                _do(resolver, plan_one(resolver, dataset, force=force), wait) for dataset in chosen
            ]
        tell_of_forgotten(config, resolver.catalog)
        tell_of_unmatched(config, resolver.catalog, resolver.profiles)
    return done


def _do(resolver: Resolver, planned: CubePlan, wait: bool) -> CubeResult:
    start, name = time.monotonic(), planned.name
    if planned.error is not None:
        return CubeResult(name, "FAILED", str(planned.error), 0.0, error=planned.error)
    dataset = resolver.config.dataset(name)
    if planned.action == "up to date":
        assert planned.href is not None  # noqa: S101 - it was looked at there
        tidy(resolver.place(dataset))
        return CubeResult(name, "UP TO DATE", planned.href, 0.0, planned.href, planned.item)
    if planned.action == "rebuild":
        progress.say(f"{name}: is built again: {planned.reason}")
    try:
        # Imported when used: to see that there is nothing to do should take no longer than that.
        from stacbuild.building.make import make_cube

        job = planned.job
        if job is None:
            job = resolver.harvested(dataset)
            # Whether there is room for it was not known before.
            resolver.estimate(dataset, job.grid, [source.items for source in job.sources])
        href, item = make_cube(job, wait=wait)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is this cube's
        failed = failure_of(error, name)
        return CubeResult(name, "FAILED", str(failed), time.monotonic() - start, error=failed)
    return CubeResult(name, "COMPLETED", href, time.monotonic() - start, href, item)


__all__ = ["CubeResult", "build"]
