"""CF, grid-mapping and GeoZarr metadata of a cube."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr_cm
from pyproj import CRS

if TYPE_CHECKING:
    from stacbuild.geo.grid import Grid
    from stacbuild.planning.sources import SourceCollection

CONVENTIONS = "CF-1.11"


def add_grid(dataset: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Describe the grid: coordinate attributes and the grid mapping variable ``spatial_ref``.

    ``GeoTransform`` (GDAL's order) stands beside CF's own attributes, for GDAL and rioxarray.
    """
    crs = CRS.from_epsg(grid.epsg)
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    mapping = _grid_mapping(crs) | {
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": " ".join(repr(float(number)) for number in (c, a, b, f, d, e)),
    }
    y, x = grid.dims
    axes = {str(axis["axis"]): axis for axis in crs.cs_to_cf()}
    described = dataset.assign_coords(spatial_ref=((), np.int64(0), mapping))
    described[y].attrs = axes["Y"]
    described[x].attrs = axes["X"]
    # Numbers and texts without a unit of time are labels.
    if "time" in described.coords and described["time"].dtype.kind == "M":
        described["time"].attrs = {"standard_name": "time", "long_name": "time", "axis": "T"}
    return described


def _grid_mapping(crs: CRS) -> dict[str, Any]:
    """Return CF's attributes of a grid mapping (CF 1.11, appendix F)."""
    operation, geodetic = crs.coordinate_operation, crs.geodetic_crs
    if operation is None or geodetic is None or not operation.method_name.startswith("Hotine"):
        return dict(crs.to_cf())
    # CF's oblique_mercator has no angle from the rectified to the skew grid: without it the grid
    # would lie elsewhere (EPSG:2056 by 60 km), and pyproj warns. The WKT says it all.
    name = {"grid_mapping_name": "unknown", "projected_crs_name": crs.name}
    return geodetic.to_cf() | name | {"crs_wkt": crs.to_wkt()}


def geozarr_attrs(grid: Grid) -> dict[str, Any]:
    """Return a Zarr group's attributes by the conventions ``proj:`` and ``spatial:``.

    They hold for the arrays of the group that have both dimensions of the grid
    (https://github.com/zarr-conventions/proj, inheritance model, and
    https://github.com/zarr-conventions/spatial, both v0.1). They stand beside CF, and on the group
    only: a list of objects, as ``zarr_conventions`` is one, cannot be an attribute in NetCDF, and a
    variable taken out of a cube is to be written to that without a thought of it.
    """
    attrs = zarr_cm.create_many(
        {
            "proj": {"proj:code": f"EPSG:{grid.epsg}"},
            "spatial": {
                "spatial:dimensions": list(grid.dims),
                "spatial:shape": list(grid.shape),
                "spatial:transform": [float(number) for number in tuple(grid.transform)[:6]],
                "spatial:bbox": list(grid.bounds),
                "spatial:registration": "pixel",
            },
        }
    )
    # Drafts of both had a colon in the name, and rioxarray (0.20 to 0.23) looks for that only.
    declared: Any = attrs["zarr_conventions"]
    former = [{"uuid": each["uuid"], "name": f"{each['name']}:"} for each in declared]
    return attrs | {"zarr_conventions": [*declared, *former]}


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
