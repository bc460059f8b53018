"""Items to lazy xarray on the grid: GeoTIFFs through stackstac, Zarr through xarray."""

from stacbuild.load.dataset import load_variable, unread
from stacbuild.load.pool import forget, release, using

__all__ = ["forget", "load_variable", "release", "unread", "using"]
