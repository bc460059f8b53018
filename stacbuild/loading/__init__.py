"""Items to lazy xarray on the grid: GeoTIFFs through stackstac, Zarr through xarray."""

from stacbuild.loading.band_names import with_band_names
from stacbuild.loading.dataset import load_variable, unread
from stacbuild.loading.grouping import used_items
from stacbuild.loading.pool import forget, release, uses, using
from stacbuild.loading.scene_check import Problems, unreadable
from stacbuild.loading.scene_errors import reason_of, scene_of

__all__ = [
    "Problems",
    "forget",
    "load_variable",
    "reason_of",
    "release",
    "scene_of",
    "unread",
    "unreadable",
    "used_items",
    "uses",
    "using",
    "with_band_names",
]
