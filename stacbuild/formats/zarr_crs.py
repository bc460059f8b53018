"""The CRS of a Zarr dataset, from any of the conventions in use.

These are CF 1.11 (grid mappings), attributes of GDAL and rioxarray (``crs_wkt``, ``spatial_ref``,
and ``_CRS`` of GDAL's Zarr driver), the GeoZarr convention ``proj:``, and plain attributes ``crs``
and ``spatial_ref``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from pyproj.exceptions import CRSError

from stacbuild.errors import StacbuildError
from stacbuild.formats.zarr_units import axis_of_unit, is_degrees, unit_of
from stacbuild.geo.crs import WGS84, identified

Json = dict[str, Any]

_GRID_MAPPINGS = ("spatial_ref", "crs")
# Attributes of a grid mapping with a whole CRS; CF's single parameters are less exact on the datum.
_WHOLE = (
    *("crs_wkt", "spatial_ref", "wkt", "esri_pe_string", "proj:code", "proj:wkt2"),
    *("epsg_code", "epsg", "EPSG", "EPSG_code", "proj4", "proj4_params", "proj4text"),
    *("proj4_string", "proj_params"),
)
# Attributes of a dataset and its variables; the last ones are PROJ strings.
_ATTRIBUTES = (
    *("_CRS", "crs", "spatial_ref", "proj:code", "proj:wkt2", "proj:projjson"),
    *("proj:epsg", "crs_wkt", "epsg_code", "epsg", "EPSG", "proj4", "proj4_string"),
)
_NUMBERS = ("earth_radius", "semi_major_axis", "semi_minor_axis", "inverse_flattening")

# Grid mappings that are centred on Greenwich by default.
_WITHOUT_ORIGIN = (
    *("latitude_longitude", "unknown"),
    *("sinusoidal", "mercator", "lambert_cylindrical_equal_area"),
)


@dataclass(frozen=True)
class StatedCrs:
    """A CRS that a dataset states, and the attribute or variable that states it."""

    where: str
    crs: pyproj.CRS


def crs_statements(ds: xr.Dataset, x: str, y: str) -> tuple[list[StatedCrs], list[str]]:
    """Return every CRS that *ds* states, the one that counts first.

    The order is: grid-mapping variables (a whole CRS before CF's single parameters), attributes of
    the dataset and of its variables (``_CRS``, ``crs``, ``spatial_ref``, ``proj:``), and EPSG:4326
    for coordinates that are longitudes and latitudes in degrees. Each is the horizontal part, from
    PROJ's database if it is there.

    Returns
    -------
    The CRSs, one at least, and a line for each that PROJ does not know.

    Raises
    ------
    StacbuildError
        No CRS is stated, none is known to PROJ, or it is not of the earth.
    """
    found: list[StatedCrs] = []
    failed: list[str] = []
    for where, stated in _stated_crs(ds, (x, y)):
        try:
            found.append(StatedCrs(where, identified(_understood(stated))))
        except CRSError as error:
            failed.append(f"{where} is not a CRS that PROJ knows ({_one_line(error)})")
        except ValueError as error:
            failed.append(f"{where}: {error}")
        except (KeyError, TypeError, AttributeError) as error:
            failed.append(f"{where} is not a CF grid mapping ({_one_line(error)})")
    if found:
        return found, failed
    if failed:
        raise StacbuildError(failed[0])
    if all(is_lonlat_axis(ds, dim) for dim in (x, y)):
        return [StatedCrs("coordinates in degrees", WGS84)], []
    bare = [dim for dim in dict.fromkeys((y, x)) if dim not in ds.coords]
    lacking = " and ".join(bare)
    also = f"; {lacking} without coordinates in this group" if bare else ""
    raise StacbuildError(
        f"no CRS: neither a grid mapping (spatial_ref, crs), nor an attribute (crs, spatial_ref, "
        f"_CRS, proj:code), nor {y} and {x} in degrees{also}"
    )


def states_crs(ds: xr.Dataset) -> bool:
    """Return whether *ds* itself states a CRS, valid or not."""
    return next(_stated_crs(ds, ()), None) is not None


def _stated_crs(ds: xr.Dataset, dims: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name in dict.fromkeys(grid_mappings(ds, dims)):
        if name not in ds.variables:
            continue
        attrs = ds[name].attrs
        for key in _WHOLE:
            if _says(attrs.get(key)):
                yield f"{key} of variable {name}", attrs[key]
        if _says(attrs.get("grid_mapping_name")):
            cf = {key: value for key, value in attrs.items() if key not in _WHOLE}
            yield f"variable {name}", _Parameters(cf)
    for key in _ATTRIBUTES:
        for where, attrs in (
            ("", ds.attrs),
            *((f"{name}: ", variable.attrs) for name, variable in ds.data_vars.items()),
        ):
            if _says(attrs.get(key)):
                yield f"{where}attribute {key} ({str(attrs[key])[:60]})", attrs[key]


class _Parameters(Json):
    """The attributes of a CF grid mapping."""


def _says(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip()) and value != {}


def _understood(stated: Any) -> pyproj.CRS:
    if isinstance(stated, _Parameters):
        _check_origin(stated)
        return pyproj.CRS.from_cf({key: _plain(key, value) for key, value in stated.items()})
    if isinstance(stated, dict) and {"wkt", "projjson", "url"} & set(stated):
        # GDAL's Zarr driver writes the same CRS up to three times.
        stated = next(stated[key] for key in ("wkt", "projjson", "url") if stated.get(key))
    if isinstance(stated, dict) and set(stated) == {"init"}:
        stated = stated["init"]
    if isinstance(stated, dict) and stated.get("type") == "name":
        # The notation of GeoJSON 2008.
        stated = stated.get("properties", {}).get("name")
    if isinstance(stated, float) and stated.is_integer():
        stated = int(stated)
    if isinstance(stated, str):
        # PROJ's old notation "+init=" of the same CRS causes a warning.
        stated = stated.strip().removeprefix("+init=")
        stated = int(stated) if stated.isdecimal() else stated
    elif isinstance(stated, np.generic | np.ndarray):
        stated = stated.item()
    return pyproj.CRS.from_user_input(stated)


def _check_origin(mapping: _Parameters) -> None:
    """Refuse a projection without its origin, for which pyproj would take 0.

    Raises
    ------
    ValueError
        There is no longitude of origin, which CF requires for all of these.
    """
    name = mapping["grid_mapping_name"]
    if name in _WITHOUT_ORIGIN:
        return
    if not any("longitude" in key and "prime_meridian" not in key for key in mapping):
        msg = f"the grid mapping {name} lacks its parameters, such as the longitude of its origin"
        raise ValueError(msg)


def _plain(key: str, value: Any) -> Any:
    """Return a CF parameter for pyproj: numbers instead of texts or lists of length one."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    named = key in _NUMBERS or key.startswith(("longitude_of", "latitude_of", "false_", "scale_"))
    return float(value) if named and isinstance(value, str) else value


def is_lonlat_axis(ds: xr.Dataset, dim: str) -> bool:
    """Return whether the coordinates of *dim* are longitudes or latitudes, by their attributes."""
    if dim not in ds.coords:
        return False
    attrs = ds[dim].attrs
    unit = unit_of(attrs)
    named = dim.lower() in {"lon", "longitude", "lat", "latitude"}
    meant = attrs.get("standard_name") in {"longitude", "latitude"}
    by_unit = axis_of_unit(unit) is not None
    radians = unit in ("rad", "radian", "radians")
    return (named or meant or by_unit) and (is_degrees(unit) or radians or unit == "")


def grid_mappings(ds: xr.Dataset, dims: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield names of possible grid mappings of *ds*, the likeliest first; they need not exist.

    Of several of a variable, each for coordinates of its own (CF 5.6, ``crs: x y geo: lat lon``),
    the one of *dims* is used. Last come scalars with a CRS that no variable refers to.
    """
    for variable in ds.data_vars.values():
        named = variable.attrs.get("grid_mapping") or variable.encoding.get("grid_mapping")
        if isinstance(named, str) and named:
            yield from _of_dims(named.split(), dims)
    yield from _GRID_MAPPINGS
    for name, scalar in ds.variables.items():
        if not scalar.ndim and is_grid_mapping(scalar.attrs):
            yield str(name)


def is_grid_mapping(attrs: Mapping[Any, Any]) -> bool:
    """Return whether these are attributes of a grid mapping, which is not data."""
    return any(_says(attrs.get(key)) for key in ("grid_mapping_name", *_WHOLE))


def _of_dims(words: list[str], dims: tuple[str, ...]) -> list[str]:
    mappings: dict[str, set[str]] = {}
    for word in words:
        if word.endswith(":") or not mappings:
            mappings[word.rstrip(":")] = set()
        else:
            mappings[next(reversed(mappings))].add(word)
    return sorted(mappings, key=lambda name: not mappings[name] & set(dims))[:1]


def grid_mapping_names(ds: xr.Dataset) -> set[str]:
    """Return the names of the variables of *ds* that are grid mappings."""
    return {name for name in grid_mappings(ds) if name in ds.variables and ds[name].ndim == 0}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
