"""The formats of cubes, and their layout.

``zarr``
    One Zarr group, ``<identifier>.zarr``.
``levels``
    A Zarr group ``<identifier>.zarr`` of groups, the levels of a pyramid: ``0`` is the cube, each
    next one has half its rows and columns (`stacbuild.building.levels`). It is a Zarr store like
    the others and has the same ending, by which clients recognise it.
``netcdf``
    One file, ``<identifier>.nc`` (`stacbuild.building.netcdf`).

Every cube is computed and staged as one Zarr group; levels and files are made from it before the
commit.
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
class Format:
    """The layout of one format.

    Parameters
    ----------
    ending
        Ending of the cube's name.
    data_ending
        Ending of its data id in the notebook's tool.
    inner
        The group of the staged store that is computed; empty for its root.
    public
        The path below the cube that clients open; empty for the cube itself.
    space
        Peak disk space, relative to the cube as one Zarr group.
    """

    ending: str
    data_ending: str
    inner: str
    public: str
    space: float


FORMATS: dict[FormatId, Format] = {
    "zarr": Format(".zarr", ".zarr", "", "", 1.0),
    # 1/4 + 1/16 + … = 1/3 more.
    "levels": Format(".zarr", ".levels", "0", "0", 4 / 3),
    # The staged store exists until the file is complete.
    "netcdf": Format(".nc", ".nc", "zarr", "", 2.0),
}


def whole(item: pystac.Item) -> pystac.Asset:
    """Return the asset of a cube's item that is the whole cube."""
    return item.assets.get(MULTISCALES) or item.assets["data"]
