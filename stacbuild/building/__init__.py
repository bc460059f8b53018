"""Build cubes from items: plan each dataset, then run its job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stacbuild import progress
from stacbuild.building.leftovers import clean_up, warn_of_unfinished
from stacbuild.building.several import Admit, Together, of_remote_scenes
from stacbuild.errors import StacbuildError, failure_of
from stacbuild.geo.bbox import BBox
from stacbuild.planning.planner import CubePlan, plan_one, resolver_of
from stacbuild.planning.resolve import Resolver
from stacbuild.progress import Reporter
from stacbuild.runs import one_run
from stacbuild.sources.unmatched import warn_unmatched

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset
    from stacbuild.planning.estimate import Estimate
    from stacbuild.planning.job import Job


@dataclass(frozen=True)
class CubeResult:
    """The outcome of one cube.

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
    bbox: BBox | None = None,
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
        Folder of ``catalog.json``; items are read from it and added to it.
    datasets
        Identifiers of the datasets to build; all if empty.
    bbox
        West, south, east, north in the grid's CRS: build only the pixels of the grid whose
        centres lie inside.
    force
        Also rebuild cubes that are up to date.
    wait
        Wait for another run that is writing one of these cubes; without it, such a cube fails.

    Returns
    -------
    One result per cube, in order. A failed cube is a result with its error; the others are built.

    Raises
    ------
    ConfigError
        If a dataset does not exist, or the bbox does not intersect a grid.
    """
    with progress.reported_to(reporter):
        resolver, chosen = resolver_of(config, catalog_dir, datasets, bbox)
        with one_run():
            results = _results(resolver, chosen, force, wait)
        warn_of_unfinished(config, resolver.catalog)
        warn_unmatched(config, resolver.catalog, resolver.profiles)
        if any(result.status == "COMPLETED" for result in results):
            resolver.catalog.renew_mirrors()
    return results


def _results(
    resolver: Resolver, chosen: Sequence[Dataset], force: bool, wait: bool
) -> list[CubeResult]:
    def one(resolver: Resolver, dataset: Dataset, admit: Admit = _alone) -> CubeResult:
        return _run(resolver, plan_one(resolver, dataset, force=force), wait, admit)

    done: dict[str, CubeResult] = {}
    if remote := of_remote_scenes(resolver.config, chosen):
        done = Together(resolver, one).results(remote)
    # Planned one at a time, since a cube may share sources with the cubes before it.
    for dataset in chosen:
        if dataset.identifier not in done:
            done[dataset.identifier] = one(resolver, dataset)
    return [done[dataset.identifier] for dataset in chosen]


def _alone(job: Job, _: Estimate) -> AbstractContextManager[Job]:
    return nullcontext(job)


def _run(resolver: Resolver, planned: CubePlan, wait: bool, admit: Admit) -> CubeResult:
    start, name = time.monotonic(), planned.name
    if planned.error is not None:
        return CubeResult(name, "FAILED", str(planned.error), 0.0, error=planned.error)
    dataset = resolver.config.dataset(name)
    if planned.action == "up to date":
        assert planned.href is not None  # noqa: S101 - the plan opened the cube there
        clean_up(resolver.output(dataset))
        return CubeResult(name, "UP TO DATE", planned.href, 0.0, planned.href, planned.item)
    if planned.action == "rebuild":
        progress.say(f"{name}: rebuilding: {planned.reason}")
    try:
        # Imported late, so that a run with nothing to build starts fast.
        from stacbuild.building.make import make_cube

        job, expected = planned.job, planned.expected
        if job is None or expected is None:
            job = resolver.harvested(dataset)
            # Raises if there is not enough space, which was unknown before the harvest.
            found = [source.items for source in job.sources]
            expected = resolver.estimate(dataset, job.grid, found)
        with admit(job, expected) as admitted:
            href, item = make_cube(admitted, wait=wait)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an error fails this cube only
        failed = failure_of(error, name)
        return CubeResult(name, "FAILED", str(failed), time.monotonic() - start, error=failed)
    return CubeResult(name, "COMPLETED", href, time.monotonic() - start, href, item)


__all__ = ["CubeResult", "build"]
