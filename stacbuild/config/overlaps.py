"""No output is, holds or lies within a source, a cache or the catalog; checked beforehand.

Paths are compared as they resolve (links, ``..``) and by what lies there, so that two names of one
folder count as one; objects by server, bucket and key. The cube of another dataset of the same
configuration is a source like any other: it is replaced only if it is that cube
(`stacbuild.storage.ownership`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.config.code import CodeError, named
from stacbuild.config.datasets import MultiDataset
from stacbuild.config.reading import KeyPath, Problem
from stacbuild.errors import ConfigError

if TYPE_CHECKING:
    from stacbuild.config.addresses import Address
    from stacbuild.config.models import Config
    from stacbuild.config.store import Store

ENDINGS = {"zarr": ".zarr", "levels": ".zarr", "netcdf": ".nc"}
"""Of the names of cubes, by format."""

_ELSEWHERE = "take another identifier, or another storage root"
_TOKEN = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class Spot:
    """A path as it resolves; itself and the folders above it, by device and inode."""

    path: Path
    ids: tuple[tuple[int, int], ...] = field(repr=False)

    @classmethod
    def of(cls, path: Path) -> Spot:
        """Look a path up."""
        resolved = path.resolve()
        found = []
        for each in (resolved, *resolved.parents):
            try:
                state = each.stat()
            except OSError:
                continue
            found.append((state.st_dev, state.st_ino))
        return cls(resolved, tuple(found))

    def is_within(self, other: Spot) -> bool:
        """Return whether this is the other path, or lies in it."""
        if self.path.is_relative_to(other.path):
            return True
        return other.path.exists() and other.ids[0] in self.ids


@dataclass(frozen=True)
class _Output:
    name: str
    at: KeyPath
    path: Path
    spot: Spot


@dataclass(frozen=True)
class _Source:
    dataset: str
    at: KeyPath
    data_id: str
    store: Store

    @property
    def path(self) -> Path | None:
        return self.store.path(self.data_id)


def overlaps(config: Config) -> Iterator[Problem]:
    """Yield where a cube would be written into, around or instead of what it must not touch."""
    sources = list(_sources(config))
    if outputs := list(_local_outputs(config)):
        yield from _outputs(outputs)
        yield from _caches(config, outputs)
        yield from _files(outputs, sources)
        yield from _declared(config, outputs)
    elif root := config.storage.address(""):
        yield from _objects(config, root, sources)


def _local_outputs(config: Config) -> Iterator[_Output]:
    """Yield the cubes that go to a folder of this machine."""
    for index, dataset in enumerate(config.datasets):
        path = config.storage.path(f"{dataset.identifier}{ENDINGS[dataset.format_id]}")
        if path is not None:
            at = ("datasets", index, "identifier")
            yield _Output(dataset.identifier, at, path, Spot.of(path))


def _sources(config: Config) -> Iterator[_Source]:
    for index, dataset in enumerate(config.datasets):
        for number, variable in enumerate(dataset.variables):
            store = config.store(variable.store)
            at: KeyPath = ("datasets", index, "data_id")
            if isinstance(dataset, MultiDataset):
                at = ("datasets", index, "variables", number, "data_id")
            yield _Source(dataset.identifier, at, variable.data_id, store)


def _named(config: Config) -> Iterator[tuple[KeyPath, str, Spot]]:
    """Yield what ``depends_on`` of custom functions names: where, as written, and what it is."""
    for index, dataset in enumerate(config.datasets):
        for number, variable in enumerate(dataset.variables):
            custom = variable.custom_processing
            if custom is None:
                continue
            at: KeyPath = ("datasets", index)
            if isinstance(dataset, MultiDataset):
                at = (*at, "variables", number)
            for place, entry in enumerate(custom.depends_on):
                # What is missing was told before, or is when the cube is planned.
                with suppress(CodeError, OSError):
                    for path in named(entry, custom.directory):
                        yield (
                            (*at, "custom_processing", "depends_on", place), entry, Spot.of(path)
                        )  # fmt: skip


def _declared(config: Config, outputs: list[_Output]) -> Iterator[Problem]:
    """Yield declared inputs that a cube lies in, or that lie in a cube: each build changes them."""
    for at, entry, spot in _named(config):
        for each in outputs:
            if each.spot.is_within(spot) or spot.is_within(each.spot):
                yield Problem(
                    at, f"{entry!r} and {each.path}, where the cube {each.name!r} goes, lie in one "
                    "another, so each build would change it; name other files, or take another "
                    "storage root",
                )  # fmt: skip


def check_catalog_folder(config: Config, catalog: Path) -> None:
    """Refuse a folder of the catalog that is in the way of a cube, or of a source.

    Raises
    ------
    ConfigError
        Naming both.
    """
    spot = Spot.of(catalog)
    for output in _local_outputs(config):
        if output.spot.is_within(spot) or spot.is_within(output.spot):
            raise ConfigError(
                f"{catalog}: the catalog, and {output.path}, where the cube {output.name!r} "
                "goes, would lie in one another; take another storage root or catalog"
            )
    for _, entry, declared in _named(config):
        if spot.is_within(declared) or declared.is_within(spot):
            raise ConfigError(
                f"{catalog}: the catalog, and {entry!r} of depends_on, lie in one another, so each "
                "build would change it; name other files there, or take another folder for the "
                "catalog"
            )
    for source in _sources(config):
        if source.path is not None and spot.is_within(Spot.of(source.path)):
            raise ConfigError(
                f"{catalog}: the catalog would lie in the source {source.path} of dataset "
                f"{source.dataset!r}; take another folder for it"
            )


def _outputs(outputs: list[_Output]) -> Iterator[Problem]:
    """Yield cubes that lie in one another."""
    for number, one in enumerate(outputs):
        for other in outputs[:number]:
            if one.spot.is_within(other.spot) or other.spot.is_within(one.spot):
                yield Problem(
                    one.at,
                    f"the cube would be written to {one.path}, and that of dataset "
                    f"{other.name!r} to {other.path}; {_ELSEWHERE}",
                )


def _caches(config: Config, outputs: list[_Output]) -> Iterator[Problem]:
    """Yield cubes that lie in, around or instead of a cache or another catalog."""
    kept: list[tuple[str, Path, bool]] = []
    for store in config.data_stores:
        if store.cache is not None:
            kept.append((f"the cache of store {store.identifier!r}", store.cache, True))
        if store.catalog_folder is not None:
            # Cubes may lie beside a catalog's files, in a folder of their own.
            kept.append((f"the catalog of store {store.identifier!r}", store.catalog_folder, False))
    for what, folder, inside in kept:
        spot = Spot.of(folder)
        for each in outputs:
            if (inside and each.spot.is_within(spot)) or spot.is_within(each.spot):
                yield Problem(
                    each.at, f"the cube would be written to {each.path}, which is in the way of "
                    f"{what}, {folder}; {_ELSEWHERE}",
                )  # fmt: skip


def _files(outputs: list[_Output], sources: list[_Source]) -> Iterator[Problem]:
    """Yield cubes that are, hold or lie in a source; of other datasets' cubes only circles."""
    takes: dict[str, set[str]] = {}
    for source in sources:
        path = source.path
        if path is None:
            continue
        spot = Spot.of(path)
        for each in outputs:
            if spot.is_within(each.spot):
                if each.name != source.dataset and not _reaches(takes, each.name, source.dataset):
                    # A cube that is made of another dataset's.
                    takes.setdefault(source.dataset, set()).add(each.name)
                    continue
                how = "is its own source" if each.name == source.dataset else "goes in a circle"
                yield Problem(
                    source.at,
                    f"{path} lies where the cube of dataset {each.name!r} would be written to, "
                    f"which {how}; {_ELSEWHERE}",
                )
            elif each.spot.is_within(spot):
                yield Problem(
                    each.at, f"the cube would be written to {each.path}, in the source {path} of "
                    f"dataset {source.dataset!r}; {_ELSEWHERE}",
                )  # fmt: skip


def _reaches(takes: dict[str, set[str]], start: str, end: str) -> bool:
    left: list[str] = [start]
    seen: set[str] = set()
    while left:
        name = left.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            left += takes.get(name, ())
    return False


def _objects(config: Config, storage: Address, sources: list[_Source]) -> Iterator[Problem]:
    """Yield the same by server, bucket and key; each build of a cube has a key of its own."""
    server, root = storage
    for source in sources:
        where = source.store.address(source.data_id)
        if where is None or where[0] != server:
            continue
        key = where[1]
        for index, dataset in enumerate(config.datasets):
            inside = key[: len(root)] == root and len(key) > len(root)
            if inside and is_build(key[len(root) :], dataset.identifier):
                if dataset.identifier == source.dataset:
                    yield Problem(
                        source.at,
                        f"{source.data_id!r} is a cube that a build of dataset "
                        f"{dataset.identifier!r} would replace, and its own source; {_ELSEWHERE}",
                    )
            elif root[: len(key)] == key and source.data_id.lower().rstrip("/").endswith(".zarr"):
                yield Problem(
                    ("datasets", index, "identifier"),
                    f"the cube would be written to {config.storage.s3_root}"
                    f"{dataset.identifier}-….zarr, in "
                    f"the source {source.data_id!r} of dataset {source.dataset!r}; {_ELSEWHERE}",
                )


def is_build(parts: tuple[str, ...], identifier: str) -> bool:
    """Return whether the parts of a key below the storage's root begin with a build of a cube."""
    # An identifier may begin with folders.
    name = "/".join(parts[: identifier.count("/") + 1])
    token = name.removeprefix(f"{identifier}-").removesuffix(".zarr")
    return name == f"{identifier}-{token}.zarr" and _TOKEN.fullmatch(token) is not None
