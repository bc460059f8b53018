"""The notebook's interface: `MultiSourceDataStore`, in the words of the case study's tool."""

from stacbuild.multistore.main import MultiSourceDataStore

__all__ = ["MultiSourceDataStore"]
