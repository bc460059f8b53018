"""The local STAC catalog, and items of rasters, Zarr stores and cubes."""
