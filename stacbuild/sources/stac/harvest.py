"""Harvesting of a foreign STAC catalog: a STAC API, or a static one at a URL or in a folder.

A data id is a query (`stacbuild.sources.stac.query`). Matching items become items of our catalog,
with a collection for each of theirs. Each is described from the header of its file: projection
fields are missing, old or wrong in many catalogs, and the position of pixels has to be right.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pystac

from stacbuild import progress
from stacbuild.errors import Failure, StacbuildError
from stacbuild.net.http import public_url
from stacbuild.profiles import CollectionProfile, DataProfile, Profiles
from stacbuild.safe_text import clean
from stacbuild.sources.base import Wanted, collected, raise_collected
from stacbuild.sources.stac.asset import (
    data_of,
    outer_links,
    rights_of,
    text,
)
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.one_asset import Described, Job, describe, take, via
from stacbuild.sources.stac.product import (
    READ_ALL,
    SAMPLES,
    pattern_of,
    product_of,
    spread,
)
from stacbuild.sources.stac.query import Query, parse
from stacbuild.sources.stac.reader import Reader
from stacbuild.sources.stac.scene_item import profile_of_asset, scene_of
from stacbuild.sources.stac.scene_properties import is_acquired
from stacbuild.sources.stac.search import find
from stacbuild.sources.stac.state import FOUND, state_of
from stacbuild.sources.stac.store import StacStore
from stacbuild.sources.stac.unread import Problem, Unread
from stacbuild.stac.catalog import STORE, Harvest, slug, with_digest
from stacbuild.stac.extensions import declare_extensions

_THREADS = 8
_LONGEST_COLLECTION = 120
_MOST_NAMED = 10
_OF_SCENES = ("eo:cloud_cover", "grid:code")


def harvest(store: StacStore, wanted: Wanted, profiles: Profiles) -> Iterator[Harvest]:
    """Harvest the items that the wanted data ids match.

    Several items of a data id are tiles, maybe of several times; they are combined when loaded.

    Yields
    ------
    Harvest
        One for each collection of that catalog.

    Raises
    ------
    NotFoundError, AuthError, RemoteError, LocalError, IntegrityError, StacbuildError
        For a single data id that could not be described, after the others were harvested.
    Failures
        For several.
    """
    described: dict[tuple[str, str], list[Described]] = {}
    failures: list[Failure] = []
    stated = CollectionProfile()
    with Reader(store, wanted.folders) as reader:
        for data_id in dict.fromkeys((*wanted.data_ids, *wanted.preload)):
            with collected(failures, data_id):
                for each in _describe_all(reader, data_id, profiles, skip=data_id in wanted.skip):
                    key = each.found.collection_location, str(each.found.collection.get("id"))
                    described.setdefault(key, []).append(each)
                stated = profiles.collection(store.key, data_id)
        for group in described.values():
            yield Harvest(_collection(reader, group, stated), tuple(each.item for each in group))
    raise_collected(failures)


def _describe_all(
    reader: Reader, data_id: str, profiles: Profiles, *, skip: bool
) -> list[Described]:
    query, known = parse(data_id), profiles.of(reader.store.key, data_id)
    founds, count = find(reader, query), len(query.assets)
    unread = Unread(skip, gather=skip or count > 1)
    # A single asset of scenes has its name, too, so that the variable of the cube has it.
    named = count > 1 or (count == 1 and bool(founds) and all(map(is_acquired, founds)))
    jobs = _jobs(reader, _Wanted(data_id, query, known, named), founds, unread)
    pairs = _describe_jobs(reader, jobs, unread)
    described = [each for _, each in pairs]
    if named:
        described = [
            scene_of(pairs[start : start + count], known) for start in range(0, len(pairs), count)
        ]
    unread.settle(described)
    _warn(described)
    if reader.store.folder:
        state = state_of(founds)
        for each in described:
            each.item.properties[FOUND] = state
    _check_combinable(data_id, described)
    return described


@dataclass(frozen=True)
class _Wanted:
    """A data id, its query, what profiles state of it, and whether assets have names."""

    data_id: str
    query: Query
    profile: DataProfile
    named: bool


def _jobs(reader: Reader, wanted: _Wanted, founds: Sequence[Found], unread: Unread) -> list[Job]:
    """Return the assets to describe: all of the first item, then all of the next.

    Items that lack one are left out if that is wanted.

    Raises
    ------
    StacbuildError
        Names every item that lacks an asset.
    """
    query, data_id = wanted.query, wanted.data_id
    counts = Counter(found.id for found in founds)
    jobs: list[Job] = []
    failed: dict[str, list[str]] = {}
    for found in founds:
        where = _beside(reader.root, found.location) if counts[found.id] > 1 else ""
        item_id = _item_id(found, data_id, where)
        for name in query.assets or (None,):
            try:
                data = data_of(reader, found, name, query.spatial_res)
            except StacbuildError as error:
                if type(error) is not StacbuildError or len(founds) == 1:
                    raise
                if unread.skip:
                    unread.problems.append(Problem(item_id, found, str(name), error))
                    continue
                reason = str(error).removeprefix(f"{found.id}: ")
                failed.setdefault(reason, []).append(found.id)
                continue
            profile = wanted.profile
            if len(query.assets) > 1:
                profile = profile_of_asset(profile, str(name))
            called = name if wanted.named else None
            jobs.append(Job(item_id, data_id, found, data, profile, called))
    if failed:
        raise StacbuildError("; ".join(f"{_listed(ids)}: {why}" for why, ids in failed.items()))
    return [job for job in jobs if job.item_id not in unread.item_ids]


def _listed(ids: Sequence[str]) -> str:
    shown = clean(", ".join(ids[:_MOST_NAMED]))
    more = len(ids) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _describe_jobs(
    reader: Reader, jobs: Sequence[Job], unread: Unread
) -> list[tuple[Job, Described]]:
    """Return the descriptions of the assets of items that can all be read."""
    label = f"{reader.store.identifier}: describe"
    with progress.task(label, total=len(jobs)) as task, ThreadPoolExecutor(_THREADS) as pool:

        def one(job: Job) -> Described | None:
            with unread.of(job):
                described = describe(reader, job)
                task.advance()
                return described
            return None

        # Headers of products first, since they decide which others are read.
        known: dict[int, Described | None] = {}
        for numbers in _products(reader, jobs):
            some = [numbers[place] for place in spread(len(numbers))]
            known |= zip(some, pool.map(one, [jobs[number] for number in some]), strict=True)
            read = [(jobs[n], each) for n in some if (each := known[n]) is not None]
            samples = [(job.found, job.data, each.item, each.header) for job, each in read]
            pattern = pattern_of(samples) if samples else None
            if pattern is None:
                continue
            for number in numbers:
                taken = None
                if number not in known:
                    taken = take(reader, jobs[number], pattern, read[0][1].notes)
                if taken is not None:
                    known[number] = taken
                    task.advance()
        rest = [number for number in range(len(jobs)) if number not in known]
        known |= zip(rest, pool.map(one, [jobs[number] for number in rest]), strict=True)
    bad = unread.item_ids
    return [
        (job, each)
        for number, job in enumerate(jobs)
        if (each := known[number]) is not None and job.item_id not in bad
    ]


def _products(reader: Reader, jobs: Sequence[Job]) -> Iterator[list[int]]:
    """Yield the numbers of items of products, of which not all headers have to be read."""
    if len(jobs) <= READ_ALL or reader.store.store_params.read_headers:
        return
    found: dict[str, list[int]] = {}
    scenes = any(job.name is not None for job in jobs)
    for number, job in enumerate(jobs):
        product = product_of(job.found, job.data, scene=scenes)
        if product is not None:
            found.setdefault(product, []).append(number)
    least = SAMPLES if scenes else READ_ALL
    yield from (numbers for numbers in found.values() if len(numbers) > least)


def _check_combinable(data_id: str, described: Sequence[Described]) -> None:
    """Raise an error for several Zarr stores that cannot be combined.

    Those of scenes are, like rasters, if they have the same variables. Others have their own times
    and extents.
    """
    if len(described) == 1:
        return
    first: dict[str, tuple[str, set[str]]] = {}
    for each in described:
        properties, stated = each.item.properties, each.found.content["properties"]
        if "cube:variables" in properties and not any(key in stated for key in _OF_SCENES):
            names = ", ".join(str(some.item.properties["title"]) for some in described[:3])
            more = ", ..." if described[3:] else ""
            raise StacbuildError(
                f"{data_id}: matches {len(described)} Zarr stores ({names}{more}); name one of "
                "them: collection/item"
            )
        for key, asset in each.item.assets.items():
            variables = {**properties, **asset.extra_fields}.get("cube:variables", {})
            data = {name for name, entry in variables.items() if entry["type"] == "data"}
            known, theirs = first.setdefault(key, (each.found.id, data))
            if different := sorted(data ^ theirs):
                raise StacbuildError(
                    f"{data_id}: {known} and {each.found.id} have different variables "
                    f"({clean(', '.join(different[:5]))}) in an asset; name the items of one kind"
                )


def _item_id(found: Found, data_id: str, where: str) -> str:
    """Return an id that is unique among data ids, as several queries may match the same item.

    *where* distinguishes items of the same id.
    """
    digest = hashlib.sha256(f"{found.id}{where}\n{data_id}".encode()).hexdigest()[:8]
    return f"{slug(found.id)[:100]}-{digest}"


def _beside(root: str, location: str) -> str:
    """Return the location of an item relative to its catalog."""
    return f"\n{posixpath.relpath(location, posixpath.dirname(root))}"


def _collection_id(store_key: str, name: str) -> str:
    """Return an id that is unique among the collections of that catalog."""
    short = slug(f"{store_key}-{name}")
    lossy = slug(name) != name or len(short) > _LONGEST_COLLECTION
    return with_digest(short[:_LONGEST_COLLECTION], name) if lossy else short


def _warn(described: Sequence[Described]) -> None:
    """Warn of each note once, with the number of items that it is about."""
    items_of: dict[str, list[str]] = {}
    for each in described:
        for note in each.notes:
            items_of.setdefault(note, []).append(each.found.id)
    for note, ids in items_of.items():
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        progress.warn(f"{clean(ids[0])[:100]}{more}: {note}")


def _collection(
    reader: Reader, described: Sequence[Described], stated: CollectionProfile
) -> pystac.Collection:
    """Return our collection for theirs; *stated*, a profile, overrides its metadata."""
    found = described[0].found
    content = found.collection
    name = str(content.get("id"))
    rights = rights_of(Found({"properties": {}}, "", content, ""))
    known = stated.model_dump(mode="json", exclude_none=True)
    rights |= {key: known[key] for key in ("license", "providers") if key in known}
    rights |= {f"sci:{key}": known[key] for key in ("doi", "citation") if key in known}
    keywords = content.get("keywords")
    collection = pystac.Collection(
        id=_collection_id(reader.store.key, name),
        title=known.get("title") or text(content.get("title"), 300) or text(name),
        description=known.get("description")
        or text(content.get("description"))
        or f"Items of {public_url(reader.root) if '://' in reader.root else name}.",
        license=rights.pop("license", "other"),
        keywords=[word for each in keywords[:50] if (word := text(each, 100))]
        if isinstance(keywords, list)
        else None,
        providers=[pystac.Provider.from_dict(each) for each in rights.pop("providers", [])],
        extent=pystac.Extent.from_items([each.item for each in described]),
        extra_fields={STORE: reader.store.key, **rights},
    )
    collection.add_link(via(found.collection_location, "application/json"))
    for rel, href in outer_links(reader, found.collection_location, content):
        collection.add_link(pystac.Link(rel, href))
    declare_extensions(collection)
    return collection
