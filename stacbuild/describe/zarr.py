"""What a Zarr dataset says of itself, as STAC fields; only metadata and coordinates are read.

Fields of the datacube extension 2.3.0, the Zarr extension 1.1.0 and the projection extension 2.0.0.
In ``cube:variables`` the kind of a variable stands in ``type``, as the text of the datacube
extension says and its readers (pystac, STAC Browser) expect; its schema calls the same field
``variable_type`` and lets other fields pass.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pystac
import xarray as xr
import zarr
from pystac.utils import datetime_to_str

from stacbuild.catalog import DATA_ID, STORE
from stacbuild.describe import declare_extensions
from stacbuild.describe.zarr_crs import grid_mapping_names
from stacbuild.describe.zarr_grid import CubeGrid, footprint, grid_of
from stacbuild.errors import StacbuildError
from stacbuild.fetch.zarr_store import MEDIA_TYPE, is_consolidated
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
        if dim in ds.coords and (text := _text(ds[dim].attrs, "long_name")):
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


def zarr_item(
    group: zarr.Group,
    ds: xr.Dataset,
    *,
    item_id: str,
    data_id: str,
    store_key: str,
    href: str,
    profile: DataProfile = _NO_PROFILE,
    datetime: dt.datetime | None = None,
    properties: Json | None = None,
) -> pystac.Item:
    """Describe a Zarr group as a STAC item with the asset ``data``.

    Parameters
    ----------
    group, ds
        The group and its dataset, from `stacbuild.fetch.zarr_store`.
    item_id, data_id, store_key
        Identity of the item in the catalog.
    href
        Of the asset: a URL without credentials or an absolute local path.
    profile
        What the store does not say.
    datetime
        When neither profile nor store give a time; UTC if naive.
    properties
        More item properties.

    Raises
    ------
    StacbuildError
        The grid cannot be told (see `stacbuild.describe.zarr_grid.grid_of`) or no time is known.
    """
    try:
        grid = grid_of(ds)
        geometry, bbox = footprint(grid)
        start, end = period(ds, profile) or (datetime, datetime)
    except StacbuildError as error:
        raise type(error)(f"{href}: {error}") from error
    if start is None or end is None:
        raise StacbuildError(
            f"{href}: says nothing of its time; state start_datetime and end_datetime in a profile"
        )
    title = profile.title or _text(ds.attrs, "title", "product_name") or data_id
    item = pystac.Item(
        id=item_id,
        geometry=geometry,
        bbox=bbox,
        datetime=start,
        properties={
            "title": title,
            STORE: store_key,
            DATA_ID: data_id,
            "start_datetime": datetime_to_str(start),
            "end_datetime": datetime_to_str(end),
            **projection(grid),
            "cube:dimensions": cube_dimensions(ds, grid),
            "cube:variables": cube_variables(ds, profile),
        },
    )
    if text := profile.description or _text(ds.attrs, "summary", "description", "comment"):
        item.properties["description"] = text
    if profile.keywords:
        item.properties["keywords"] = list(profile.keywords)
    item.properties |= properties or {}
    asset = pystac.Asset(
        href,
        title=title,
        media_type=MEDIA_TYPE,
        roles=["data"],
        extra_fields={
            "zarr:zarr_format": group.metadata.zarr_format,
            "zarr:consolidated": is_consolidated(group),
            "zarr:node_type": "group",
        },
    )
    variables = item.properties["cube:variables"].values()
    if parameters := [each for field in variables for each in field.get("cf:parameter", ())]:
        asset.extra_fields["cf:parameter"] = parameters
    item.add_asset("data", asset)
    # The root of the store, which may be above the group (STAC best practices for Zarr).
    root = re.match(r".*?\.zarr(?=/|$)", href)
    item.add_link(pystac.Link("store", root.group() if root else href, MEDIA_TYPE, title))
    declare_extensions(item)
    return item


def projection(grid: CubeGrid) -> Json:
    """Give the ``proj:`` fields of *grid*; ``proj:wkt2`` only where the CRS has no EPSG code."""
    code: Json = {"proj:code": grid.code}
    if grid.code is None:
        code["proj:wkt2"] = grid.crs.to_wkt("WKT2_2019")
    return {
        **code,
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform)[:6],
        "proj:bbox": list(grid.bbox),
    }


def period(
    ds: xr.Dataset, profile: DataProfile = _NO_PROFILE
) -> tuple[dt.datetime, dt.datetime] | None:
    """Give the first and last time of *ds* in UTC, or None if nothing tells.

    Asked in this order: the profile, the temporal coordinates, the attributes
    ``time_coverage_start`` and ``time_coverage_end`` (ACDD 1.3).
    """
    if profile.start_datetime:
        return _utc(profile.start_datetime), _utc(profile.end_datetime or profile.start_datetime)
    times = [
        pd.DatetimeIndex(ds[dim].values)
        for dim in ds.dims
        if dim in ds.coords and np.issubdtype(ds[dim].dtype, np.datetime64) and ds.sizes[dim]
    ]
    if times:
        return min(_time(index.min()) for index in times), max(
            _time(index.max()) for index in times
        )
    start = _text(ds.attrs, "time_coverage_start")
    end = _text(ds.attrs, "time_coverage_end") or start
    if not start or not end:
        return None
    try:
        return _time(pd.Timestamp(start)), _time(pd.Timestamp(end))
    except ValueError as error:
        raise StacbuildError(
            f"attribute time_coverage_start or _end is no time: {error}"
        ) from error


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
    texts = [datetime_to_str(_time(value)) for value in (index.min(), index.max())]
    field: Json = {"type": "temporal", "extent": texts}
    if index.size <= _FEW:
        field["values"] = [datetime_to_str(_time(value)) for value in index]
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
    if unit := _text(attrs, "units"):
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
    if title := stated.title or _text(variable.attrs, "long_name"):
        field["title"] = title
    if text := stated.description or _text(variable.attrs, "description", "comment"):
        field["description"] = text
    if unit := stated.unit or _text(variable.attrs, "units"):
        field["unit"] = unit
    if not is_data:
        return field
    nodata = _nodata(ds, variable, stated.nodata or profile.nodata)
    if nodata:
        field["nodata"] = nodata[0]
    if standard := stated.standard_name or _text(variable.attrs, "standard_name"):
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


def _text(attrs: dict[Any, Any], *keys: str) -> str | None:
    for key in keys:
        value = attrs.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return None


def _time(value: pd.Timestamp) -> dt.datetime:
    return _utc(value.floor("us").to_pydatetime())


def _utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
