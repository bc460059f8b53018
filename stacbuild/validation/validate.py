"""Validate a catalog, its cubes and their sources.

Nothing is changed, and servers of sources are only contacted with *remote*. It checks

- the catalog: every file is JSON, links resolve, and every file is linked;
- every cube: `stacbuild.validation.cube`, and that it contains no foreign files;
- every source: `stacbuild.validation.source`;
- with a configuration, that items name all cubes on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import pystac

from stacbuild import progress
from stacbuild.errors import (
    ConfigError,
    ConflictError,
    IntegrityError,
    MissingError,
    StacbuildError,
)
from stacbuild.formats.array_store import NETCDF
from stacbuild.planning.allowed import check_items
from stacbuild.planning.resolve import collection_id, output_named
from stacbuild.progress import Reporter
from stacbuild.stac.catalog import STORE, Catalog, cube_id
from stacbuild.stac.scenes import ASSET, DATA, data_assets, views
from stacbuild.storage.foreign import Parts, foreign_message, foreign_paths
from stacbuild.storage.formats import FORMATS, MULTISCALES, whole
from stacbuild.storage.kinds import storage_of
from stacbuild.validation.catalog import check_catalog
from stacbuild.validation.cube import check_cube, check_file, check_pyramid
from stacbuild.validation.found import Found, cube_identifier
from stacbuild.validation.source import check_source

if TYPE_CHECKING:
    from stacbuild.config import Config, Store

Json = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """The result for the catalog, a cube or a source.

    Parameters
    ----------
    name
        ``catalog``, the name of a cube, or ``<collection>/<item>`` of a source.
    place
        Path or URL.
    found
        Problems and notes.
    """

    kind: Literal["catalog", "cube", "source"]
    name: str
    place: str
    found: Found

    @property
    def well(self) -> bool:
        """Whether there is no problem."""
        return not self.found.problems

    def to_dict(self) -> Json:
        """Return the result as JSON data."""
        return {
            "kind": self.kind,
            "name": self.name,
            "place": self.place,
            "problems": [str(problem) for problem in self.found.problems],
            "notes": self.found.notes,
            "damaged": self.found.damaged,
            "chunks": self.found.chunks,
            "bytes": self.found.bytes,
        }


def validate(
    catalog_dir: Path,
    config: Config | None = None,
    *,
    names: Sequence[str] = (),
    deep: bool = False,
    remote: bool = False,
    reporter: Reporter | None = None,
) -> list[Check]:
    """Validate a catalog, its cubes and their sources.

    Parameters
    ----------
    catalog_dir
        The folder of ``catalog.json``.
    config
        For the credentials of its stores, and its list of cubes.
    names
        Names of the cubes to check, with their sources and the collections of these; everything
        in the catalog if empty.
    deep
        Also read every chunk of cubes, and local files that have a checksum.
    remote
        Also check remote sources on their servers.

    Returns
    -------
    One check for the catalog, for each cube and for each source. Problems are errors in the checks:
    `IntegrityError` for damaged data, others if a server or disk fails.

    Raises
    ------
    MissingError
        If there is no catalog.
    ConfigError
        If neither catalog nor configuration has a cube.
    """
    with progress.reported_to(reporter):
        return _validate(catalog_dir, config, names, deep, remote)


def _validate(
    catalog_dir: Path, config: Config | None, names: Sequence[str], deep: bool, remote: bool
) -> list[Check]:
    catalog = Catalog(catalog_dir)
    in_memory = config is not None and not storage_of(config.storage).persistent
    if not catalog.path.exists() and not in_memory:
        raise MissingError(f"{catalog.path}: there is no catalog; harvest or build first")
    found = Found()
    only = _asked(catalog, names) if names else None
    items = list(check_catalog(catalog, found, only)) if catalog.path.exists() else []
    described = [item for item in items if data_assets(item)]
    cubes = [item for item in described if DATA in item.assets and _is_cube(item)]
    datasets = [dataset.identifier for dataset in config.datasets] if config else []
    known = dict.fromkeys([*(cube.id for cube in cubes), *datasets])
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no cube {unknown[0]!r}; there are: {', '.join(known)}")
    chosen = [cube for cube in cubes if not names or cube.id in set(map(cube_id, names))]
    if config and not found.is_unread:
        made = {cube.id: cube for cube in cubes if cube.collection_id == collection_id(config)}
        _check_unnamed(config, names or datasets, made, catalog, found)
    checks = [Check("catalog", "catalog", str(catalog.path), found)]
    for cube in chosen:
        read, _ = _address(cube, cube.assets["data"], config)
        result = _refused(cube, config, catalog)
        if result is None:
            result = _check_cube(cube, config, deep)
            _check_foreign(cube, config, result)
        checks.append(Check("cube", cube.id, read, result))
    if config and in_memory:
        checks += _check_memory(config, names or datasets, catalog, deep)
    used = {path for cube in chosen for path in _sources(cube)}
    for item in described:
        if not _is_cube(item) and (not names or item.self_href in used):
            refused = _refused(item, config, catalog)
            for view in views(item):
                result = refused or check_source(
                    view, _options(view, config), deep=deep, remote=remote
                )
                name = f"{item.collection_id}/{item.id}"
                name += f"/{view.properties[ASSET]}" if ASSET in view.properties else ""
                checks.append(Check("source", name, view.assets[DATA].href, result))
    return checks


def _check_cube(cube: pystac.Item, config: Config | None, deep: bool) -> Found:
    """Check a cube of any format."""
    asset = cube.assets["data"]
    if asset.media_type == NETCDF:
        return check_file(cube.id, Path(asset.href), cube, deep=deep)
    read, options = _address(cube, asset, config)
    found = check_cube(cube.id, read, options, cube, deep=deep)
    if MULTISCALES in cube.assets:
        read, options = _address(cube, cube.assets[MULTISCALES], config)
        found.add(check_pyramid(cube.id, read, options, cube, deep=deep))
    return found


def _check_foreign(cube: pystac.Item, config: Config | None, found: Found) -> None:
    """Check that a cube contains no foreign files, which would prevent a rebuild."""
    if found.problems:
        # If the cube is not that of its item, its parts are unknown.
        return
    path = Path(whole(cube).href)
    foreign: list[Path] | list[str] = []
    try:
        if path.is_absolute():
            foreign = list(foreign_paths(path, Parts.of_item(cube), whole_tree=True))
        elif config:
            foreign = storage_of(config.storage).foreign_objects(cube_identifier(cube), cube)
    except StacbuildError as error:
        found.problems.append(error)
    if foreign:
        found.problems.append(ConflictError(foreign_message(foreign)))


def _refused(item: pystac.Item, config: Config | None, catalog: Catalog) -> Found | None:
    """Return a problem if an item refers to files outside of its store in the configuration."""
    if config is None:
        return None
    store: Store | None
    if _is_cube(item):
        store = config.storage if item.collection_id == collection_id(config) else None
    else:
        key = item.properties.get(STORE)
        store = next((each for each in config.data_stores if each.key == key), None)
    if store is not None:
        try:
            check_items([item], config, store, catalog.root)
        except IntegrityError as error:
            return Found([error])
    return None


def summary(checks: Sequence[Check], *, deep: bool, remote: bool) -> str:
    """Return one line on what was checked, for checks without a problem."""
    from rich.filesize import decimal

    cubes = [check.found for check in checks if check.kind == "cube"]
    sources = [check for check in checks if check.kind == "source"]
    here = sum("://" not in check.place for check in sources)
    chunks, size = sum(found.chunks for found in cubes), sum(found.bytes for found in cubes)
    asked = (
        ""
        if remote or here == len(sources)
        else f", {len(sources) - here} remote ones not checked (see --remote)"
    )
    return (
        f"all well: {_count(len(cubes), 'cube')} of {_count(chunks, 'chunk')} and {decimal(size)}"
        f"{', every chunk read' if deep else ''}; {_count(len(sources), 'source')}{asked}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _check_unnamed(
    config: Config,
    names: Sequence[str],
    made: dict[str, pystac.Item],
    catalog: Catalog,
    found: Found,
) -> None:
    """Check that items name all cubes on disk; an interrupted run may leave one without."""
    folder = storage_of(config.storage).folder
    if folder is None:
        return
    for name in names:
        item = made.get(cube_id(name))
        named = Path(whole(item).href) if item else None
        paths = {folder / f"{name}{fmt.ending}" for fmt in FORMATS.values()}
        unnamed = [path for path in sorted(paths - {named}) if path.exists()]
        for path in unnamed:
            instead = "build it again" if named is None else f"that is {named}; remove it"
            found.wrong(f"{path}: no item of {catalog.path} names this cube; {instead}")
        if not unnamed and named is None:
            found.notes.append(f"{name}: is not built yet")


def _check_memory(
    config: Config, names: Sequence[str], catalog: Catalog, deep: bool
) -> Iterator[Check]:
    """Check cubes in memory, which no catalog lists."""
    for name in names:
        output = output_named(config, name, catalog)
        found = output.storage.find_cube(output)
        if found is not None:
            read, options = found
            result = check_cube(name, read, options, None, deep=deep)
        else:
            read = output.storage.location(output)
            result = Found(notes=[f"{read}: is not in the memory of this process"])
        yield Check("cube", name, read, result)


def _asked(catalog: Catalog, names: Sequence[str]) -> set[str] | None:
    """Return the paths of the items of named cubes and their sources.

    None if not all of them are known: the whole catalog has to be checked to find out why.
    """
    ids = set(map(cube_id, names))
    try:
        cubes = [cube for cube in catalog.cubes() if cube.id in ids]
    except StacbuildError:
        return None
    if {cube.id for cube in cubes} != ids or not all(map(_is_cube, cubes)):
        return None
    return {str(cube.self_href) for cube in cubes} | {path for c in cubes for path in _sources(c)}


def _is_cube(item: pystac.Item) -> bool:
    expression = item.properties.get("processing:expression")
    return isinstance(expression, dict) and expression.get("format") == "stacbuild-config"


def _sources(cube: pystac.Item) -> list[str]:
    folder = Path(cube.self_href).parent
    return [
        str((folder / unquote(str(link.href))).resolve())
        for link in cube.links
        if link.rel == "derived_from" and "://" not in str(link.href)
    ]


def _address(
    cube: pystac.Item, asset: pystac.Asset, config: Config | None
) -> tuple[str, Json | None]:
    """Return the URL to read a cube from, preferably on S3, which can list chunks."""
    s3 = asset.extra_fields.get("alternate", {}).get("s3", {}).get("href")
    if s3 is None:
        return asset.href, None
    options = _options(cube, config)
    if options is None:
        # The server is the part of the URL before bucket and key.
        server = unquote(asset.href).removesuffix(s3.removeprefix("s3://")).rstrip("/")
        options = {"anon": True, "endpoint_url": server}
    return s3, options


def _options(item: pystac.Item, config: Config | None) -> Json | None:
    """Return the options to read files of an item's store, if the configuration has it."""
    for store in (config.storage, *config.data_stores) if config else ():
        options = store.https_options or store.storage_options
        if options and store.key == item.properties.get(STORE):
            return options
    return None


__all__ = ["Check", "summary", "validate"]
