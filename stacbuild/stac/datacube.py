"""Dimensions and variables of a dataset as fields of the STAC datacube extension 2.3.0.

In ``cube:variables`` the kind of a variable is the field ``type``, as the text of the extension
specifies and its readers (pystac, STAC Browser) expect; its JSON Schema calls this field
``variable_type`` and allows additional fields.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pystac.utils import datetime_to_str

from stacbuild.formats.zarr_crs import grid_mapping_names
from stacbuild.formats.zarr_decode import no_number
from stacbuild.formats.zarr_grid import DatasetGrid
from stacbuild.formats.zarr_store import HIDDEN
from stacbuild.formats.zarr_values import values_of
from stacbuild.geo.crs import parse_crs
from stacbuild.nodata import Number, from_json, held, to_json
from stacbuild.profiles import DataProfile

Json = dict[str, Any]

# Dimensions with up to this number of values list them; longer ones have extent and step.
_MAX_VALUES = 100
# Up to this number of times are listed, so that a plan can select among them; of more, only the
# count is recorded.
_MAX_TIMES = 2000
LENGTH = "stacbuild:length"
"""Field of a dimension: number of its values, if they are not listed."""
_DATA_TYPES = frozenset(
    f"{kind}{bits}"
    for kind, widths in (
        ("int", (8, 16, 32, 64)),
        ("uint", (8, 16, 32, 64)),
        ("float", (16, 32, 64)),
    )
    for bits in widths
)
_NO_PROFILE = DataProfile()

NODATA = "stacbuild:nodata"
"""Field of a variable: nodata values besides ``nodata`` that cannot be classes (not integers)."""

LEFT_OUT = "stacbuild:left_out"
"""Field of a variable in ``cube:variables``: why it cannot be read, as text to follow its name."""

OTHER_GRID = "lies on another grid"
"""Prefix of `LEFT_OUT` for a variable on another grid."""


def cube_dimensions(ds: xr.Dataset, grid: DatasetGrid) -> Json:
    """Describe every dimension of *ds* as ``cube:dimensions``.

    Extents of x and y are the outer edges of the pixels in the grid's CRS; ``step`` is negative if
    they are stored in descending order.
    """
    dims = list(dict.fromkeys(str(dim) for array in ds.variables.values() for dim in array.dims))
    described = {}
    for dim in dims:
        if dim in (grid.x, grid.y):
            described[dim] = _horizontal(grid, dim)
        elif not ds.sizes[dim]:
            described[dim] = {"type": "other", "values": []}
        elif dim not in ds.coords:
            described[dim] = {"type": "other", "extent": [0, ds.sizes[dim] - 1], "step": 1}
        elif np.issubdtype(ds[dim].dtype, np.datetime64):
            described[dim] = _temporal(ds[dim])
        else:
            described[dim] = _additional(ds[dim])
        if dim in ds.coords and (text := text_of(ds[dim].attrs, "long_name")):
            described[dim].setdefault("description", text)
    return described


def cube_variables(ds: xr.Dataset, profile: DataProfile = _NO_PROFILE) -> Json:
    """Describe the variables of *ds*, except the coordinates of dimensions, as ``cube:variables``.

    ``data_type`` and ``nodata`` are those of the stored values, before scale and offset;
    ``chunks`` and ``shards`` are the store's. ``nodata`` is the first of several nodata values. NaN
    is not recorded as nodata, since it needs no masking.

    Parameters
    ----------
    ds
        Opened with ``mask_and_scale=False``.
    profile
        Its ``variables`` take precedence over the metadata of the store, field by field.
    """
    auxiliary = {str(name) for name in ds.coords} | grid_mapping_names(ds) | _bounds(ds)
    described = {
        str(name): _variable(ds, str(name), str(name) not in auxiliary, profile)
        for name in ds.variables
        if name not in ds.dims
    }
    for name, hidden in ds.encoding.get(HIDDEN, {}).items():
        described[name] = {
            "type": "data",
            "dimensions": list(hidden.dims),
            "data_type": "other",
            LEFT_OUT: hidden.reason,
        }
    return dict(sorted(described.items()))


def read_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of a cube for a source's *dtype*.

    It is the same, except for two dtypes that many readers of cubes do not support (GDAL before
    3.11, netCDF): bool becomes uint8, with room for a nodata value, and float16 becomes float32.
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _horizontal(grid: DatasetGrid, dim: str) -> Json:
    left, bottom, right, top = grid.bounds
    is_x = dim == grid.x
    crs = parse_crs(grid.crs)
    epsg = crs.to_epsg()
    field: Json = {
        "type": "spatial",
        "axis": "x" if is_x else "y",
        "extent": [left, right] if is_x else [bottom, top],
        "step": grid.affine.a if is_x else grid.affine.e,
        "reference_system": grid.crs if epsg is None else epsg,
    }
    if is_x and crs.is_geographic and right > 180 + abs(grid.affine.a):
        field["description"] = "longitude, counted eastwards beyond 180 degrees"
    return field


def _temporal(times: xr.DataArray) -> Json:
    index = pd.DatetimeIndex(values_of(str(times.name), times))
    known = index.dropna()
    if not known.size:
        return {"type": "temporal", "extent": [None, None]}
    texts = [datetime_to_str(time_of(value)) for value in (known.min(), known.max())]
    field: Json = {"type": "temporal", "extent": texts}
    # If any time is missing, record only the number of times.
    if index.size <= _MAX_TIMES and known.size == index.size:
        field["values"] = [datetime_to_str(time_of(value)) for value in index]
    else:
        field[LENGTH] = int(index.size)
    return field


def _additional(coordinate: xr.DataArray) -> Json:
    values = values_of(str(coordinate.name), coordinate)
    numeric = values.dtype.kind in "iuf" and bool(np.isfinite(values).all())
    attrs = coordinate.attrs
    field: Json = {"type": "bands" if coordinate.name in ("band", "bands") else "other"}
    if numeric and (attrs.get("axis") == "Z" or "positive" in attrs):
        field |= {"type": "spatial", "axis": "z"}
    if numeric:
        field["extent"] = [values.min().item(), values.max().item()]
        if values.size > 1:
            steps = np.diff(values.astype("float64"))
            even = np.allclose(steps, steps[0], rtol=1e-6, atol=0)
            field["step"] = _number(steps[0]) if even else None
    if values.size <= _MAX_VALUES or not numeric:
        field["values"] = values.tolist() if numeric else [str(value) for value in values]
    if unit := text_of(attrs, "units"):
        field["unit"] = unit
    return field


def _variable(ds: xr.Dataset, name: str, is_data: bool, profile: DataProfile) -> Json:
    variable = ds[name]
    stated = (profile.variables or {}).get(name, _NO_PROFILE)
    dtype = np.dtype(variable.encoding.get("dtype") or variable.dtype)
    if dtype.kind == "b":
        # The extension has no data type for bool.
        dtype = read_as(dtype)
    field: Json = {
        "type": "data" if is_data else "auxiliary",
        "dimensions": [str(dim) for dim in variable.dims],
        "data_type": dtype.name if dtype.name in _DATA_TYPES else "other",
    }
    if is_data and (reason := _why_left_out(variable, dtype)):
        field[LEFT_OUT] = reason
    chunks = variable.encoding.get("chunks")
    if variable.ndim and chunks:
        field["chunks"] = [int(size) for size in chunks]
    if variable.ndim and (shards := variable.encoding.get("shards")):
        field["shards"] = [int(size) for size in shards]
    if title := stated.title or text_of(variable.attrs, "long_name"):
        field["title"] = title
    if text := stated.description or text_of(variable.attrs, "description", "comment"):
        field["description"] = text
    if unit := stated.unit or _unit(variable):
        field["unit"] = unit
    if not is_data:
        return field
    nodata = _nodata(ds, variable, stated.nodata or profile.nodata)
    if nodata:
        field["nodata"] = to_json(nodata[0])
    if standard := stated.standard_name or text_of(variable.attrs, "standard_name"):
        field["cf:parameter"] = [{"name": standard, **({"unit": unit} if unit else {})}]
    classes = [
        entry.model_dump(exclude_none=True, exclude_defaults=True) for entry in stated.classes or ()
    ]
    # ``nodata`` holds a single value; further integers become nodata classes.
    known = {entry["value"] for entry in classes}
    further = [value for each in nodata[1:] if (value := to_json(each)) not in known]
    classes += [
        {"value": value, "name": f"nodata_{value}", "nodata": True}
        for value in further
        if isinstance(value, int)
    ]
    if others := [value for value in further if not isinstance(value, int)]:
        field[NODATA] = others
    if classes:
        field["classification:classes"] = classes
    return field


def _unit(variable: xr.DataArray) -> str | None:
    """Return the unit of a variable's values; ``digital_counts`` is that of packed numbers."""
    unit = text_of(variable.attrs, "units")
    # EOPF states it beside scale_factor, by which the numbers become reflectances.
    return "1" if unit == "digital_counts" and "scale_factor" in variable.attrs else unit


def _why_left_out(variable: xr.DataArray, dtype: np.dtype[Any]) -> str | None:
    empty = [str(dim) for dim, length in variable.sizes.items() if not length]
    if empty:
        return f"has the length 0 along {', '.join(empty)}"
    if (odd := no_number(variable.attrs)) is not None:
        return f"has the {odd}, which is not a number"
    if dtype.name in _DATA_TYPES:
        return None
    kinds = {"U": "text", "S": "text", "O": "objects", "T": "text", "V": "records"}
    kinds |= {"c": "complex numbers", "M": "datetime64", "m": "timedelta64"}
    return f"holds {kinds.get(dtype.kind, 'values')} ({dtype}), which no cube does"


def _nodata(
    ds: xr.Dataset, variable: xr.DataArray, stated: tuple[float, ...] | None
) -> list[Number]:
    """Return the nodata values of the profile, else of the variable, else of the dataset.

    Converted to the variable's dtype where it can represent them; non-numbers are ignored.
    """
    keys = ("_FillValue", "missing_value")
    if variable.dtype.kind not in "iuf":
        # Both values of a bool are valid, but Zarr v2 always has a fill value.
        return []
    own = [attrs.get(key) for attrs in (variable.attrs, variable.encoding) for key in keys]
    # 0 is the default fill value in Zarr v2, so stated values take precedence.
    chosen = [value for value in own if value is not None and np.any(np.asarray(value) != 0)]
    unchosen = [value for value in own if value is not None]
    of_rasters = stated_by_rasters(variable.attrs)
    for values in (stated or (), chosen, of_rasters, [ds.attrs.get(key) for key in keys], unchosen):
        numbers = [number for found in values for number in _numbers(found)]
        # NaN needs no masking; further values may mark nodata in addition.
        if known := [number for number in numbers if number == number]:
            of_type = [(held(number, variable.dtype), number) for number in known]
            return list(dict.fromkeys(n if mine is None else mine for mine, n in of_type))
    return []


def stated_by_rasters(attrs: Mapping[Any, Any]) -> list[Any]:
    """Return the nodata value in non-CF attributes of raster software; empty if there is none.

    odc-geo writes and rioxarray reads ``nodata``; xarray until 2022 wrote ``nodatavals`` for a
    GeoTIFF: one value per band, which is ambiguous, and ignored, if the values differ.
    """
    of_bands = attrs.get("nodatavals")
    bands = list(of_bands) if isinstance(of_bands, list | tuple | np.ndarray) else [of_bands]
    alike = bands[:1] if len({repr(each) for each in bands}) == 1 else []
    return [value for value in (attrs.get("nodata"), *alike) if value is not None][:1]


def _numbers(value: Any) -> list[Number]:
    """Return the numbers in an attribute; they may be given as strings."""
    listed = value.ravel().tolist() if isinstance(value, np.ndarray) else value
    found: list[Number] = []
    for each in listed if isinstance(listed, list | tuple) else [listed]:
        one = each.item() if isinstance(each, np.generic) else each
        try:
            found.append(from_json(one))
        except ValueError:
            continue
    return found


def _number(value: Any) -> int | float | None:
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _bounds(ds: xr.Dataset) -> set[str]:
    # CF 7.1 and 7.4; also by the usual suffixes, if a coordinate lacks the attribute.
    named = {
        str(named)
        for variable in ds.variables.values()
        for key in ("bounds", "climatology")
        if (named := variable.attrs.get(key) or variable.encoding.get(key))
    }
    ending = {str(name) for name in ds.variables if str(name).endswith(("_bnds", "_bounds"))}
    return named | ending


def text_of(attrs: dict[Any, Any], *keys: str) -> str | None:
    """Return the first of the given attributes that is a non-empty string, on one line."""
    for key in keys:
        value = attrs.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return None


def time_of(value: pd.Timestamp) -> dt.datetime:
    """Return a pandas timestamp as UTC datetime, truncated to microseconds."""
    return utc(value.floor("us").to_pydatetime())


def utc(value: dt.datetime) -> dt.datetime:
    """Return a time in UTC; a naive one is assumed to be UTC."""
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
