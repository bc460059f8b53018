"""Give cubes up: the cube, its item, and what nothing else needs of its sources.

Only what stacbuild made is removed: a cube that bears the fingerprint of its item and holds nothing
else, items that name the store that they are of, cached files that a mark beside them vouches for.
A cube that holds the user's own files is refused as a whole; what lies in its place is left alone
and said. The journal says which cube is being removed, so that a run that dies in
between leaves nothing that the next `remove` or build does not mend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.building.leftovers import clear
from stacbuild.config import Config
from stacbuild.errors import ConflictError, RemoteError, StacbuildError
from stacbuild.locks import hold
from stacbuild.planning.resolve import collection_id, destination_of, place_of
from stacbuild.progress import Reporter
from stacbuild.removal.unused import going_along, unused
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.catalog import Catalog, cube_id
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.stac.files import remove_empty
from stacbuild.storage.formats import FORMS, whole
from stacbuild.storage.journal import Journal
from stacbuild.storage.ownership import (
    Place,
    check_beside,
    describe_foreign,
    is_at,
    is_cube,
    staging_folder,
)
from stacbuild.storage.signs import lost_paths, sign
from stacbuild.storage.strangers import check_inside, stray_message

if TYPE_CHECKING:
    import pystac


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
    for name, place in places.items():
        # A cube that stays needs its sources.
        kept = {each.name for each in done if each.error is not None}
        going = [each for each in names if each not in kept]
        planned = _with_beside(catalog, _planned(config, catalog, name, going, sources), done)
        if planned.error is None:
            try:
                _remove(place, planned, wait)
            except StacbuildError as error:
                planned = Removal(name, left=planned.left, error=error)
        done.append(planned)
    return done


def _place(config: Config, catalog: Catalog, name: str) -> Place:
    """Return where a cube is: of a dataset, or of one that the configuration has no more."""
    for dataset in config.datasets:
        if dataset.identifier == name:
            return place_of(config, dataset, catalog)
    place = Place(destination_of(config), name, catalog, collection_id(config), config.path)
    if catalog.get(collection_id(config), name) is None and not place.journal.exists():
        config.dataset(name)
    return place


def _planned(
    config: Config, catalog: Catalog, name: str, names: Sequence[str], sources: bool
) -> Removal:
    place = _place(config, catalog, name)
    if isinstance(place.storage, MemoryStore):
        return Removal(name, left=("cubes in memory go with their process",))
    try:
        check_beside(place)
        item = place.item()
        staged = _staged(place)
        cube, left = _cube(place, item, bool(staged))
        path = str(catalog.item_path(place.collection, name)) if item is not None else None
        items, files = unused(config, catalog, name, names) if sources else ((), ())
    except StacbuildError as error:
        return Removal(name, error=error)
    return Removal(name, cube, path, staged, items, files, left=left)


def _cube(
    place: Place, item: pystac.Item | None, has_staged: bool
) -> tuple[str | None, tuple[str, ...]]:
    """Return the cube that may be removed, and what is left alone.

    Raises
    ------
    ConflictError
        If the user's own files are in the cube, or nothing is of this dataset and something else
        lies in its place.
    """
    if item is None:
        return _itemless(place, has_staged)
    href = whole(item).href
    if isinstance(place.storage, S3Store):
        # Whether it bears the item's fingerprint is said when it is removed.
        key = s3_key(place, item)
        if key is None:
            return None, (f"{href}: is not in the storage",)
        _check_object(place.storage, key, item)
        return href, ()
    path = local_path(place, item)
    if path is None:
        return None, (f"{href}: is not in the storage",)
    if not os.path.lexists(path):
        return None, ()
    if _is_unfinished(place, path):
        # A run died between its cube and its item; what it replaced is put back first.
        check_inside(path)
        return str(path), ()
    if not is_cube(path, item.properties.get(FINGERPRINT)):
        return None, (f"{path}: {describe_foreign(place, path, item)}",)
    check_inside(path, item)
    return str(path), ()


def _is_unfinished(place: Place, path: Path) -> bool:
    """Return whether a run that died left a cube there that its item does not name."""
    journal = Journal.read(place.journal)
    if journal is None or not (journal.committing or journal.removing) or journal.done:
        return False
    return is_cube(path, journal.removing or journal.fingerprint)


def _itemless(place: Place, has_staged: bool) -> tuple[str | None, tuple[str, ...]]:
    """Return the cube that has no item and may be removed, and what is left alone."""
    path = place.path
    if path is None or not os.path.lexists(path):
        return None, ()
    if _is_unfinished(place, path):
        # A run that died left it between its cube and its item; mending it comes first.
        check_inside(path)
        return str(path), ()
    said = f"{path}: {describe_foreign(place, path)}"
    if has_staged:
        return None, (said,)
    raise ConflictError(
        f"{said}; stacbuild removes only what it made for this dataset of this configuration: "
        "remove it with the configuration that it is of, or yourself"
    )


def _check_object(storage: S3Store, key: str, item: pystac.Item) -> None:
    """Refuse to remove a cube in a bucket below which somebody else's objects are."""
    from stacbuild.storage.stage_s3 import strangers_s3

    if found := strangers_s3(storage, key, item):
        raise ConflictError(stray_message(found))


def _staged(place: Place) -> tuple[str, ...]:
    """Return what an interrupted run left on this machine."""
    journal = Journal.read(place.journal)
    lost = lost_paths(place) if isinstance(place.storage, FileStore) else []
    left: list[Path] = []
    if journal is not None:
        folder = staging_folder(place, journal.token)
        names = (folder.with_suffix(suffix) for suffix in (".old", ".gone", ".owner"))
        left = [path for path in (place.journal, folder, *names) if path.exists()]
    return tuple(map(str, [*left, *lost]))


def local_path(place: Place, item: pystac.Item) -> Path | None:
    """Return the path of the cube that an item names, in the folder for cubes; else None."""
    if isinstance(place.storage, FileStore):
        for ending in sorted({form.ending for form in FORMS.values()}):
            path = place.storage.root / f"{place.identifier}{ending}"
            if is_at(item, path):
                return path
    return None


def s3_key(place: Place, item: pystac.Item) -> str | None:
    """Return the key of the cube that an item names, if a build gave it to this cube."""
    from stacbuild.storage.stage_s3 import own_key

    assert isinstance(place.storage, S3Store)  # noqa: S101 - the caller asked
    return own_key(place.storage, place.identifier, item)


def _remove(place: Place, planned: Removal, wait: bool) -> None:
    if isinstance(place.storage, MemoryStore):
        return
    if place.lock.parent.is_dir():
        with hold(place.lock, place.identifier, wait=-1 if wait else 0):
            check_beside(place, locked=True)
            if isinstance(place.storage, FileStore):
                _remove_local(place)
            elif isinstance(place.storage, S3Store):
                _remove_object(place, place.storage)
            _describe_rest(place)
    # The files first: as long as their items are there, the next run finds what is left of them.
    for file in planned.files:
        Path(file).unlink(missing_ok=True)
        remove_empty(Path(file).parent)
    by_collection: dict[str, list[str]] = {}
    for path in map(Path, planned.sources):
        by_collection.setdefault(path.parent.parent.name, []).append(path.stem)
    for collection, ids in by_collection.items():
        place.catalog.remove(collection, ids)


def _remove_local(place: Place) -> None:
    from stacbuild.storage.stage_file import Site

    site = Site(place, place.journal.parent)
    clear(place)
    item = place.item()
    path = local_path(place, item) if item is not None else None
    said = str(item.properties.get(FINGERPRINT)) if item is not None else ""
    if path is None or not is_cube(path, said):
        place.catalog.remove(place.collection, [cube_id(place.identifier)])
        return
    assert item is not None  # noqa: S101 - it has a path
    check_inside(path, item)
    journal = _journal(place, said, path.name, site.is_free)
    place.catalog.remove(place.collection, [cube_id(place.identifier)])
    site.remove_cube(journal, path, said)
    site.remove_staged(journal)
    journal.remove()


def _remove_object(place: Place, storage: S3Store) -> None:
    from stacbuild.storage.stage_s3 import remove_s3

    clear(place)
    item = place.item()
    key = s3_key(place, item) if item is not None else None
    if item is None or key is None:
        place.catalog.remove(place.collection, [cube_id(place.identifier)])
        return
    _check_object(storage, key, item)
    said = str(item.properties.get(FINGERPRINT))
    journal = _journal(place, said, key, lambda _: True)
    place.catalog.remove(place.collection, [cube_id(place.identifier)])
    if not remove_s3(storage, key, said):
        raise RemoteError(
            f"{storage.s3_url(key)}: cannot be deleted; run the same command again, with "
            "credentials that may delete"
        )
    journal.remove()


def _journal(place: Place, fingerprint: str, name: str, is_free: Callable[[str], bool]) -> Journal:
    """Record which cube is being removed."""
    from stacbuild.storage.staging import free_token

    token = free_token(is_free)
    journal = Journal.start(place.journal, fingerprint, place.owner(), token)
    if isinstance(place.storage, FileStore):
        sign(place, token)
    journal.remove_cube(fingerprint, name)
    return journal


def _describe_rest(place: Place) -> None:
    """Let the collection say what its cubes say that are left."""
    from stacbuild.building.rights import cube_collection
    from stacbuild.stac.catalog import Harvest

    if rest := list(place.catalog.readable_items(place.collection)):
        place.catalog.put(Harvest(cube_collection(place, rest), ()))


__all__ = ["Removal", "plan_removal", "remove"]
