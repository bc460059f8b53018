"""CF, grid-mapping and GeoZarr metadata of a cube."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr_cm
from pyproj import CRS

from stacbuild.geo.crs import parse_crs
from stacbuild.geo.crs_text import is_code

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.sources import SourceCollection

CONVENTIONS = "CF-1.11"

# Drafts of both conventions had a colon in the name, the only spelling that rioxarray (0.20 to
# 0.23) knows. The uuid identifies a convention, so only one entry can have it; that of a draft has
# the URL of its schema.
_SCHEMAS = "https://raw.githubusercontent.com/zarr-conventions"
_DRAFTS = (
    {
        "schema_url": f"{_SCHEMAS}/proj/d150edbde61b53e9d17520f6d107c9d3689e5910/schema.json",
        "name": "proj:",
    },
    {
        "schema_url": f"{_SCHEMAS}/spatial/f5c536b9a3386e4127e3d2426dcefeebe6e5bf1a/schema.json",
        "name": "spatial:",
    },
)


def add_grid(dataset: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Add coordinate attributes and the grid mapping variable ``spatial_ref`` to a dataset.

    Besides CF's own attributes it has ``GeoTransform`` (GDAL's order), for GDAL and rioxarray.
    """
    crs = parse_crs(grid.crs)
    a, b, c, d, e, f = grid.transform
    mapping = _grid_mapping(crs) | {
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": " ".join(repr(number) for number in (c, a, b, f, d, e)),
    }
    y, x = grid.dims
    axes = {str(axis["axis"]): axis for axis in crs.cs_to_cf()}
    with_grid = dataset.assign_coords(spatial_ref=((), np.int64(0), mapping))
    with_grid[y].attrs = axes["Y"]
    with_grid[x].attrs = axes["X"]
    # A "time" of numbers or strings holds labels.
    if "time" in with_grid.coords and with_grid["time"].dtype.kind == "M":
        with_grid["time"].attrs = {"standard_name": "time", "long_name": "time", "axis": "T"}
    return with_grid


def _grid_mapping(crs: CRS) -> dict[str, Any]:
    """Return CF's attributes of a grid mapping (CF 1.11, appendix F)."""
    operation, geodetic = crs.coordinate_operation, crs.geodetic_crs
    if operation is None or geodetic is None or not operation.method_name.startswith("Hotine"):
        return dict(crs.to_cf())
    # CF's oblique_mercator has no angle from the rectified to the skew grid. Without it the grid
    # would be displaced (EPSG:2056 by 60 km), and pyproj warns. The WKT is complete.
    name = {"grid_mapping_name": "unknown", "projected_crs_name": crs.name}
    return geodetic.to_cf() | name | {"crs_wkt": crs.to_wkt()}


def geozarr_attrs(grid: Grid) -> dict[str, Any]:
    """Return a Zarr group's attributes by the conventions ``proj:`` and ``spatial:``.

    They apply to the arrays of the group that have both dimensions of the grid
    (https://github.com/zarr-conventions/proj, inheritance model, and
    https://github.com/zarr-conventions/spatial, both v0.1). Only the group has them, besides the CF
    attributes: ``zarr_conventions`` is a list of objects, which cannot be an attribute in NetCDF,
    and a user should be able to write any variable of a cube to NetCDF.
    """
    attrs = zarr_cm.create_many(
        {
            "proj": {"proj:code" if is_code(grid.crs) else "proj:wkt2": grid.crs},
            "spatial": {
                "spatial:dimensions": list(grid.dims),
                "spatial:shape": list(grid.shape),
                "spatial:transform": list(grid.transform),
                "spatial:bbox": list(grid.bounds),
                "spatial:registration": "pixel",
            },
        }
    )
    declared: Any = attrs["zarr_conventions"]
    return attrs | {"zarr_conventions": [*declared, *_DRAFTS]}


def global_attrs(
    title: str, sources: Sequence[SourceCollection], software: str, now: dt.datetime
) -> dict[str, Any]:
    """Return the attributes of the whole cube (CF 2.6.2, ACDD 1.3)."""
    attrs = {
        "Conventions": CONVENTIONS,
        "title": title,
        "history": f"{now:%Y-%m-%dT%H:%M:%SZ} built by {software}",
        "source": "; ".join(source.title for source in sources),
        "license": "; ".join(f"{source.title}: {source.license}" for source in sources),
    }
    citations = [source.citation for source in sources if source.citation]
    if citations:
        attrs["citation"] = "; ".join(citations)
    references = [f"https://doi.org/{doi}" for source in sources for doi in source.dois]
    if references:
        attrs["references"] = "; ".join(dict.fromkeys(references))
    return attrs
