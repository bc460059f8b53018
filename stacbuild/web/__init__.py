"""Serve the catalog, its data and STAC Browser from one local origin."""

from stacbuild.web.server import Server
from stacbuild.web.site import Site

__all__ = ["Server", "Site"]
