"""Draw one variable of a cube at one time, with axes, title, and colour bar or legend."""

from __future__ import annotations

import io
import math
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from stacbuild.atomic import write_bytes
from stacbuild.errors import BuildError, ConfigError, ConflictError
from stacbuild.formats.cf_flags import legend_of
from stacbuild.pictures.coarse import Plane, physical_values, read_plane, valid_values
from stacbuild.pictures.colors import COLORMAP, OTHER, Legend, Rgb, Scale, colors_of
from stacbuild.stac.files import is_own_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE = 1000
"""Maximum source pixels of the longer side: about the resolution of the figure."""

_WIDTH, _DPI = 8.0, 150
# Maximum aspect ratio at which pixels are drawn undistorted.
_MAX_ASPECT = 2.0
# Maximum number of columns of a legend and of classes in each, and of characters in a line.
_MAX_COLUMNS, _MAX_CLASSES, _LINE_LENGTH = 3, 24, 44
# Maximum number of characters in a line of the title, and of a colour bar's label.
_TITLE_LENGTH, _LABEL_LENGTH = 70, 48
# Maximum number of values in a message.
_NAMED = 8


def drawable_variables(cube: xr.Dataset) -> list[str]:
    """Return the names of the variables that have rows and columns with coordinates.

    Raises
    ------
    BuildError
        If there is none.
    """
    names = [
        str(name)
        for name, array in cube.data_vars.items()
        if array.ndim >= 2 and array.dtype.kind in "biuf"
        and all(dim in array.coords for dim in array.dims[-2:])
    ]  # fmt: skip
    if not names:
        raise BuildError("nothing in this cube has rows and columns with coordinates")
    return names


def preview(cube: xr.Dataset, variable: str | None, select: Mapping[str, str], path: Path) -> None:
    """Draw one variable of a cube into a PNG.

    A variable of one pixel and several times is drawn as a line, unless a time is selected.

    Parameters
    ----------
    cube
        Opened lazily with ``mask_and_scale=False``.
    variable
        Its name; by default the first variable that has rows and columns.
    select
        Value along each dimension, by name, as text. A time is a prefix of a date such as ``2010``
        or ``2010-06``: the first matching one is drawn. Where a dimension has no coordinate, the
        value is the position from 0. By default the last time, and the first value of others.
    path
        Output path; an existing preview is replaced. The same cube gives the same bytes.

    Raises
    ------
    ConfigError
        If there is no such variable, dimension or value; the message lists those that exist.
    BuildError
        If the plane is too large to read, or the cube has no variable to draw.
    ConflictError
        If *path* is occupied by anything but a preview.
    LocalError
        If it cannot be written.
    """
    if os.path.lexists(path) and not is_own_picture(path):
        raise ConflictError(
            f"{path}: is not a picture that stacbuild drew; move it away, or write elsewhere (-o)"
        )
    known = drawable_variables(cube)
    check_variables(known, [variable] if variable else [])
    array = cube[variable or known[0]]
    check_dimensions(cube, [str(array.name)], select)
    place = {dim: _position(array, dim, value) for dim, value in select.items()}
    plane = read_plane(array, place, side=SIDE)
    if plane is None:
        raise BuildError(f"{array.name}: a plane of it has more than 2 GB; draw a part yourself")
    figure = _draw_series(plane) if _is_series(plane, place) else _draw(plane)
    drawn = io.BytesIO()
    figure.savefig(
        drawn, format="png", dpi=_DPI,
        # Nothing outside of the axes is cut off: the figure grows instead.
        bbox_inches="tight", pad_inches=0.15,
        # The mark that `is_own_picture` reads, instead of name and version of matplotlib.
        metadata={"Software": "stacbuild"},
    )  # fmt: skip
    write_bytes(path, drawn.getvalue())


def check_variables(known: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise a `ConfigError` that lists the known variables if one is not among them."""
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"there is no variable {name!r} to draw; there are: {', '.join(known)}"
            )


def check_dimensions(cube: xr.Dataset, names: Sequence[str], wanted: Iterable[str]) -> None:
    """Raise a `ConfigError` if no variable of *names* has a dimension to select from."""
    known = list(dict.fromkeys(str(dim) for name in names for dim in cube[name].dims[:-2]))
    drawn = [str(dim) for name in names for dim in cube[name].dims[-2:]]
    what = ", ".join(names)
    for dim in wanted:
        if dim in known:
            continue
        there = f"; there are: {', '.join(known)}" if known else ""
        if dim == "time":
            raise ConfigError(f"{what} has no time, so that none can be chosen{there}")
        if dim in drawn:
            raise ConfigError(f"{dim} is an axis of the picture, so that none can be chosen{there}")
        raise ConfigError(f"{what} has no dimension {dim!r}{there or ' but rows and columns'}")


def _position(array: xr.DataArray, dim: str, text: str) -> int:
    """Return the index of a value along a dimension."""
    if dim not in array.coords:
        if text.isdecimal() and int(text) < array.sizes[dim]:
            return int(text)
        raise ConfigError(
            f"{array.name}: {dim} has no coordinate; choose a position from 0 to "
            f"{array.sizes[dim] - 1}, not {text!r}"
        )
    values = array[dim].values
    known = [_time_text(value) for value in values]
    is_time = values.dtype.kind == "M" or dim == "time"
    for number, shown in enumerate(known):
        if shown.startswith(text) if is_time else shown == text:
            return number
    if values.dtype.kind == "M":
        # As xarray and pandas print it: 2020-01-01T00:00:00.000000000, or with a blank.
        with suppress(ValueError):
            same = np.flatnonzero(values == np.datetime64(text.replace(" ", "T").removesuffix("Z")))
            if "T" in text.replace(" ", "T") and len(same):
                return int(same[0])
    if values.dtype.kind in "iuf":
        with suppress(ValueError):
            near = np.flatnonzero(np.isclose(values.astype(float), float(text), rtol=1e-6, atol=0))
            if len(near):
                return int(near[0])
    if is_time:
        raise ConfigError(
            f"{array.name} has no time {text!r}; its {len(known)} times are from {known[0]} to "
            f"{known[-1]}"
        )
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    raise ConfigError(
        f"{array.name} has no {dim} {text!r}; there are: {', '.join(known[:_NAMED])}{more}"
    )


def _draw(plane: Plane) -> Figure:
    west, east, south, north = plane.extent
    stretch = _stretch(plane)
    ratio = (north - south) * stretch / (east - west)
    # In a narrow strip there would be no room for axes and labels.
    shape: Literal["auto"] | float = stretch if 1 / _MAX_ASPECT < ratio < _MAX_ASPECT else "auto"
    if not legend_of(plane.array.attrs):
        # The colour bar shows the unit, which is that of decoded values.
        plane = replace(plane, values=physical_values(plane.array, plane.values))
    colors = colors_of(plane)
    height = max(_WIDTH * 0.75 * min(ratio, _MAX_ASPECT) + 1.2, 4.0)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(
        colors.rgba(plane), extent=plane.extent, aspect=shape, interpolation="nearest",
        origin="upper",
    )  # fmt: skip
    axes.set_title(textwrap.fill(_title(plane), _TITLE_LENGTH), fontsize=11)
    _label(axes, plane)
    if isinstance(colors, Legend):
        # The map is laid out without the legend, so that it keeps its size beside long names.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        _add_legend(axes, colors, plane)
    else:
        _add_bar(figure, axes, colors, plane)
    return figure


def _is_series(plane: Plane, place: Mapping[str, int]) -> bool:
    array = plane.array
    is_time = "time" in array.dims[:-2] and array.sizes["time"] > 1 and "time" not in place
    return is_time and plane.values.size == 1 and not legend_of(array.attrs)


def _draw_series(plane: Plane) -> Figure:
    """Draw the values of one pixel along time."""
    array = plane.array
    at = {dim: number for dim, number in plane.place.items() if dim != "time"}
    at |= dict.fromkeys(map(str, array.dims[-2:]), 0)
    series = array.isel(at)
    stored = series.values
    decoded = physical_values(array, stored).astype(float)
    values = np.where(valid_values(array, stored), decoded, np.nan)
    times = series["time"].values
    figure = Figure(figsize=(_WIDTH, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    few = len(values) <= 100
    axes.plot(
        times if times.dtype.kind in "Miuf" else np.arange(len(times)),
        values, marker="o" if few else None, markersize=3, linewidth=1,
    )  # fmt: skip
    y, x = (f"{dim} {float(array[dim].values[0]):.8g}" for dim in array.dims[-2:])
    place = [f"{dim} {_place_text(array, dim, at[dim])}" for dim in plane.place if dim != "time"]
    axes.set_title(
        textwrap.fill(", ".join([_name(plane), *place, y, x]), _TITLE_LENGTH), fontsize=11
    )
    axes.set_xlabel("time", fontsize=9)
    axes.set_ylabel(_labelled(plane), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    return figure


def _add_legend(axes: Axes, colors: Legend, plane: Plane) -> None:
    classes = colors.classes
    most = _MAX_COLUMNS * _MAX_CLASSES
    if len(classes) > most:
        # Those that are drawn go first.
        drawn = set(np.unique(plane.values[plane.valid]).tolist())
        first = sorted(classes, key=lambda each: each[0] not in drawn)[:most]
        classes = tuple(sorted(first, key=classes.index))
    entries = [(name.replace("_", " "), color) for _, name, color in classes]
    handles = [
        Patch(
            facecolor=(color[0] / 255, color[1] / 255, color[2] / 255), edgecolor="0.6",
            linewidth=0.5, label=textwrap.fill(label, _LINE_LENGTH),
        )
        for label, color in [*entries, *_other_entry(colors, plane)]
    ]  # fmt: skip
    if (more := len(colors.classes) - len(classes)) > 0:
        handles.append(Patch(alpha=0, label=f"and {more} more"))
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=9,
        borderaxespad=0, ncols=-(-len(handles) // (_MAX_CLASSES + 1)),
    )  # fmt: skip


def _other_entry(colors: Legend, plane: Plane) -> list[tuple[str, Rgb]]:
    """Return the legend's entry of drawn values that belong to no class, if there are any."""
    values = [str(value) for value in colors.others(plane)]
    if not values:
        return []
    more = ", …" if len(values) > _NAMED else ""
    return [(f"other ({', '.join(values[:_NAMED])}{more})", OTHER)]


def _add_bar(figure: Figure, axes: Axes, colors: Scale, plane: Plane) -> None:
    values = plane.values[plane.valid]
    extend = {
        (False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"
    }[bool((values < colors.low).any()), bool((values > colors.high).any())]  # fmt: skip
    whole = plane.values.dtype.kind in "biu"
    figure.colorbar(
        ScalarMappable(Normalize(colors.low, colors.high), COLORMAP),
        # Integers have no values between them.
        ticks=MaxNLocator(integer=True) if whole else None,
        ax=axes,
        shrink=0.8,
        extend=extend,
        label=_labelled(plane),
    )


def _labelled(plane: Plane) -> str:
    unit = plane.array.attrs.get("units")
    text = f"{_name(plane)} ({unit})" if unit and unit != "1" else _name(plane)
    return textwrap.fill(text, _LABEL_LENGTH)


def _label(axes: Axes, plane: Plane) -> None:
    y, x = (plane.array[dim] for dim in plane.array.dims[-2:])
    degrees = _is_geographic(plane)
    for coordinate, word, sign, set_label in (
        (x, "longitude", "°E", axes.set_xlabel), (y, "latitude", "°N", axes.set_ylabel)
    ):  # fmt: skip
        unit = coordinate.attrs.get("units")
        name = str(coordinate.attrs.get("long_name", coordinate.name))
        text = f"{name} ({unit})" if unit else name
        set_label(f"{word} ({sign})" if degrees else text, fontsize=9)
    axes.tick_params(labelsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        # Whole coordinates, neither as a difference nor as a multiple of a power of ten.
        axis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
        axis.get_major_formatter().set_scientific(False)  # type: ignore[attr-defined]
    axes.locator_params(axis="x", nbins=6)


def _is_geographic(plane: Plane) -> bool:
    return str(plane.array[plane.array.dims[-1]].attrs.get("units", "")).startswith("degree")


def _stretch(plane: Plane) -> float:
    """Return the length of a unit of y relative to one of x (approximate for degrees)."""
    if not _is_geographic(plane):
        return 1.0
    middle = (plane.extent[2] + plane.extent[3]) / 2
    return 1 / max(math.cos(math.radians(middle)), 0.1)


def _name(plane: Plane) -> str:
    # A file without a title has its name as the long_name.
    name = str(plane.array.attrs.get("long_name", plane.array.name))
    return re.sub(r"(?<=.)\.tiff?$", "", name, flags=re.IGNORECASE)


def _title(plane: Plane) -> str:
    found = []
    for dim, number in plane.place.items():
        value = _place_text(plane.array, dim, number)
        if dim == "time" and dim in plane.array.coords:
            value = value[: _time_length(plane.array[dim].values)]
        found.append(value if dim == "time" else f"{dim} {value}")
    return ", ".join([_name(plane), *found])


def _place_text(array: xr.DataArray, dim: str, number: int) -> str:
    return _time_text(array[dim].values[number] if dim in array.coords else number)


def _time_length(times: np.ndarray[Any, Any]) -> int | None:
    """Return the length of the text of a year or month; None if times are not all such starts."""
    # One time alone may be a day.
    if times.dtype.kind == "M" and len(times) > 1:
        for unit, length in (("Y", 4), ("M", 7)):
            if (times.astype(f"M8[{unit}]") == times).all():
                return length
    return None


def _time_text(value: Any) -> str:
    text = str(np.datetime_as_string(value, "s") if isinstance(value, np.datetime64) else value)
    return text.removesuffix("T00:00:00")
