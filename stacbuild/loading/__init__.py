"""Items to lazy xarray on the grid: GeoTIFFs through stackstac, Zarr through xarray."""

from stacbuild.loading.band_names import with_band_names
from stacbuild.loading.dataset import load_variable, unread
from stacbuild.loading.pool import forget, release, uses, using

__all__ = ["forget", "load_variable", "release", "unread", "uses", "using", "with_band_names"]
