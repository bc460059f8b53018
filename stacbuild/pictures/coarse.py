"""Read one plane of a cube at a coarse resolution, for pictures and statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

SAMPLE = "stacbuild:sample"
"""Field of ``statistics``: which sample of a variable they describe, if not all of it."""

SIDE = 512
"""Maximum pixels of the longer side of a coarse read."""

# Zarr has no overviews and whole chunks are decoded: a larger plane takes too long to read for a
# picture.
_MAX_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Plane:
    """Every n-th row and column of a variable, at one index along each other dimension.

    Parameters
    ----------
    array
        The variable.
    values
        2-D, dtype of the variable, northernmost row first.
    valid
        Mask of the values that are not nodata; same shape.
    place
        The index along each other dimension, by name.
    extent
        West, east, south and north edges, in the units of the coordinates.
    step
        Every *step*-th row and column was read.
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
        Lazy, opened with ``mask_and_scale=False``; its last two dimensions are spatial and have
        coordinates.
    place
        Index along other dimensions; by default the last time, and 0 along all others.
    side
        Maximum number of rows and of columns.

    Returns
    -------
    The plane; None if more than 2 GB of chunks would have to be decoded.
    """
    rows, cols = (str(dim) for dim in array.dims[-2:])
    others = [str(dim) for dim in array.dims[:-2]]
    place = {
        dim: (place or {}).get(dim, array.sizes[dim] - 1 if dim == "time" else 0) for dim in others
    }
    chunks = array.encoding.get("chunks") or array.shape
    decoded = math.prod(chunks[:-2]) * array.sizes[rows] * array.sizes[cols] * array.dtype.itemsize
    if decoded > _MAX_BYTES:
        return None
    step = max(1, -(-max(array.sizes[rows], array.sizes[cols]) // side))
    every = slice(min(step // 2, array.sizes[rows] - 1, array.sizes[cols] - 1), None, step)
    values = array.isel({**place, rows: every, cols: every}).values
    at = array[rows].values
    if len(at) > 1 and at[0] < at[-1]:
        values = values[::-1]
    return Plane(
        array, values, valid_values(array, values), place, _extent(array, rows, cols), step
    )


def _sample(plane: Plane) -> str:
    """Return a description of the part of a variable that was read; empty if it is all of it."""
    parts = [f"1 of {plane.step} rows and columns"] if plane.step > 1 else []
    for dim, position in plane.place.items():
        if plane.array.sizes[dim] > 1:
            at = plane.array[dim].values[position] if dim in plane.array.coords else position
            parts.append(f"{dim} {str(at).removesuffix('T00:00:00.000000000')}")
    return ", ".join(parts)


def valid_values(array: xr.DataArray, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the values of *array* that are not nodata, of the shape of *values*."""
    valid = np.ones(values.shape, np.bool_)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    fill = array.attrs.get("_FillValue", array.encoding.get("_FillValue"))
    if fill is not None and not np.isnan(fill):
        valid &= values != fill
    return valid


def physical_values(array: xr.DataArray, values: NDArray[Any]) -> NDArray[Any]:
    """Return stored values of *array* in the unit of its attribute ``units``.

    The stored values themselves if the array has neither ``scale_factor`` nor ``add_offset``, else
    ``stored * scale_factor + add_offset`` as float64 (CF conventions 1.11, section 8.1).
    """
    stated = {**array.encoding, **array.attrs}
    if "scale_factor" not in stated and "add_offset" not in stated:
        return values
    scale, offset = float(stated.get("scale_factor", 1.0)), float(stated.get("add_offset", 0.0))
    return values.astype(np.float64) * scale + offset


def _extent(array: xr.DataArray, rows: str, cols: str) -> tuple[float, float, float, float]:
    edges = []
    known = [abs(at[1] - at[0]) for dim in (cols, rows) if len(at := array[dim].values) > 1]
    for dim in (cols, rows):
        at = array[dim].values.astype(float)
        # The pixel size of a single row (or column) is unknown: use that of the other axis, else 1.
        half = float(abs(at[1] - at[0]) if len(at) > 1 else known[0] if known else 1.0) / 2
        edges += [float(at.min()) - half, float(at.max()) + half]
    return edges[0], edges[1], edges[2], edges[3]


def statistics(plane: Plane) -> dict[str, float | str]:
    """Return the STAC ``statistics`` of the pixels that were read, which may be a sample.

    See https://github.com/radiantearth/stac-spec/blob/v1.1.0/commons/common-metadata.md. `SAMPLE`
    describes the sample.
    """
    values = plane.values[plane.valid].astype(np.float64)
    found: dict[str, float | str] = {"valid_percent": round(100 * float(plane.valid.mean()), 2)}
    if sample := _sample(plane):
        found[SAMPLE] = sample
    if len(values):
        # Both overflow for the largest doubles.
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
