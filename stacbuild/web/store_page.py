"""The page that explains how to open a Zarr store, at the URL of the store itself.

STAC Browser on another host has a button "Download" for each asset, which opens the URL of a store
in a new tab. A store is a folder, so there is no file to send.
"""

from __future__ import annotations

from html import escape

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{name}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: auto; padding: 1rem }}
pre {{ background: #f0f0f0; padding: 0.8rem; overflow-x: auto }}
h2 {{ font-size: 1.1rem }}
</style>
</head>
<body>
<h1>{name}</h1>
<p>This is a Zarr store: a folder of many small files, of which programs read only what they need.
So there is nothing to download. Open its URL while <code>stacbuild serve</code> or
<code>stacbuild browse</code> is running, or open the folder itself.</p>
<h2>URL</h2>
<pre>{url}</pre>
<h2>Python</h2>
<pre>import xarray as xr

data = xr.open_zarr("{url}")</pre>
<p>This needs <code>pip install xarray zarr dask fsspec aiohttp</code>. To save a part of it as one
file:</p>
<pre>data.drop_attrs(deep=False).to_netcdf("part.nc")</pre>
<h2>GDAL and QGIS (Zarr format 3 needs GDAL 3.12)</h2>
<pre>gdalinfo 'ZARR:"/vsicurl/{url}"'</pre>
</body>
</html>
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy of the page: it runs and requests nothing."""


def store_page(url: str) -> bytes:
    """Return the page of the store at a URL, as HTML in UTF-8."""
    name = url.rstrip("/").rpartition("/")[2]
    return _PAGE.format(name=escape(name), url=escape(url)).encode()
