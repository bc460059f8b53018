"""Remove cubes: the cube, its item, and what nothing else needs of its sources.

Only what stacbuild made is removed: a cube that bears the fingerprint of its item and holds nothing
else, items that name the store that they are of, cached files that a mark beside them vouches for.
A cube that holds the user's own files is refused as a whole; what lies in its place is left alone
and said. The journal says which cube is being removed, so that a run that dies in
between leaves nothing that the next `remove` or build does not recover.
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
from stacbuild.removal.unused import going_along, unused
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.files import remove_empty
from stacbuild.storage.ownership import check_surroundings, leftovers

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.storage.output import Output


@dataclass(frozen=True)
class Removal:
    """What is removed of one dataset, or was.

    Parameters
    ----------
    name
        Identifier of the dataset.
    cube
        Path or URL of its cube; None if there is none that may be removed.
    item
        Path of its item; None if there is none.
    staged
        What an interrupted run left of it.
    sources
        Paths of the items of sources that nothing else uses.
    files
        Cached files that nothing else uses.
    beside
        Pictures of its items, and collections of which none is left.
    left
        What is left alone, and why.
    error
        Why nothing, or not all, was removed.
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
        """All that is removed."""
        one = tuple(each for each in (self.cube, self.item) if each)
        return (*one, *self.staged, *self.sources, *self.files, *self.beside)

    @property
    def items(self) -> tuple[str, ...]:
        """The items among that."""
        return (*((self.item,) if self.item else ()), *self.sources)


def plan_removal(
    config: Config, catalog_dir: Path, datasets: Sequence[str], *, sources: bool = False
) -> list[Removal]:
    """Return what `remove` would remove; nothing is touched.

    Parameters
    ----------
    datasets
        Identifiers of datasets of the configuration, or of cubes that it has in the catalog.
    sources
        Whether items of sources and cached files that nothing else uses go too.

    Raises
    ------
    ConfigError
        If there is neither such a dataset nor such a cube.
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


def _with_beside(catalog: Catalog, planned: Removal, before: Sequence[Removal]) -> Removal:
    if planned.error is not None or not planned.items:
        return planned
    gone = [path for each in before for path in each.items]
    return replace(planned, beside=going_along(catalog, planned.items, gone))


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
        Whether to wait for another run that writes one of the cubes; it fails otherwise.

    Returns
    -------
    What was removed of each dataset, in order. A failure has its error; the others go on.

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
    places = {name: _place(config, catalog, name) for name in names}
    done: list[Removal] = []
    for name, output in places.items():
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
    return done


def _place(config: Config, catalog: Catalog, name: str) -> Output:
    """Return where a cube is, of a dataset or of one that the configuration has no more."""
    output = output_named(config, name, catalog)
    if catalog.get(collection_id(config), name) is None and not output.journal.exists():
        # Raises unless there is such a dataset.
        config.dataset(name)
    return output


def _planned(
    config: Config, catalog: Catalog, name: str, names: Sequence[str], sources: bool
) -> Removal:
    output = _place(config, catalog, name)
    if not output.storage.persistent:
        return Removal(name, left=("cubes in memory go with their process",))
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
            _describe_rest(output)
    # The files first: as long as their items are there, the next run finds what is left of them.
    for file in planned.files:
        Path(file).unlink(missing_ok=True)
        remove_empty(Path(file).parent)
    by_collection: dict[str, list[str]] = {}
    for path in map(Path, planned.sources):
        by_collection.setdefault(path.parent.parent.name, []).append(path.stem)
    for collection, ids in by_collection.items():
        output.catalog.remove(collection, ids)


def _describe_rest(output: Output) -> None:
    """Let the collection say what its cubes say that are left."""
    from stacbuild.building.rights import cube_collection
    from stacbuild.stac.catalog import Harvest

    if rest := list(output.catalog.readable_items(output.collection)):
        output.catalog.put(Harvest(cube_collection(output, rest), ()))


__all__ = ["Removal", "plan_removal", "remove"]
