"""Draw one variable of a cube at one time, with axes, title, and colour bar or legend."""

from __future__ import annotations

import io
import math
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from stacbuild.atomic import write_bytes
from stacbuild.errors import BuildError, ConfigError, ConflictError
from stacbuild.pictures.coarse import Plane, read_plane
from stacbuild.pictures.colors import COLORMAP, Legend, Scale, colors_of
from stacbuild.stac.files import is_own_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Maximum source pixels of the longer side: about the resolution of the figure.
_SIDE = 1000
_WIDTH, _DPI = 8.0, 150
# Maximum aspect ratio at which pixels are drawn undistorted.
_MAX_ASPECT = 2.0
# Maximum number of classes in a legend, and of characters in its lines.
_MAX_CLASSES, _LINE_LENGTH = 24, 26


def preview(cube: xr.Dataset, variable: str | None, time: str | None, path: Path) -> None:
    """Draw one variable of a cube into a PNG.

    Parameters
    ----------
    cube
        Opened lazily with ``mask_and_scale=False``.
    variable
        Its name; by default the first variable that has rows and columns.
    time
        Prefix of a date such as ``2010`` or ``2010-06``: the first matching time is drawn; by
        default the last. Other dimensions are drawn at their first value.
    path
        Output path; an existing preview is replaced. The same cube gives the same bytes.

    Raises
    ------
    ConfigError
        If there is no such variable or time; the message lists those that exist.
    BuildError
        If the plane is too large to read, or the cube has no variable to draw.
    ConflictError
        If *path* is occupied by anything but a preview.
    LocalError
        If it cannot be written.
    """
    if os.path.lexists(path) and not is_own_picture(path):
        raise ConflictError(
            f"{path}: is no picture that stacbuild drew; move it away, or write elsewhere (-o)"
        )
    array = _select_variable(cube, variable)
    plane = read_plane(array, _select_time(array, time), side=_SIDE)
    if plane is None:
        raise BuildError(f"{array.name}: a plane of it has more than 2 GB; draw a part yourself")
    figure = _draw(plane)
    drawn = io.BytesIO()
    # The mark that `is_own_picture` reads, instead of name and version of matplotlib.
    figure.savefig(drawn, format="png", dpi=_DPI, metadata={"Software": "stacbuild"})
    write_bytes(path, drawn.getvalue())


def _select_variable(cube: xr.Dataset, variable: str | None) -> xr.DataArray:
    drawable = [
        str(name)
        for name, array in cube.data_vars.items()
        if array.ndim >= 2 and array.dtype.kind in "biuf"
        and all(dim in array.coords for dim in array.dims[-2:])
    ]  # fmt: skip
    if not drawable:
        raise BuildError("nothing in this cube has rows and columns with coordinates")
    if variable is not None and variable not in drawable:
        raise ConfigError(
            f"there is no variable {variable!r} to draw; there are: {', '.join(drawable)}"
        )
    return cube[variable or drawable[0]]


def _select_time(array: xr.DataArray, time: str | None) -> dict[str, int]:
    if time is None:
        return {}
    if "time" not in array.dims:
        raise ConfigError(f"{array.name} has no time, so that none can be chosen")
    known = [_time_text(value) for value in array["time"].values]
    for number, moment in enumerate(known):
        if moment.startswith(time):
            return {"time": number}
    raise ConfigError(
        f"{array.name} has no time {time!r}; its {len(known)} times are from {known[0]} to "
        f"{known[-1]}"
    )


def _draw(plane: Plane) -> Figure:
    west, east, south, north = plane.extent
    stretch = _stretch(plane)
    ratio = (north - south) * stretch / (east - west)
    # In a narrow strip there would be no room for axes and labels.
    shape: Literal["auto"] | float = stretch if 1 / _MAX_ASPECT < ratio < _MAX_ASPECT else "auto"
    colors = colors_of(plane)
    lines = len(colors.classes[:_MAX_CLASSES]) if isinstance(colors, Legend) else 0
    height = max(_WIDTH * 0.75 * min(ratio, _MAX_ASPECT) + 1.2, 0.45 * lines, 4.0)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(
        colors.rgba(plane), extent=plane.extent, aspect=shape, interpolation="nearest",
        origin="upper",
    )  # fmt: skip
    axes.set_title("\n".join(textwrap.wrap(_title(plane), 70)), fontsize=11)
    _label(axes, plane)
    if isinstance(colors, Legend):
        _add_legend(axes, colors)
    else:
        _add_bar(figure, axes, colors, plane)
    return figure


def _add_legend(axes: Axes, colors: Legend) -> None:
    handles = [
        Patch(
            facecolor=(color[0] / 255, color[1] / 255, color[2] / 255), edgecolor="0.6",
            linewidth=0.5, label="\n".join(textwrap.wrap(name.replace("_", " "), _LINE_LENGTH)),
        )
        for _, name, color in colors.classes[:_MAX_CLASSES]
    ]  # fmt: skip
    if (more := len(colors.classes) - len(handles)) > 0:
        handles.append(Patch(alpha=0, label=f"and {more} more"))
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=9,
        borderaxespad=0,
    )  # fmt: skip


def _add_bar(figure: Figure, axes: Axes, colors: Scale, plane: Plane) -> None:
    values = plane.values[plane.valid]
    extend = {
        (False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"
    }[bool((values < colors.low).any()), bool((values > colors.high).any())]  # fmt: skip
    unit = plane.array.attrs.get("units")
    figure.colorbar(
        ScalarMappable(Normalize(colors.low, colors.high), COLORMAP),
        ax=axes,
        shrink=0.8,
        extend=extend,
        label=f"{_name(plane)} ({unit})" if unit and unit != "1" else _name(plane),
    )


def _label(axes: Axes, plane: Plane) -> None:
    degrees = _is_geographic(plane)
    words = ("longitude", "latitude") if degrees else ("x", "y")
    y, x = (plane.array[dim] for dim in plane.array.dims[-2:])
    axes.set_xlabel(f"{words[0]} ({'°E' if degrees else x.attrs.get('units', '1')})", fontsize=9)
    axes.set_ylabel(f"{words[1]} ({'°N' if degrees else y.attrs.get('units', '1')})", fontsize=9)
    axes.tick_params(labelsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]


def _is_geographic(plane: Plane) -> bool:
    return str(plane.array[plane.array.dims[-1]].attrs.get("units", "")).startswith("degree")


def _stretch(plane: Plane) -> float:
    """Return the length of a unit of y relative to one of x (approximate for degrees)."""
    if not _is_geographic(plane):
        return 1.0
    middle = (plane.extent[2] + plane.extent[3]) / 2
    return 1 / max(math.cos(math.radians(middle)), 0.1)


def _name(plane: Plane) -> str:
    return str(plane.array.attrs.get("long_name", plane.array.name))


def _title(plane: Plane) -> str:
    found = []
    for dim, number in plane.place.items():
        value = plane.array[dim].values[number] if dim in plane.array.coords else number
        found.append(_time_text(value) if dim == "time" else f"{dim} {value}")
    return ", ".join([_name(plane), *found])


def _time_text(value: Any) -> str:
    text = str(np.datetime_as_string(value, "s") if isinstance(value, np.datetime64) else value)
    return text.removesuffix("T00:00:00")
