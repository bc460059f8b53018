"""Read one plane of a cube at a coarse resolution, for pictures and statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

SAMPLE = "stacbuild:sample"
"""Field of ``statistics``: the part of a variable that they describe, if not all of it."""

SIDE = 512
"""Maximum pixels of the longer side of a coarse read."""

# Zarr has no overviews, and decodes whole chunks. Reading a larger plane takes too long for a
# picture.
_MOST_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Plane:
    """Every n-th row and column of a variable, at one position of its other dimensions.

    Parameters
    ----------
    values
        2-D, dtype of the variable, first row in the north.
    valid
        Which of them are not "no data"; same shape.
    place
        The position along each other dimension, by name.
    extent
        West, east, south, north edges of what is shown, in the units of the coordinates.
    step
        Of so many rows and columns one was read.
    """

    array: xr.DataArray
    values: NDArray[Any]
    valid: NDArray[np.bool_]
    place: dict[str, int]
    extent: tuple[float, float, float, float]
    step: int = 1


def read_plane(
    array: xr.DataArray, place: dict[str, int] | None = None, *, side: int = SIDE
) -> Plane | None:
    """Read one plane of a variable at a coarse resolution.

    Parameters
    ----------
    array
        Lazy, its last two dimensions spatial and with coordinates, not masked or scaled
        (``mask_and_scale=False``).
    place
        Position along other dimensions; by default the last time and the first of all else.
    side
        Rows or columns at the most.

    Returns
    -------
    None if that would take more than 2 GB of chunks to be decoded.
    """
    rows, cols = (str(dim) for dim in array.dims[-2:])
    others = [str(dim) for dim in array.dims[:-2]]
    place = {
        dim: (place or {}).get(dim, array.sizes[dim] - 1 if dim == "time" else 0) for dim in others
    }
    chunks = array.encoding.get("chunks") or array.shape
    decoded = math.prod(chunks[:-2]) * array.sizes[rows] * array.sizes[cols] * array.dtype.itemsize
    if decoded > _MOST_BYTES:
        return None
    step = max(1, -(-max(array.sizes[rows], array.sizes[cols]) // side))
    every = slice(min(step // 2, array.sizes[rows] - 1, array.sizes[cols] - 1), None, step)
    values = array.isel({**place, rows: every, cols: every}).values
    at = array[rows].values
    if len(at) > 1 and at[0] < at[-1]:
        values = values[::-1]
    return Plane(array, values, _valid(array, values), place, _extent(array, rows, cols), step)


def _sample(plane: Plane) -> str:
    """Return the part of a variable that was read, if not all of it."""
    said = [f"1 of {plane.step} rows and columns"] if plane.step > 1 else []
    for dim, position in plane.place.items():
        if plane.array.sizes[dim] > 1:
            at = plane.array[dim].values[position] if dim in plane.array.coords else position
            said.append(f"{dim} {str(at).removesuffix('T00:00:00.000000000')}")
    return ", ".join(said)


def _valid(array: xr.DataArray, values: NDArray[Any]) -> NDArray[np.bool_]:
    valid = np.ones(values.shape, np.bool_)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    fill = array.attrs.get("_FillValue", array.encoding.get("_FillValue"))
    if fill is not None and not np.isnan(fill):
        valid &= values != fill
    return valid


def _extent(array: xr.DataArray, rows: str, cols: str) -> tuple[float, float, float, float]:
    edges = []
    known = [abs(at[1] - at[0]) for dim in (cols, rows) if len(at := array[dim].values) > 1]
    for dim in (cols, rows):
        at = array[dim].values.astype(float)
        # A single row gets the height of a column's width; the size of one pixel is unknown.
        half = float(abs(at[1] - at[0]) if len(at) > 1 else known[0] if known else 1.0) / 2
        edges += [float(at.min()) - half, float(at.max()) + half]
    return edges[0], edges[1], edges[2], edges[3]


def statistics(plane: Plane) -> dict[str, float | str]:
    """Return the STAC ``statistics`` of a plane: of the pixels that were read, not of all.

    See https://github.com/radiantearth/stac-spec/blob/v1.1.0/commons/common-metadata.md. Of which
    sample stands in a field of our own.
    """
    values = plane.values[plane.valid].astype(np.float64)
    found: dict[str, float | str] = {"valid_percent": round(100 * float(plane.valid.mean()), 2)}
    if sample := _sample(plane):
        found[SAMPLE] = sample
    if len(values):
        # For the largest doubles both overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = float(values.mean()), float(values.std())
        found |= {
            "minimum": float(values.min()),
            "maximum": float(values.max()),
            **({"mean": float(f"{mean:.6g}")} if np.isfinite(mean) else {}),
            **({"stddev": float(f"{deviation:.6g}")} if np.isfinite(deviation) else {}),
            "count": len(values),
        }
    return found
