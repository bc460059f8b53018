"""Thumbnail, renders and statistics of a cube, for its STAC item.

Computed when the item of a cube is made, from a coarse read of one plane of each variable, at the
last time. Zarr has no overviews, so whole chunks of that plane are decoded; planes of more than
2 GB are not drawn. Colours are those of ``flag_colors``, else viridis from the 2nd to the 98th
percentile. ``renders`` contain explicit colour maps, since clients ignore unknown names. Their
``rescale`` and the statistics are of stored values, as clients read them by default; the previews
of ``stacbuild preview`` show decoded values.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stacbuild.nodata import to_json
from stacbuild.pictures.coarse import SIDE, Plane, read_plane, statistics
from stacbuild.pictures.colors import Legend, Scale, colors_of

# A picture is not informative if a single value has a larger share of its pixels.
_UNIFORM_SHARE = 0.9
# Proportions of a pixel from which its picture is stretched, and the most that it is.
_NOT_SQUARE, _MOST_STRETCHED = 1.25, 16.0


@dataclass(frozen=True)
class Pictured:
    """Pictures and statistics of a cube.

    Parameters
    ----------
    pngs
        Picture by variable, at most 512 pixels a side.
    telling
        The variables that are drawn, those with nearly uniform pictures last.
    renders
        Objects of the STAC render extension, by variable.
    statistics
        STAC ``statistics`` by variable, of a sample of one plane.
    """

    pngs: dict[str, bytes]
    telling: tuple[str, ...]
    renders: dict[str, dict[str, Any]]
    statistics: dict[str, dict[str, float | str]]


def picture(cube: xr.Dataset, asset: str = "data") -> Pictured:
    """Return pictures and statistics of a cube.

    Parameters
    ----------
    cube
        Opened with ``mask_and_scale=False``; the last two dimensions of its variables are spatial.
    asset
        Key of the cube's asset, referenced by the renders.
    """
    drawn: dict[str, tuple[Plane, Legend | Scale]] = {}
    renders, found = {}, {}
    for name, array in cube.data_vars.items():
        plane = read_plane(array) if array.ndim >= 2 and array.dtype.kind in "biuf" else None
        if plane is None:
            continue
        colors = colors_of(plane)
        drawn[str(name)] = plane, colors
        found[str(name)] = statistics(plane)
        render: dict[str, Any] = {
            "title": str(array.attrs.get("long_name", name)),
            "assets": [asset],
            "colormap": colors.colormap(),
        }
        if isinstance(colors, Scale):
            render["rescale"] = [[colors.low, colors.high]]
        if (nodata := _nodata(plane)) is not None:
            render["nodata"] = nodata
        renders[str(name)] = render
    pngs = {
        name: encode(in_proportion(colors.rgba(plane), _proportion(plane)))
        for name, (plane, colors) in drawn.items()
    }
    uniform = {name for name, (plane, _) in drawn.items() if _most_common(plane) > _UNIFORM_SHARE}
    return Pictured(pngs, tuple(sorted(drawn, key=lambda name: name in uniform)), renders, found)


def _most_common(plane: Plane) -> float:
    """Return the share of the most frequent value."""
    values = plane.values[plane.valid]
    if not len(values):
        return 1.0
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def _proportion(plane: Plane) -> float:
    """Return the height of a pixel relative to its width, in the units of the CRS."""
    rows, cols = plane.array.shape[-2:]
    west, east, south, north = plane.extent
    return abs(north - south) / rows / (abs(east - west) / cols)


def in_proportion(
    rgba: np.ndarray[Any, np.dtype[np.uint8]], ratio: float
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an image in proportion, if its pixels are not square.

    Parameters
    ----------
    rgba
        Shape (rows, columns, 4). Rows or columns are repeated, or left out where a side would have
        more than 512 pixels.
    ratio
        Height of a pixel relative to its width.
    """
    rows, cols = rgba.shape[:2]
    if 1 / _NOT_SQUARE < ratio < _NOT_SQUARE:
        return rgba
    ratio = min(max(ratio, 1 / _MOST_STRETCHED), _MOST_STRETCHED)
    high, wide = rows * max(ratio, 1), cols * max(1 / ratio, 1)
    scale = min(1, SIDE / max(high, wide))
    down, across = (
        np.arange(size) * count // size
        for size, count in (
            (max(1, round(high * scale)), rows),
            (max(1, round(wide * scale)), cols),
        )
    )
    return rgba[np.ix_(down, across)]


def encode(rgba: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Return the PNG of an RGBA array of shape (rows, columns, 4), with reproducible bytes."""
    buffer = io.BytesIO()
    # Marks the file as written by stacbuild, so that it may be replaced.
    mark = PngInfo()
    mark.add_text("Software", "stacbuild")
    Image.fromarray(rgba, "RGBA").save(buffer, "PNG", pnginfo=mark)
    return buffer.getvalue()


def _nodata(plane: Plane) -> int | float | str | None:
    fill = plane.array.attrs.get("_FillValue", plane.array.encoding.get("_FillValue"))
    if fill is None:
        return None
    # 64-bit integers are not exact as floats.
    return to_json(float(fill) if plane.array.dtype.kind == "f" else int(fill))
