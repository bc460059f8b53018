"""What a file does not say of itself: one YAML a record, bucket or product family.

A profile names the sources it is for and states facts about their data: which year a band is,
what a code means, units, nodata, licence, citation. The profiles of this package stand beside
this module; a user's own are the ``*.yml`` files in a folder ``profiles`` beside the
configuration, and win over the package's.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from stacbuild.config.reading import Problem, read_document
from stacbuild.nodata import exact

ExactNumber = Annotated[int | float, BeforeValidator(exact)]

PACKAGE_DIRECTORY = Path(__file__).parent


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Class(_Facts):
    """One code of a legend, as in the STAC classification extension 2.0.0."""

    value: int
    name: str = Field(pattern=r"^[0-9A-Za-z-_]+$")
    title: str | None = None
    description: str | None = None
    color_hint: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f]{6}$")
    nodata: bool = False


class Years(_Facts):
    """Bands that are years: band ``i`` (from 1) is the year ``first + i - 1``."""

    first: int
    count: int = Field(gt=0)


class DataProfile(_Facts):
    """Facts about one data id, or one variable of a Zarr store.

    ``nodata`` lists every value that stands for "no data"; ``unit`` is a UDUNITS string;
    ``standard_name`` a name of the CF table; ``variables`` is for Zarr stores only. So is
    ``bbox``, the outer edges of the pixels of the whole (west, south, east, north in its CRS), for
    a store whose coordinates do not say whether they are centres or edges.
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
    bbox: tuple[float, float, float, float] | None = None
    variables: dict[str, DataProfile] | None = None

    @field_validator("nodata", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value


class Provider(_Facts):
    """An organisation or person, as in a STAC provider object."""

    name: str
    roles: tuple[str, ...] | None = None
    url: str | None = None
    description: str | None = None


class Publication(_Facts):
    """A paper about the data."""

    doi: str | None = None
    citation: str | None = None


class CollectionProfile(_Facts):
    """Facts about a whole record, store or product; ``license`` is an SPDX id or ``other``."""

    title: str | None = None
    description: str | None = None
    license: str | None = None
    license_link: str | None = None
    citation: str | None = None
    doi: str | None = None
    keywords: tuple[str, ...] | None = None
    providers: tuple[Provider, ...] | None = None
    publications: tuple[Publication, ...] | None = None


class _DataEntry(DataProfile):
    match: str


class _CollectionEntry(CollectionProfile):
    match: str = "*"


class _ProfileFile(_Facts):
    source: str | tuple[str, ...]
    collections: tuple[_CollectionEntry, ...] = ()
    data: tuple[_DataEntry, ...] = ()

    def is_for(self, store_key: str) -> bool:
        patterns = (self.source,) if isinstance(self.source, str) else self.source
        return any(fnmatchcase(store_key, pattern) for pattern in patterns)


_P = TypeVar("_P", DataProfile, CollectionProfile)


class Profiles:
    """All profiles that are known in a run."""

    def __init__(self, files: Iterable[_ProfileFile] = ()) -> None:
        self._files = tuple(files)

    @classmethod
    def load(cls, directories: Sequence[Path] = ()) -> Profiles:
        """Read the package's profiles and then those of *directories*.

        Raises
        ------
        ConfigError
            For a profile that cannot be read, with a line for every mistake in it.
        """
        users = [path for directory in directories for path in sorted(directory.glob("*.yml"))]
        return cls((*_of_the_package(), *map(_read, users)))

    def of(self, store_key: str, data_id: str) -> DataProfile:
        """Give what is known of *data_id*; an empty profile if nothing is."""
        found = (
            entry
            for file in self._files
            if file.is_for(store_key)
            for entry in file.data
            if fnmatchcase(data_id, entry.match)
        )
        return _merge(DataProfile, found)

    def collection(self, store_key: str, key: str) -> CollectionProfile:
        """Give what is known of the collection *key* (a record, product or bucket)."""
        found = (
            entry
            for file in self._files
            if file.is_for(store_key)
            for entry in file.collections
            if fnmatchcase(key, entry.match)
        )
        return _merge(CollectionProfile, found)


def _merge(kind: type[_P], entries: Iterable[_P]) -> _P:
    # Later entries win field by field, so that what several members share is stated once.
    facts: dict[str, Any] = functools.reduce(
        lambda known, entry: known | entry.model_dump(exclude={"match"}, exclude_none=True),
        entries,
        {},
    )
    return kind.model_validate(facts)


@functools.cache
def _of_the_package() -> tuple[_ProfileFile, ...]:
    """Read the package's profiles, which takes longer than many a plan: once a process."""
    return tuple(_read(path) for path in sorted(PACKAGE_DIRECTORY.glob("*.yml")))


def _read(path: Path) -> _ProfileFile:
    document = read_document(path)
    problems, profile = list(document.problems), None
    try:
        profile = _ProfileFile.model_validate(document.data)
    except ValidationError as error:
        problems += [
            Problem(problem["loc"], problem["msg"], problem["type"] == "extra_forbidden")
            for problem in error.errors(include_url=False, include_input=False)
        ]
    if problems or profile is None:
        raise document.report(problems)
    return profile
