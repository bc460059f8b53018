"""CF and grid-mapping metadata of a cube."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pyproj import CRS

if TYPE_CHECKING:
    from stacbuild.cubes.sources import SourceCollection
    from stacbuild.grid import Grid

CONVENTIONS = "CF-1.11"


def add_grid(dataset: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Describe the grid: coordinate attributes and the grid mapping variable ``spatial_ref``.

    ``GeoTransform`` (GDAL's order) stands beside CF's own attributes, for GDAL and rioxarray.
    """
    crs = CRS.from_epsg(grid.epsg)
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    mapping = crs.to_cf() | {
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": " ".join(repr(float(number)) for number in (c, a, b, f, d, e)),
    }
    y, x = grid.dims
    axes = {str(axis["axis"]): axis for axis in crs.cs_to_cf()}
    described = dataset.assign_coords(spatial_ref=((), np.int64(0), mapping))
    described[y].attrs = axes["Y"]
    described[x].attrs = axes["X"]
    if "time" in described.coords:
        described["time"].attrs = {"standard_name": "time", "long_name": "time", "axis": "T"}
    return described


def global_attrs(
    title: str, sources: Sequence[SourceCollection], software: str, now: dt.datetime
) -> dict[str, Any]:
    """Give the attributes of the whole cube (CF 2.6.2, ACDD 1.3)."""
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
