"""Dimensions and variables of a dataset as fields of the STAC datacube extension 2.3.0.

In ``cube:variables`` the kind of a variable stands in ``type``, as the text of the extension says
and its readers (pystac, STAC Browser) expect; its schema calls the same field ``variable_type``
and lets other fields pass.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pystac.utils import datetime_to_str

from stacbuild.describe.zarr_crs import grid_mapping_names
from stacbuild.describe.zarr_grid import CubeGrid
from stacbuild.profiles import DataProfile

Json = dict[str, Any]

# Up to this many values of a dimension are listed; longer ones are given by extent and step.
_FEW = 100
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


def cube_dimensions(ds: xr.Dataset, grid: CubeGrid) -> Json:
    """Describe every dimension of *ds* as ``cube:dimensions``.

    Extents of x and y are the outer edges of the pixels in the grid's CRS; ``step`` has the sign
    of the order in which they are stored.
    """
    dims = list(dict.fromkeys(str(dim) for array in ds.variables.values() for dim in array.dims))
    described = {}
    for dim in dims:
        if dim in (grid.x, grid.y):
            described[dim] = _horizontal(grid, dim)
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
    ``chunks`` are the store's. Of several nodata values of a profile the first is named. A NaN
    that stands for nodata is not named, since it needs no masking.

    Parameters
    ----------
    ds
        Opened with ``mask_and_scale=False``.
    profile
        Its ``variables`` win over what the store says, field by field.
    """
    auxiliary = {str(name) for name in ds.coords} | grid_mapping_names(ds) | _bounds(ds)
    return {
        str(name): _variable(ds, str(name), str(name) not in auxiliary, profile)
        for name in sorted(ds.variables, key=str)
        if name not in ds.dims
    }


def _horizontal(grid: CubeGrid, dim: str) -> Json:
    left, bottom, right, top = grid.bbox
    is_x = dim == grid.x
    epsg = grid.crs.to_epsg()
    field: Json = {
        "type": "spatial",
        "axis": "x" if is_x else "y",
        "extent": [left, right] if is_x else [bottom, top],
        "step": grid.transform.a if is_x else grid.transform.e,
        "reference_system": grid.crs.to_wkt("WKT2_2019") if epsg is None else epsg,
    }
    if is_x and grid.crs.is_geographic and right > 180 + abs(grid.transform.a):
        field["description"] = "longitude, counted eastwards beyond 180 degrees"
    return field


def _temporal(times: xr.DataArray) -> Json:
    index = pd.DatetimeIndex(times.values)
    texts = [datetime_to_str(time_of(value)) for value in (index.min(), index.max())]
    field: Json = {"type": "temporal", "extent": texts}
    if index.size <= _FEW:
        field["values"] = [datetime_to_str(time_of(value)) for value in index]
    return field


def _additional(coordinate: xr.DataArray) -> Json:
    values = np.asarray(coordinate.values)
    numeric = np.issubdtype(values.dtype, np.number) and bool(np.isfinite(values).all())
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
    if values.size <= _FEW or not numeric:
        field["values"] = values.tolist() if numeric else [str(value) for value in values]
    if unit := text_of(attrs, "units"):
        field["unit"] = unit
    return field


def _variable(ds: xr.Dataset, name: str, is_data: bool, profile: DataProfile) -> Json:
    variable = ds[name]
    stated = (profile.variables or {}).get(name, _NO_PROFILE)
    dtype = np.dtype(variable.encoding.get("dtype") or variable.dtype)
    field: Json = {
        "type": "data" if is_data else "auxiliary",
        "dimensions": [str(dim) for dim in variable.dims],
        "data_type": dtype.name if dtype.name in _DATA_TYPES else "other",
    }
    chunks = variable.encoding.get("chunks")
    if variable.ndim and chunks:
        field["chunks"] = [int(size) for size in chunks]
    if title := stated.title or text_of(variable.attrs, "long_name"):
        field["title"] = title
    if text := stated.description or text_of(variable.attrs, "description", "comment"):
        field["description"] = text
    if unit := stated.unit or text_of(variable.attrs, "units"):
        field["unit"] = unit
    if not is_data:
        return field
    nodata = _nodata(ds, variable, stated.nodata or profile.nodata)
    if nodata:
        field["nodata"] = nodata[0]
    if standard := stated.standard_name or text_of(variable.attrs, "standard_name"):
        field["cf:parameter"] = [{"name": standard, **({"unit": unit} if unit else {})}]
    classes = [
        entry.model_dump(exclude_none=True, exclude_defaults=True) for entry in stated.classes or ()
    ]
    # One field holds one value; further ones are classes that mean nodata.
    known = {entry["value"] for entry in classes}
    classes += [
        {"value": value, "name": f"nodata_{value}", "nodata": True}
        for value in nodata[1:]
        if isinstance(value, int) and value not in known
    ]
    if classes:
        field["classification:classes"] = classes
    return field


def _nodata(
    ds: xr.Dataset, variable: xr.DataArray, stated: tuple[float, ...] | None
) -> list[int | float]:
    """Values that stand for no data: a profile's, else the variable's, else the dataset's."""
    keys = ("_FillValue", "missing_value")
    own = [attrs.get(key) for attrs in (variable.attrs, variable.encoding) for key in keys]
    # 0 is what Zarr v2 puts as fill value where nobody chose one: what is stated goes before.
    chosen = [value for value in own if value is not None and np.any(np.asarray(value) != 0)]
    unchosen = [value for value in own if value is not None]
    for values in (stated or (), chosen, [ds.attrs.get(key) for key in keys], unchosen):
        numbers = [
            _number(value)
            for found in values
            if found is not None
            for value in np.atleast_1d(np.asarray(found, dtype="float64"))
        ]
        # NaN needs no masking, and does not keep another value from being masked.
        if finite := [number for number in numbers if number is not None]:
            return list(dict.fromkeys(finite))
    return []


def _number(value: Any) -> int | float | None:
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _bounds(ds: xr.Dataset) -> set[str]:
    # CF 7.1 and 7.4; the usual endings, too, for coordinates that do not name their bounds.
    named = {
        str(named)
        for variable in ds.variables.values()
        for key in ("bounds", "climatology")
        if (named := variable.attrs.get(key) or variable.encoding.get(key))
    }
    ending = {str(name) for name in ds.variables if str(name).endswith(("_bnds", "_bounds"))}
    return named | ending


def text_of(attrs: dict[Any, Any], *keys: str) -> str | None:
    """Give the first of some attributes that is a text, on one line."""
    for key in keys:
        value = attrs.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return None


def time_of(value: pd.Timestamp) -> dt.datetime:
    """Give a time of NumPy or pandas in UTC, to the microsecond."""
    return utc(value.floor("us").to_pydatetime())


def utc(value: dt.datetime) -> dt.datetime:
    """Bring a time to UTC; a naive one is taken as UTC."""
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
