"""Metadata that files lack, in one YAML file per record, bucket or product family.

A profile names its sources and adds metadata of their data: the years of bands, the meaning of
classes, units, nodata, licence, citation. The profiles of the package are beside this module; a
user's are the ``*.yml`` files in a folder ``profiles`` beside the configuration, and override
them.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from stacbuild.config.reading import Document, Problem, read_document
from stacbuild.config.types import Strict, show
from stacbuild.config.wording import translated
from stacbuild.geo.bbox import BBox
from stacbuild.nodata import exact

ExactNumber = Annotated[int | float, BeforeValidator(exact)]

PACKAGE_DIRECTORY = Path(__file__).parent

# Most names in a message.
_NAMED = 5


class Class(Strict):
    """A class of categorical data, as in the STAC classification extension 2.0.0."""

    value: int
    name: str = Field(pattern=r"^[0-9A-Za-z-_]+$")
    title: str | None = None
    description: str | None = None
    color_hint: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f]{6}$")
    nodata: bool = False


class Years(Strict):
    """The years of bands: band ``i`` (from 1) is the year ``first + i - 1``."""

    first: int
    count: int = Field(gt=0)


class DataProfile(Strict):
    """Metadata of one data id, or of one variable of a Zarr store.

    ``nodata`` lists all nodata values; ``unit`` is a UDUNITS string; ``standard_name`` a name of
    the CF table; ``variables`` is for Zarr stores only. So is ``bbox``, the outer edges of the
    pixels (west, south, east, north in the CRS of the store), where coordinates do not determine
    whether they are centres or edges.
    """

    title: str | None = None
    description: str | None = None
    unit: str | None = None
    standard_name: str | None = None
    nodata: tuple[ExactNumber, ...] | None = None
    classes: tuple[Class, ...] | None = None
    years: Years | None = None
    start_datetime: dt.datetime | None = None
    end_datetime: dt.datetime | None = None
    keywords: tuple[str, ...] | None = None
    bbox: BBox | None = None
    variables: dict[str, DataProfile] | None = None

    @field_validator("nodata", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, str):
            msg = f"has to be a number or a list of numbers, got {value!r}"
            raise ValueError(msg)
        return (value,) if isinstance(value, int | float) else value

    @field_validator("classes")
    @classmethod
    def _each_value_once(cls, classes: tuple[Class, ...] | None) -> tuple[Class, ...] | None:
        named: dict[int, str] = {}
        for each in classes or ():
            if (other := named.setdefault(each.value, each.name)) != each.name:
                msg = f"names the value {each.value} twice: {other!r} and {each.name!r}"
                raise ValueError(msg)
        return classes


class Provider(Strict):
    """An organisation or person, as in a STAC provider object."""

    name: str
    roles: tuple[str, ...] | None = None
    url: str | None = None
    description: str | None = None


class Publication(Strict):
    """A paper about the data."""

    doi: str | None = None
    citation: str | None = None


class CollectionProfile(Strict):
    """Metadata of a whole record, store or product; ``license`` is an SPDX id or ``other``."""

    title: str | None = None
    description: str | None = None
    license: str | None = None
    license_link: str | None = None
    citation: str | None = None
    doi: str | None = None
    keywords: tuple[str, ...] | None = None
    providers: tuple[Provider, ...] | None = None
    publications: tuple[Publication, ...] | None = None


@dataclass(frozen=True)
class Named:
    """Names in a store that profiles can match.

    Parameters
    ----------
    variables
        Names of the variables of each data id; empty if unknown.
    collections
        Keys of the collections: a record, product or bucket.
    """

    variables: Mapping[str, Sequence[str]]
    collections: Sequence[str]


def _listed(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"there are: {', '.join(found[:_NAMED])}{more}" if found else "there is none"


class _DataEntry(DataProfile):
    match: str


class _CollectionEntry(CollectionProfile):
    match: str = "*"


class _ProfileFile(Strict):
    source: str | tuple[str, ...]
    collections: tuple[_CollectionEntry, ...] = ()
    data: tuple[_DataEntry, ...] = ()

    _path: Path | None = PrivateAttr(default=None)
    _document: Document = PrivateAttr(default_factory=lambda: Document("profile", None))

    def set_document(self, path: Path, document: Document) -> None:
        self._path, self._document = path, document

    @property
    def is_of_the_package(self) -> bool:
        return self._path is None or self._path.parent == PACKAGE_DIRECTORY

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,) if isinstance(self.source, str) else self.source

    def is_for(self, store_key: str) -> bool:
        return any(fnmatchcase(store_key, pattern) for pattern in self.sources)

    def unmatched(self, stores: Mapping[str, Named]) -> list[str]:
        """Return a line for each pattern or name in this file that matches nothing."""
        return self._document.report(self._unmatched(stores)).problems

    def _unmatched(self, stores: Mapping[str, Named]) -> Iterator[Problem]:
        for number, pattern in enumerate(self.sources):
            if not any(fnmatchcase(key, pattern) for key in stores):
                at = ("source",) if isinstance(self.source, str) else ("source", number)
                yield Problem(at, f"{pattern!r} matches no store; {_listed(stores)}")
        found = [each for key, each in stores.items() if self.is_for(key)]
        if not found:
            return
        data_ids = [data_id for each in found for data_id in each.variables]
        collections = [key for each in found for key in each.collections]
        for number, entry in enumerate(self.collections):
            if not any(fnmatchcase(key, entry.match) for key in collections):
                message = f"{entry.match!r} matches no collection; {_listed(collections)}"
                yield Problem(("collections", number, "match"), message)
        for number, data in enumerate(self.data):
            matched = [name for name in data_ids if _fits(name, data.match)]
            if not matched:
                message = f"{data.match!r} matches no data id; {_listed(data_ids)}"
                yield Problem(("data", number, "match"), message)
            names = [
                name
                for each in found
                for data_id in matched
                for name in each.variables.get(data_id, ())
            ]
            for name in data.variables or {} if names else ():
                if name not in names:
                    message = f"there is no variable {name!r}; {_listed(names)}"
                    yield Problem(("data", number, "variables", name), message, on_key=True)


_P = TypeVar("_P", DataProfile, CollectionProfile)


class Profiles:
    """All profiles of a run."""

    def __init__(self, files: Iterable[_ProfileFile] = ()) -> None:
        self._files = tuple(files)

    @classmethod
    def load(cls, directories: Sequence[Path] = ()) -> Profiles:
        """Read the package's profiles and then those of *directories*.

        Raises
        ------
        ConfigError
            If a profile cannot be read, with a line for each mistake.
        """
        users = [path for directory in directories for path in sorted(directory.glob("*.yml"))]
        return cls((*_of_the_package(), *map(_read, users)))

    @property
    def has_own(self) -> bool:
        """Whether there are profiles of the user's."""
        return not all(file.is_of_the_package for file in self._files)

    def unmatched(self, stores: Mapping[str, Named]) -> list[str]:
        """Return a message for each pattern or name in the user's profiles that matches nothing.

        Parameters
        ----------
        stores
            Names by key of store.
        """
        own = (file for file in self._files if not file.is_of_the_package)
        return [line for file in own for line in file.unmatched(stores)]

    def of(self, store_key: str, data_id: str, file: str | None = None) -> DataProfile:
        """Return the metadata of *data_id*; an empty profile if there are none.

        Parameters
        ----------
        file
            Path of one of the files of a data id; entries that match either are used.
        """
        data = (each for file in self._files if file.is_for(store_key) for each in file.data)
        return _merge(DataProfile, data, data_id, file or data_id)

    def collection(self, store_key: str, key: str) -> CollectionProfile:
        """Return the metadata of the collection *key* (a record, product or bucket)."""
        found = (
            each for file in self._files if file.is_for(store_key) for each in file.collections
        )
        return _merge(CollectionProfile, found, key)


def _merge(kind: type[_P], profiles: Iterable[_DataEntry | _CollectionEntry], *names: str) -> _P:
    # Later profiles override single fields, so that common metadata are stated once.
    merged: dict[str, Any] = {}
    for each in profiles:
        if any(_fits(name, each.match) for name in names):
            merged |= each.model_dump(exclude={"match"}, exclude_none=True)
    return kind.model_validate(merged)


def _fits(name: str, pattern: str) -> bool:
    # A data id may itself be a pattern, which a profile repeats as it is.
    return name == pattern or fnmatchcase(name, pattern)


@functools.cache
def _of_the_package() -> tuple[_ProfileFile, ...]:
    """Read the package's profiles, once a process as it takes longer than many a plan."""
    return tuple(_profile(path, _quickly(path)) for path in sorted(PACKAGE_DIRECTORY.glob("*.yml")))


def _quickly(path: Path) -> Document:
    """Read a file that has no mistakes, so that positions of its values are not needed."""
    # The parser in C takes a hundredth of the time. Not every build of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 - both are safe
    return Document(str(path), data)


def _read(path: Path) -> _ProfileFile:
    return _profile(path, read_document(path))


def _profile(path: Path, document: Document) -> _ProfileFile:
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"is {show(document.data)}"
        message = f"{what}, but has to be a mapping with source, collections and data"
        raise document.report([*document.problems, Problem((), message)])
    problems, profile = list(document.problems), None
    context: dict[str, Any] = {"known": {}}
    try:
        profile = _ProfileFile.model_validate(document.data, context=context)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems += translated(errors, document.data, context["known"])
    if problems or profile is None:
        raise document.report(problems)
    profile.set_document(path, document)
    return profile
