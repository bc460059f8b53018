"""The CRS that a Zarr dataset states, in any of the ways in use.

Follows CF 1.11 (grid mappings), what GDAL and rioxarray write (``crs_wkt``, ``spatial_ref``) and
the GeoZarr convention ``proj:``; plain attributes ``crs`` and ``spatial_ref`` are read, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from pyproj.exceptions import CRSError

from stacbuild.errors import StacbuildError

WGS84 = pyproj.CRS.from_epsg(4326)

# CF 1.11, 4.1 and 4.2
_DEGREES = frozenset(
    f"{degree}{direction}"
    for degree in ("degree", "degrees")
    for direction in ("_north", "_N", "N", "_east", "_E", "E", "")
)
_GRID_MAPPINGS = ("spatial_ref", "crs")


def crs_of(ds: xr.Dataset, x: str, y: str) -> pyproj.CRS:
    """Find the CRS of *ds*, whose horizontal dimensions are *x* and *y*.

    Asked in this order: grid-mapping variables, attributes of the dataset and of its variables,
    and, for coordinates that are longitudes and latitudes in degrees, EPSG:4326.

    Raises
    ------
    StacbuildError
        Nothing tells a CRS, or what tells it is not understood.
    """
    for where, stated in _stated_crs(ds):
        try:
            return _known(pyproj.CRS.from_user_input(stated))
        except CRSError as error:
            reason = " ".join(str(error).split())[:200]
            raise StacbuildError(f"{where} is not a CRS that PROJ knows ({reason})") from error
    if all(_in_degrees(ds, dim) for dim in (x, y)):
        return WGS84
    raise StacbuildError(
        f"no CRS: neither a grid mapping (spatial_ref, crs), nor an attribute (crs, spatial_ref, "
        f"proj:code), nor {y} and {x} in degrees"
    )


def states_crs(ds: xr.Dataset) -> bool:
    """Tell whether *ds* itself states a CRS, right or wrong."""
    return next(_stated_crs(ds), None) is not None


def _stated_crs(ds: xr.Dataset) -> Iterator[tuple[str, Any]]:
    for name in grid_mappings(ds):
        attrs = ds[name].attrs if name in ds.variables else {}
        if {"crs_wkt", "spatial_ref", "grid_mapping_name"} & set(attrs):
            try:
                yield f"variable {name}", pyproj.CRS.from_cf(attrs)
            except (CRSError, KeyError) as error:
                reason = " ".join(str(error).split())[:200]
                raise StacbuildError(
                    f"variable {name} is not a CF grid mapping ({reason})"
                ) from error
    for key in ("crs", "spatial_ref", "proj:code", "proj:wkt2", "proj:projjson"):
        for where, attrs in (
            ("", ds.attrs),
            *((f"{name}: ", variable.attrs) for name, variable in ds.data_vars.items()),
        ):
            value = attrs.get(key)
            if value is not None and not (isinstance(value, str) and not value.strip()):
                # PROJ's old "+init=" form means the same code, with a warning.
                stated = value.removeprefix("+init=") if isinstance(value, str) else value
                yield f"{where}attribute {key} ({str(value)[:60]})", stated


def _known(crs: pyproj.CRS) -> pyproj.CRS:
    if crs.to_epsg() is not None:
        return crs
    # PROJ does not recognise every WKT 1 by its content (EPSG:3035 as GDAL writes it, for one),
    # but the code stands in it.
    stated = crs.to_json_dict().get("id", {})
    if stated.get("authority") == "EPSG":
        return pyproj.CRS.from_epsg(stated["code"])
    # CF's latitude_longitude with the figures of WGS 84 has no code of its own.
    ellipsoid = crs.ellipsoid
    if crs.is_geographic and ellipsoid is not None:
        same = np.isclose(ellipsoid.semi_major_metre, 6378137.0, rtol=0, atol=1e-3)
        if same and np.isclose(ellipsoid.inverse_flattening, 298.257223563, rtol=0, atol=1e-6):
            return WGS84
    return crs


def _in_degrees(ds: xr.Dataset, dim: str) -> bool:
    if dim not in ds.coords:
        return False
    attrs = ds[dim].attrs
    unit = str(attrs.get("units", ""))
    named = dim.lower() in {"lon", "longitude", "lat", "latitude"}
    meant = attrs.get("standard_name") in {"longitude", "latitude"}
    return (named or meant) and (unit in _DEGREES or unit == "")


def grid_mappings(ds: xr.Dataset) -> Iterator[str]:
    """Name what may be a grid mapping of *ds*, the likeliest first; it need not exist."""
    for variable in ds.data_vars.values():
        named = variable.attrs.get("grid_mapping") or variable.encoding.get("grid_mapping")
        if isinstance(named, str) and named:
            # The extended form is "mapping: x y" (CF 5.6).
            yield named.split()[0].rstrip(":")
    yield from _GRID_MAPPINGS


def grid_mapping_names(ds: xr.Dataset) -> set[str]:
    """Name the variables of *ds* that are grid mappings and hold no data."""
    return {name for name in grid_mappings(ds) if name in ds.variables and ds[name].ndim == 0}
