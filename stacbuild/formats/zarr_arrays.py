"""Hrefs of single arrays: the group that has the array, and the array as the only variable.

A catalog may list the arrays of a store as assets, one a band
(``scene.zarr/measurements/reflectance/r10m/b04``). The coordinates of an array are in its group.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import xarray as xr
import zarr

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.zarr_errors import IS_ARRAY
from stacbuild.formats.zarr_store import HIDDEN, open_group, source_of

Json = dict[str, Any]

_MOST_KEPT = 16


@dataclass(frozen=True)
class Node:
    """A Zarr group, opened, or the group of an array.

    Parameters
    ----------
    href
        That of the group.
    array
        Name of the array in it; None for a whole group.
    """

    group: zarr.Group
    href: str
    array: str | None = None

    def chosen(self, dataset: xr.Dataset) -> xr.Dataset:
        """Return the group's dataset with the array as its only one on the grid.

        Variables without the array's spatial dimensions, such as grid mappings, are kept.

        Raises
        ------
        IntegrityError
            The array cannot be read.
        """
        name = self.array
        if name is None:
            return dataset
        if name not in dataset.data_vars:
            hidden = dataset.encoding.get(HIDDEN, {})
            why = hidden[name].reason if name in hidden else "is a coordinate, no variable"
            raise IntegrityError(f"{self.href}/{name}: {name} {why}")
        spatial = set(dataset[name].dims[-2:])
        others = [
            key
            for key, each in dataset.data_vars.items()
            if key != name and spatial <= set(each.dims)
        ]
        found = dataset.copy().drop_vars(others)
        found.encoding = {**dataset.encoding, HIDDEN: {}}
        return found


def open_node(href: str, storage_options: Json | None = None) -> Node:
    """Open the group at *href*, or the group of the array at *href*, as `open_group`."""
    try:
        return Node(open_group(href, storage_options), href)
    except StacbuildError as error:
        if IS_ARRAY not in str(error):
            raise
    above, _, name = href.rstrip("/").rpartition("/")
    return Node(open_group(above, storage_options), above, name)


class Nodes:
    """Groups of Zarr stores, opened once for all of their arrays; safe for threads.

    The arrays of a group are often assets of one item, and each would be several requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @contextmanager
    def open(
        self, href: str, storage_options: Json | None = None
    ) -> Iterator[tuple[Node, xr.Dataset]]:
        """Open the node at *href* in a context, with the dataset of its group or of its array.

        Errors are those of `open_node`, `source_of` and `Node.chosen`.
        """
        above, _, name = href.rstrip("/").rpartition("/")
        if ".zarr/" not in f"{above}/":
            # A whole store, or a file of arrays.
            node = open_node(href, storage_options)
            with source_of(node.group, node.href, storage_options) as dataset:
                yield node, node.chosen(dataset)
            return
        kept = self._kept_of(f"{above} {bool(storage_options)}")
        with kept.lock:
            if kept.found is None or name not in kept.found[1].data_vars:
                node = open_node(href, storage_options)
                dataset = source_of(node.group, node.href, storage_options)
                if node.array is not None:
                    kept.found = node.group, dataset
            else:
                node, dataset = Node(kept.found[0], above, name), kept.found[1]
        yield node, node.chosen(dataset)

    def _kept_of(self, key: str) -> _Kept:
        with self._lock:
            found = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return found


@dataclass
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    found: tuple[zarr.Group, xr.Dataset] | None = None
