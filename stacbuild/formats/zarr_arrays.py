"""Hrefs of single arrays: the group that has the array, and the array as the only variable.

A catalog may list the arrays of a store as assets, one a band
(``scene.zarr/measurements/reflectance/r10m/b04``). The coordinates of an array are in its group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xarray as xr
import zarr

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.formats.zarr_errors import IS_ARRAY
from stacbuild.formats.zarr_store import HIDDEN, open_group

Json = dict[str, Any]


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
        found = dataset.drop_vars(others)
        found.encoding = {**dataset.encoding, HIDDEN: {}}
        found.set_close(dataset.close)
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
