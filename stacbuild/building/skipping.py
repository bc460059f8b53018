"""Scenes that cannot be read: a cube fails with all of them, or is made without them.

A scene is left out of the whole cube, whatever the region or variable that needed it first. So all
files are opened before the cube is begun. Damage that only its pixels show begins the cube anew,
without that scene: the fingerprint of a job contains what is left out, and no region that has the
scene is resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar

from stacbuild import loading, progress
from stacbuild.errors import Failures, StacbuildError
from stacbuild.planning.job import Job, Skipped, Source, with_skipped

if TYPE_CHECKING:
    from stacbuild.loading import Problems

T = TypeVar("T")


def with_readable(job: Job, make: Callable[[Job], T]) -> T:
    """Return what a function makes of a job, without the scenes that cannot be read.

    They are only left out if ``open_params.errors`` is ``skip``.

    Raises
    ------
    Failures
        Scenes cannot be read: lists all of them, each with item and asset.
    """
    _warn(job, job.skipped)
    # An older duplicate may take the place of a scene that is left out.
    while found := _problems(job, skipped=True):
        job = _without(job, found)
    while True:
        try:
            return make(job)
        except StacbuildError as error:
            scene = loading.scene_of(error)
            if scene is None:
                raise
            if not _is_skipped(job, scene.item):
                raise _failures({scene: error} | _problems(job, skipped=False)) from error
            job = _without(job, {scene: error})


def _problems(job: Job, *, skipped: bool) -> Problems:
    """Return the unreadable scenes of sources whose scenes are skipped, or of the others."""
    found: Problems = {}
    for source in job.sources:
        if (source.variable.open_params.errors == "skip") == skipped:
            found |= loading.unreadable(
                source.variable, source.items, job.grid, source.storage_options
            )
    return found


def _is_skipped(job: Job, item: str) -> bool:
    """Return whether all sources that have a scene can do without it."""
    return all(
        source.variable.open_params.errors == "skip"
        for source in job.sources
        if any(each.id == item for each in source.items)
    )


def _without(job: Job, problems: Problems) -> Job:
    """Return a job without scenes, and warn of them.

    Raises
    ------
    Failures
        A source has no others.
    """
    left_out = {scene.item for scene in problems}
    sources = tuple(
        replace(source, items=tuple(item for item in source.items if item.id not in left_out))
        for source in job.sources
    )
    if not all(source.items for source in sources):
        raise _failures(problems)
    skipped = [
        Skipped(scene.item, scene.asset, _reason(error, job.sources, scene.item))
        for scene, error in problems.items()
    ]
    _warn(job, skipped)
    found = tuple(sorted({*job.skipped, *skipped}, key=lambda each: (each.item, each.asset)))
    inputs = with_skipped(job.inputs, found)
    return replace(job, sources=sources, skipped=found, inputs=inputs)


def _warn(job: Job, skipped: Iterable[Skipped]) -> None:
    for each in skipped:
        progress.warn(
            f"{job.name}: leaves out the scene of item {each.item}, since asset {each.asset} "
            f"cannot be read: {each.reason}"
        )


def _failures(problems: Problems) -> Failures:
    return Failures([(str(scene), error) for scene, error in problems.items()])


def _reason(error: StacbuildError, sources: Iterable[Source], item: str) -> str:
    """Return the message of an error, without its scene and paths of this machine."""
    message = loading.reason_of(error)
    items = (each for source in sources for each in source.items if each.id == item)
    for href in {asset.href for each in items for asset in each.assets.values()}:
        if "://" not in href:
            message = message.replace(href, PurePath(href).name)
    return message
