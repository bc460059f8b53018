"""Colours of values: of classes, or from a perceptually uniform colour map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from stacbuild.formats.cf_flags import legend_of
from stacbuild.pictures.coarse import Plane

COLORMAP = "viridis"
"""Colour map of quantities: perceptually uniform, also for colour-blind readers."""

# Colours of classes that state none: as many as can be distinguished.
_QUALITATIVE = "tab20"

Rgb = tuple[int, int, int]

OTHER: Rgb = (170, 170, 170)
"""Colour of values that belong to none of the classes of a variable."""


@dataclass(frozen=True)
class Legend:
    """Colours of classes: ``(value, name, colour)``; other values are drawn in `OTHER`."""

    classes: tuple[tuple[int, str, Rgb], ...]

    def others(self, plane: Plane) -> NDArray[Any]:
        """Return the valid values of a plane that belong to no class, sorted and unique."""
        return np.setdiff1d(plane.values[plane.valid], [code for code, _, _ in self.classes])

    def rgba(self, plane: Plane) -> NDArray[np.uint8]:
        """Return the colours of a plane, nodata transparent; shape (rows, columns, 4)."""
        result = np.zeros((*plane.values.shape, 4), np.uint8)
        # A value without a class is data: it must not look like nodata.
        result[plane.valid] = (*OTHER, 255)
        for code, _, color in self.classes:
            result[(plane.values == code) & plane.valid] = (*color, 255)
        return result

    def colormap(self) -> dict[str, list[int]]:
        """Return the ``colormap`` of the STAC render extension."""
        return {str(code): [*color, 255] for code, _, color in self.classes}


@dataclass(frozen=True)
class Scale:
    """Colours of quantities from ``low`` to ``high``; values outside are clipped."""

    low: float
    high: float

    def rgba(self, plane: Plane) -> NDArray[np.uint8]:
        """Return the colours of a plane, nodata transparent; shape (rows, columns, 4)."""
        values = np.where(plane.valid, plane.values, self.low).astype(np.float64)
        share = (values - self.low) / ((self.high - self.low) or 1.0)
        result = np.array(colormaps[COLORMAP](np.clip(share, 0, 1), bytes=True), np.uint8)
        result[~plane.valid] = 0
        return result

    def colormap(self) -> dict[str, list[int]]:
        """Return the ``colormap`` of the STAC render extension, for values rescaled to 0..255."""
        table = colormaps[COLORMAP](np.arange(256) / 255, bytes=True)
        return {str(index): [int(part) for part in color] for index, color in enumerate(table)}


def colors_of(plane: Plane) -> Legend | Scale:
    """Choose the colours of a variable by its CF attributes and values.

    ``flag_values`` with ``flag_meanings`` (CF 1.11, 3.5) define classes, coloured by
    ``flag_colors`` (one ``#rrggbb`` per class, separated by blanks, as in ESA CCI land cover) if
    present. Other variables are scaled from the 2nd to the 98th percentile.
    """
    attrs = plane.array.attrs
    if legend := legend_of(attrs):
        colors = _colors(attrs, len(legend))
        return Legend(tuple(zip(legend, legend.values(), colors, strict=True)))
    values = plane.values[plane.valid]
    if not len(values):
        return Scale(0.0, 1.0)
    low, high = (float(edge) for edge in np.percentile(values.astype(np.float64), (2, 98)))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return Scale(low, high)


def _colors(attrs: dict[str, Any], count: int) -> list[Rgb]:
    stated = str(attrs.get("flag_colors", "")).split()
    if len(stated) == count:
        try:
            return [_bytes(to_rgb(color)) for color in stated]
        except ValueError:
            # Attributes of third parties may be invalid.
            pass
    table = colormaps[_QUALITATIVE].colors  # type: ignore[attr-defined]
    return [_bytes(table[index % len(table)]) for index in range(count)]


def _bytes(color: tuple[float, float, float]) -> Rgb:
    red, green, blue = (round(255 * part) for part in color)
    return red, green, blue
