"""Checks that no output overlaps a source, a cache or the catalog, before anything is written.

Paths are compared after resolving links and ``..``, and by device and inode, so that two names of
the same folder are equal; objects by server, bucket and key. A cube may be the source of another
dataset of the same configuration; `stacbuild.storage.ownership` decides whether it is replaced.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.config.code import CodeError, named
from stacbuild.config.data_ids import entries, is_several, short
from stacbuild.config.datasets import MultiDataset
from stacbuild.config.patterns import compiled, is_pattern
from stacbuild.config.reading import KeyPath, Problem
from stacbuild.errors import ConfigError

if TYPE_CHECKING:
    from stacbuild.config.addresses import Address
    from stacbuild.config.datasets import SourceVariable
    from stacbuild.config.models import Config
    from stacbuild.config.store import Store

ENDINGS = {"zarr": ".zarr", "levels": ".zarr", "netcdf": ".nc"}
"""Endings of the names of cubes, by format."""

_ELSEWHERE = "take another identifier, or another storage root"
_TOKEN = re.compile(r"[0-9a-f]{8}")


Name = Path | tuple[int, int]
"""What identifies a file or folder: its resolved path, or its device and inode."""


@dataclass(frozen=True)
class Spot:
    """A path after resolving links; device and inode of itself and of the folders above it."""

    path: Path
    ids: tuple[tuple[int, int], ...] = field(repr=False)
    exists: bool = False

    @classmethod
    def of(cls, path: Path) -> Spot:
        """Resolve a path."""
        resolved = path.resolve()
        found = []
        for each in (resolved, *resolved.parents):
            with suppress(OSError):
                state = each.stat()
                found.append((state.st_dev, state.st_ino))
        return cls(resolved, tuple(found), len(found) == len(resolved.parents) + 1)

    @property
    def names(self) -> set[Name]:
        """By what other paths may be the same as this one."""
        return {self.path, self.ids[0]} if self.exists else {self.path}

    @property
    def names_above(self) -> set[Name]:
        """By what other paths may be the same as this one or a folder above it."""
        return {self.path, *self.path.parents, *self.ids}

    def is_within(self, other: Spot) -> bool:
        """Return whether this is the other path, or below it."""
        return not self.names_above.isdisjoint(other.names)


@dataclass(frozen=True)
class _Output:
    name: str
    at: KeyPath
    path: Path
    spot: Spot


class _Outputs:
    """Cubes by their paths and the folders above these, so that not all pairs are compared."""

    def __init__(self) -> None:
        self.all: list[_Output] = []
        self._at: dict[Name, list[int]] = defaultdict(list)
        self._below: dict[Name, list[int]] = defaultdict(list)

    def add(self, output: _Output) -> None:
        """Add a cube."""
        number = len(self.all)
        self.all.append(output)
        for name in output.spot.names:
            self._at[name].append(number)
        for name in output.spot.names_above:
            self._below[name].append(number)

    def around(self, spot: Spot) -> set[int]:
        """Return the numbers of the cubes that a path is, or is in."""
        return {number for name in spot.names_above for number in self._at.get(name, ())}

    def inside(self, spot: Spot) -> set[int]:
        """Return the numbers of the cubes that are at a path, or below it."""
        return {number for name in spot.names for number in self._below.get(name, ())}

    def overlapping(self, spot: Spot) -> list[_Output]:
        """Return the cubes that are at, below or above a path, in order."""
        return [self.all[number] for number in sorted(self.around(spot) | self.inside(spot))]


@dataclass(frozen=True)
class _Source:
    dataset: str
    at: KeyPath
    variable: SourceVariable
    store: Store

    @property
    def data_id(self) -> str:
        return self.variable.data_id

    @property
    def path(self) -> Path | None:
        return self.store.path(self.data_id)


def overlaps(config: Config) -> Iterator[Problem]:
    """Yield a problem for each output that overlaps a source, a cache, or another output."""
    sources = list(_sources(config))
    outputs = _Outputs()
    for output in _local_outputs(config):
        yield from _outputs(outputs, output)
        outputs.add(output)
    if outputs.all:
        yield from _caches(config, outputs)
        yield from _files(outputs, sources)
        yield from _inputs(outputs, sources)
    elif root := config.storage.address(""):
        yield from _objects(config, root, sources)


def _local_outputs(config: Config) -> Iterator[_Output]:
    """Yield the cubes that are written to a local folder."""
    for index, dataset in enumerate(config.datasets):
        path = config.storage.path(f"{dataset.identifier}{ENDINGS[dataset.format_id]}")
        if path is not None:
            at = ("datasets", index, "identifier")
            yield _Output(dataset.identifier, at, path, Spot.of(path))


def _sources(config: Config) -> Iterator[_Source]:
    for index, dataset in enumerate(config.datasets):
        for number, variable in enumerate(dataset.variables):
            at: KeyPath = ("datasets", index)
            if isinstance(dataset, MultiDataset):
                at = (*at, "variables", number)
            yield _Source(dataset.identifier, at, variable, config.store(variable.store))


def _declared(sources: Iterable[_Source]) -> Iterator[tuple[KeyPath, str, Spot]]:
    """Yield the declared inputs of custom functions: key path, text of ``depends_on``, path."""
    for source in sources:
        if (custom := source.variable.custom_processing) is None:
            continue
        for number, entry in enumerate(custom.depends_on):
            at = (*source.at, "custom_processing", "depends_on", number)
            # Missing files are reported by other checks, or when the cube is planned.
            with suppress(CodeError, OSError):
                for path in named(entry, custom.directory):
                    yield at, entry, Spot.of(path)


def _inputs(outputs: _Outputs, sources: list[_Source]) -> Iterator[Problem]:
    """Yield a problem for each declared input that overlaps a cube: each build would change it."""
    for at, entry, spot in _declared(sources):
        for each in outputs.overlapping(spot):
            yield Problem(
                at, f"{entry!r} and {each.path}, where the cube {each.name!r} is written, overlap, "
                "so each build would change it; name other files, or take another storage root",
            )  # fmt: skip


def check_catalog_folder(config: Config, catalog: Path) -> None:
    """Raise ConfigError if the folder of the catalog overlaps a cube, or lies in a source."""
    spot = Spot.of(catalog)
    for output in _local_outputs(config):
        if output.spot.is_within(spot) or spot.is_within(output.spot):
            raise ConfigError(
                f"{catalog}: the catalog and {output.path}, where the cube {output.name!r} "
                "is written, would overlap; take another storage root or catalog"
            )
    sources = list(_sources(config))
    for _, entry, declared in _declared(sources):
        if spot.is_within(declared) or declared.is_within(spot):
            raise ConfigError(
                f"{catalog}: the catalog and {entry!r} of depends_on overlap, so each build would "
                "change it; name other files there, or take another folder for the catalog"
            )
    for source in sources:
        if source.path is not None and spot.is_within(Spot.of(source.path)):
            raise ConfigError(
                f"{catalog}: the catalog would lie in the source {source.path} of dataset "
                f"{source.dataset!r}; take another folder for it"
            )


def _outputs(others: _Outputs, one: _Output) -> Iterator[Problem]:
    """Yield a problem for each of the other cubes that one overlaps."""
    for other in others.overlapping(one.spot):
        yield Problem(
            one.at,
            f"the cube would be written to {one.path}, and that of dataset "
            f"{other.name!r} to {other.path}; {_ELSEWHERE}",
        )


def _caches(config: Config, outputs: _Outputs) -> Iterator[Problem]:
    """Yield a problem for each cube that overlaps a cache or another catalog."""
    reserved: list[tuple[str, Path, bool]] = []
    for store in config.data_stores:
        if store.cache is not None:
            reserved.append((f"the cache of store {store.identifier!r}", store.cache, True))
        if (folder := store.catalog_folder) is not None:
            # Cubes may be written to a folder of their own beside a catalog's files.
            reserved.append((f"the catalog of store {store.identifier!r}", folder, False))
    for what, folder, inside in reserved:
        spot = Spot.of(folder)
        found = outputs.around(spot) | (outputs.inside(spot) if inside else set())
        for each in map(outputs.all.__getitem__, sorted(found)):
            yield Problem(
                each.at, f"the cube would be written to {each.path}, which overlaps {what}, "
                f"{folder}; {_ELSEWHERE}",
            )  # fmt: skip


def _files(outputs: _Outputs, sources: list[_Source]) -> Iterator[Problem]:
    """Yield a problem for each overlap of a cube and a source.

    A dataset may read the cube of another one, as long as there is no cycle.
    """
    takes: dict[str, set[str]] = {}
    for source in sources:
        path = source.path
        if path is None:
            continue
        spot = Spot.of(path)
        several = is_several(source.data_id)
        where = short(source.data_id) if several else path
        matched = {
            number
            for number, each in enumerate(outputs.all if several else ())
            if _is_matched(source, each)
        }
        taken = outputs.around(spot) | matched
        for number in sorted(taken | outputs.inside(spot)):
            each = outputs.all[number]
            if number in taken:
                if each.name != source.dataset and not _reaches(takes, each.name, source.dataset):
                    takes.setdefault(source.dataset, set()).add(each.name)
                    continue
                how = "is its own source" if each.name == source.dataset else "goes in a circle"
                yield Problem(
                    (*source.at, "data_id"),
                    f"{where} lies where the cube of dataset {each.name!r} would be written to, "
                    f"which {how}; {_ELSEWHERE}",
                )
            else:
                yield Problem(
                    each.at, f"the cube would be written to {each.path}, in the source {path} of "
                    f"dataset {source.dataset!r}; {_ELSEWHERE}",
                )  # fmt: skip


def _is_matched(source: _Source, output: _Output) -> bool:
    """Return whether a pattern or list of files matches a cube."""
    root = source.store.path("")
    if root is None or not output.path.is_relative_to(root):
        return False
    path = output.path.relative_to(root).as_posix()
    return any(
        entry.rstrip("/") == path or (is_pattern(entry) and compiled(entry).matches(path))
        for entry in entries(source.data_id)
    )


def _reaches(takes: dict[str, set[str]], start: str, end: str) -> bool:
    pending: list[str] = [start]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            pending += takes.get(name, ())
    return False


def _objects(config: Config, storage: Address, sources: list[_Source]) -> Iterator[Problem]:
    """Yield a problem for each overlap of a cube and a source on the S3 server of the storage.

    Each build of a cube has a key of its own.
    """
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
                        (*source.at, "data_id"),
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
    """Return whether a key, split and relative to the storage's root, is within a build."""
    # An identifier may begin with folders.
    name = "/".join(parts[: identifier.count("/") + 1])
    token = name.removeprefix(f"{identifier}-").removesuffix(".zarr")
    return name == f"{identifier}-{token}.zarr" and _TOKEN.fullmatch(token) is not None
