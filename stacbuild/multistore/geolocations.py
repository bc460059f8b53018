"""Map of the grids of a configuration: interactive, or as SVG without further libraries."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from stacbuild.config import Config, GridMapping
from stacbuild.geo.bbox import BBox, unwrapped
from stacbuild.geo.crs import transformer
from stacbuild.geo.crs_text import canonical_crs
from stacbuild.planning.regions import extent_of
from stacbuild.safe_text import clean


def boxes(config: Config) -> dict[str, BBox]:
    """Return the bbox in degrees (EPSG:4326) of each grid that is used, by identifier.

    Grids taken from a source are omitted: a configuration does not contain their bounds.
    """
    found = {}
    for grid in map(config.grid_of, config.datasets):
        if not isinstance(grid, GridMapping) or grid.identifier in found:
            continue
        to_degrees = transformer(grid.crs, "EPSG:4326")
        bbox = unwrapped(extent_of(config, grid), canonical_crs(grid.crs))
        # The edges of a grid are curved in degrees, so densify each with 21 points.
        west, south, east, north = map(float, to_degrees.transform_bounds(*bbox, densify_pts=21))
        found[grid.identifier] = unwrapped((west, south, east, north), "EPSG:4326")
    return found


def draw(places: Mapping[str, BBox]) -> Drawing:
    """Return a drawing, with an interactive map above it if folium is installed."""
    drawing = Drawing(places)
    if importlib.util.find_spec("folium") is None:
        return drawing
    import folium

    view = folium.Map()
    for name, (west, south, east, north) in places.items():
        label = f"{clean(name)}: {west:g}, {south:g}, {east:g}, {north:g}"
        folium.Rectangle(
            [(south, west), (north, east)], fill=True, tooltip=escape(label, quote=True)
        ).add_to(view)
    view.fit_bounds(
        [
            (min(bbox[1] for bbox in places.values()), min(bbox[0] for bbox in places.values())),
            (max(bbox[3] for bbox in places.values()), max(bbox[2] for bbox in places.values())),
        ]
    )
    return MapWithDrawing(places, view)


class Drawing:
    """Bounding boxes in degrees with a graticule, as SVG in a notebook and as text elsewhere."""

    def __init__(self, places: Mapping[str, BBox]) -> None:
        self.places = dict(places)

    def __repr__(self) -> str:
        return "\n".join(
            f"{clean(name)}: west {w:g}, south {s:g}, east {e:g}, north {n:g}"
            for name, (w, s, e, n) in self.places.items()
        )

    def _repr_html_(self) -> str:
        west, south, east, north = _union_with_margin(list(self.places.values()))
        # A degree of longitude is shorter than one of latitude.
        narrow = max(math.cos(math.radians((south + north) / 2)), 0.1)
        scale = min(_WIDTH / ((east - west) * narrow), _HEIGHT / (north - south))
        width, height = (east - west) * narrow * scale, (north - south) * scale

        def at(lon: float, lat: float) -> tuple[float, float]:
            return _LEFT + (lon - west) * narrow * scale, (north - lat) * scale + 10

        parts = []
        for lon in _ticks(west, east):
            x, y = at(lon, south)
            parts.append(f'<line x1="{x:.1f}" y1="10" x2="{x:.1f}" y2="{y:.1f}" stroke="#ccc"/>')
            parts.append(_label(x, y + 16, "middle", f"{lon:g}°"))
        for lat in _ticks(south, north):
            x, y = at(east, lat)
            parts.append(
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="#ccc"/>'
            )
            parts.append(_label(_LEFT - 6, y + 4, "end", f"{lat:g}°"))
        for name, bbox in self.places.items():
            x, y = at(bbox[0], bbox[3])
            right, bottom = at(bbox[2], bbox[1])
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{right - x:.1f}" height="{bottom - y:.1f}" '
                'fill="#1f77b4" fill-opacity="0.2" stroke="#1f77b4" stroke-width="2"/>'
            )
            parts.append(_label(x + 6, y + 16, "start", clean(name)))
        size = f'width="{width + _LEFT + 20:.0f}" height="{height + 40:.0f}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'
            f"<pre>{escape(repr(self))}</pre>"
        )


class MapWithDrawing(Drawing):
    """A folium map with the drawing below it, since the map needs scripts from the web."""

    def __init__(self, places: Mapping[str, BBox], view: Any) -> None:
        super().__init__(places)
        self.map = view

    def _repr_html_(self) -> str:
        return (
            f"{self.map._repr_html_()}"
            "<details><summary>As a drawing, without a connection</summary>"
            f"{super()._repr_html_()}</details>"
        )


def _union_with_margin(found: Sequence[BBox]) -> BBox:
    west, south = min(bbox[0] for bbox in found), min(bbox[1] for bbox in found)
    east, north = max(bbox[2] for bbox in found), max(bbox[3] for bbox in found)
    margin = max(east - west, north - south, 1e-6) * 0.2
    return west - margin, south - margin, east + margin, north + margin


def _ticks(low: float, high: float) -> list[float]:
    about = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(about))
    step = next(unit * each for each in (1, 2, 5, 10) if unit * each >= about)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _label(x: float, y: float, anchor: str, text: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" '
        f'font-family="sans-serif">{escape(text)}</text>'
    )


_WIDTH, _HEIGHT, _LEFT = 480, 360, 60
