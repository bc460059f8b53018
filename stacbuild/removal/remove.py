"""Remove cubes, their items, and sources that nothing else uses.

Only what stacbuild made is removed: a cube with the fingerprint of its item and without foreign
files, items that name their store, and cached files that a mark lists. A cube that contains foreign
files is refused; whatever else occupies its path is left alone and reported. The journal records
which cube is being removed, so that the next `remove` or build completes an interrupted removal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.errors import StacbuildError
from stacbuild.locks import hold
from stacbuild.planning.resolve import collection_id, output_named
from stacbuild.progress import Reporter
from stacbuild.removal.unused import dependent_paths, unused
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.files import remove_empty
from stacbuild.storage.ownership import check_surroundings, leftovers

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.storage.output import Output


@dataclass(frozen=True)
class Removal:
    """What is or was removed of one dataset.

    Parameters
    ----------
    name
        Identifier of the dataset.
    cube
        Path or URL of its cube; None if there is none to remove.
    item
        Path of its item; None if there is none.
    staged
        Leftovers of an interrupted run.
    sources
        Paths of source items that nothing else uses.
    files
        Cached files that nothing else uses.
    beside
        Thumbnails of its items, and collections that become empty.
    left
        What is left alone, and why.
    error
        Why nothing or not everything was removed.
    """

    name: str
    cube: str | None = None
    item: str | None = None
    staged: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    error: StacbuildError | None = field(default=None)

    @property
    def paths(self) -> tuple[str, ...]:
        """All removed paths and URLs."""
        one = tuple(each for each in (self.cube, self.item) if each)
        return (*one, *self.staged, *self.sources, *self.files, *self.beside)

    @property
    def items(self) -> tuple[str, ...]:
        """Paths of the removed items."""
        return (*((self.item,) if self.item else ()), *self.sources)


def plan_removal(
    config: Config, catalog_dir: Path, datasets: Sequence[str], *, sources: bool = False
) -> list[Removal]:
    """Return what `remove` would remove; nothing is touched.

    Parameters
    ----------
    datasets
        Identifiers of datasets of the configuration, or of its cubes in the catalog.
    sources
        Also remove source items and cached files that nothing else uses.

    Raises
    ------
    ConfigError
        If a name is neither a dataset nor a cube.
    """
    catalog = Catalog(catalog_dir)
    names = list(dict.fromkeys(datasets))
    planned: list[Removal] = []
    for name in names:
        kept = {each.name for each in planned if each.error is not None}
        going = [each for each in names if each not in kept]
        planned.append(
            _with_beside(catalog, _planned(config, catalog, name, going, sources), planned)
        )
    return planned


def _with_beside(catalog: Catalog, planned: Removal, earlier: Sequence[Removal]) -> Removal:
    if planned.error is not None or not planned.items:
        return planned
    gone = [path for each in earlier for path in each.items]
    return replace(planned, beside=dependent_paths(catalog, planned.items, gone))


def remove(
    config: Config,
    catalog_dir: Path,
    datasets: Sequence[str],
    *,
    sources: bool = False,
    wait: bool = False,
    reporter: Reporter | None = None,
) -> list[Removal]:
    """Remove cubes and their items.

    Parameters
    ----------
    datasets, sources
        As for `plan_removal`.
    wait
        Wait for another run that is writing one of the cubes, instead of failing.

    Returns
    -------
    What was removed of each dataset, in order. A failed one has an error; the others are removed.

    Raises
    ------
    ConfigError
        As `plan_removal`.
    """
    with progress.reported_to(reporter):
        return _remove_all(config, Catalog(catalog_dir), datasets, sources, wait)


def _remove_all(
    config: Config, catalog: Catalog, datasets: Sequence[str], sources: bool, wait: bool
) -> list[Removal]:
    names = list(dict.fromkeys(datasets))
    outputs = {name: _output(config, catalog, name) for name in names}
    done: list[Removal] = []
    for name, output in outputs.items():
        # A cube that stays needs its sources.
        kept = {each.name for each in done if each.error is not None}
        going = [each for each in names if each not in kept]
        planned = _with_beside(catalog, _planned(config, catalog, name, going, sources), done)
        if planned.error is None:
            try:
                _remove(output, planned, wait)
            except StacbuildError as error:
                planned = Removal(name, left=planned.left, error=error)
        done.append(planned)
    catalog.renew_mirrors()
    return done


def _output(config: Config, catalog: Catalog, name: str) -> Output:
    """Return the output of a dataset, which the configuration may no longer have."""
    output = output_named(config, name, catalog)
    if catalog.get(collection_id(config), name) is None and not output.journal.exists():
        # Raises unless there is such a dataset.
        config.dataset(name)
    return output


def _planned(
    config: Config, catalog: Catalog, name: str, names: Sequence[str], sources: bool
) -> Removal:
    output = _output(config, catalog, name)
    if not output.storage.persistent:
        return Removal(name, left=("cubes in memory end with their process",))
    try:
        check_surroundings(output)
        item = output.item()
        staged = tuple(map(str, leftovers(output)))
        cube, left = output.storage.removable(output, item, bool(staged))
        path = str(catalog.item_path(output.collection, name)) if item is not None else None
        items, files = unused(config, catalog, name, names) if sources else ((), ())
    except StacbuildError as error:
        return Removal(name, error=error)
    return Removal(name, cube, path, staged, items, files, left=left)


def _remove(output: Output, planned: Removal, wait: bool) -> None:
    if not output.storage.persistent:
        return
    if output.lock.parent.is_dir():
        with hold(output.lock, output.identifier, wait=-1 if wait else 0):
            check_surroundings(output, locked=True)
            output.storage.remove(output)
            _update_collection(output)
    # Files before items, so that the next run finds the rest if this one is interrupted.
    for file in planned.files:
        Path(file).unlink(missing_ok=True)
        remove_empty(Path(file).parent)
    by_collection: dict[str, list[str]] = {}
    for path in map(Path, planned.sources):
        by_collection.setdefault(path.parent.parent.name, []).append(path.stem)
    for collection, ids in by_collection.items():
        output.catalog.remove(collection, ids)


def _update_collection(output: Output) -> None:
    """Update the collection from the remaining cubes."""
    from stacbuild.building.rights import cube_collection
    from stacbuild.stac.catalog import Harvest

    if rest := list(output.catalog.readable_items(output.collection)):
        output.catalog.put(Harvest(cube_collection(output, rest), ()))


__all__ = ["Removal", "plan_removal", "remove"]
