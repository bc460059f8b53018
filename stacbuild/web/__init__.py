"""Catalog, data and STAC Browser on one origin of this machine."""

from stacbuild.web.server import Server
from stacbuild.web.site import Site

__all__ = ["Server", "Site"]
