"""The notebook interface: `MultiSourceDataStore`, with the names of the case study's tool."""

from stacbuild.multistore.main import MultiSourceDataStore

__all__ = ["MultiSourceDataStore"]
