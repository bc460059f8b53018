"""GeoTIFFs, Zarr stores and archives, opened wherever they lie, and what their metadata state."""
