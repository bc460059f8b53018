"""Check that a group without consolidated metadata has arrays, and that zarr can read them all."""

from __future__ import annotations

import asyncio
from typing import Any

import zarr
from zarr import AsyncArray, AsyncGroup
from zarr.core.sync import sync

_OF_THE_GROUP = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")


def has_arrays(group: zarr.Group) -> bool:
    """Return whether *group* has an array; the metadata of all its members are read concurrently.

    `zarr.Group.members` does the same, but if several members fail it leaves all errors but one to
    asyncio, which prints their tracebacks.

    Raises
    ------
    Exception
        From zarr, for the first member that cannot be read.
    """
    if group.metadata.consolidated_metadata is not None:
        return next(iter(group.array_keys()), None) is not None
    return any(isinstance(each, AsyncArray) for each in sync(_members(group)))


async def _members(group: zarr.Group) -> list[Any]:
    node = AsyncGroup(group.metadata, group.store_path)
    limit = asyncio.Semaphore(zarr.config.get("async.concurrency"))

    async def member(name: str) -> Any:
        async with limit:
            return await node.getitem(name)

    listed = [name.strip("/") async for name in node.store.list_dir(node.path)]
    names = sorted(name for name in listed if name not in _OF_THE_GROUP)
    found = await asyncio.gather(*map(member, names), return_exceptions=True)
    for each in found:
        # A KeyError is raised for files that are not nodes.
        if isinstance(each, BaseException) and not isinstance(each, KeyError):
            raise each
    return found
