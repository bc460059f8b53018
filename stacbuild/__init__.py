"""stacbuild: from one YAML file to Zarr cubes and the STAC catalog that finds them."""

from importlib.metadata import version

__version__ = version("stacbuild")
