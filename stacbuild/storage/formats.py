"""The formats of cubes: where the parts of each lie, and what their items say of them.

``zarr``
    One Zarr group, ``<identifier>.zarr``.
``levels``
    A Zarr group ``<identifier>.zarr`` of groups, the levels of a pyramid: ``0`` is the cube, each
    next one has half its rows and columns (`stacbuild.building.levels`). It is a Zarr store like
    the others and named like them, since that is what clients know it by.
``netcdf``
    One file, ``<identifier>.nc`` (`stacbuild.building.netcdf`).

Whatever the format, a cube is computed and staged as one Zarr group; what else there is, is made
of that before the commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pystac

FormatId = Literal["zarr", "netcdf", "levels"]

MULTISCALES = "multiscales"
"""Key of the asset that is the whole pyramid; ``data`` is its first level."""


@dataclass(frozen=True)
class Form:
    """One format.

    Parameters
    ----------
    ending
        Of the cube's name.
    data_ending
        Of its data id in the notebook's tool.
    inner
        Group of the staged store that is computed, and the rest is made of; empty for its root.
    public
        What clients open, below the cube's name; empty for the cube itself.
    space
        Bytes on disk, before the end, for each of the cube in Zarr.
    """

    ending: str
    data_ending: str
    inner: str
    public: str
    space: float


FORMS: dict[FormatId, Form] = {
    "zarr": Form(".zarr", ".zarr", "", "", 1.0),
    # A quarter, a sixteenth, …: a third more.
    "levels": Form(".zarr", ".levels", "0", "0", 4 / 3),
    # The staged store is there until the file is.
    "netcdf": Form(".nc", ".nc", "zarr", "", 2.0),
}


def whole(item: pystac.Item) -> pystac.Asset:
    """Return the asset of a cube's item that holds all of the cube."""
    return item.assets.get(MULTISCALES) or item.assets["data"]
