"""Providers of STAC APIs whose files need more than a plain request.

What a provider expects holds for a store of its own kind, such as ``stac-cdse``, and for a store of
kind ``stac`` at its address. Everything can be overridden by ``store_params``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Provider:
    """How the API of a provider is searched, and its files are read.

    Parameters
    ----------
    title
        Name for messages.
    url
        Landing page of the API; empty for one that is not known.
    page_size
        Items that a page of a search is asked for.
    storage_options
        Access to files on S3, as in ``store_params``; empty: AWS, unsigned.
    keys
        What to do to get keys for S3, for messages; empty if files can be read without.
    connections
        Most connections to its S3 server at a time that it allows a user; 0 if there is no limit.
    on_s3
        Whether files are read on S3 although they have https addresses: these want a login.
    tokens
        Path of the service that signs blobs of Azure, on the server of the API; empty if none.
    """

    title: str = "this catalog"
    url: str = ""
    page_size: int = 100
    storage_options: dict[str, Any] | None = None
    keys: str = ""
    connections: int = 0
    on_s3: bool = False
    tokens: str = ""


# CDSE answers 429 to pages of more than 100 items, and allows a user four connections to S3
# (https://documentation.dataspace.copernicus.eu/Quotas.html). Answers of Earth Search and the USGS
# have to be below 6 MB (the limit of AWS Lambda), of which 100 items take half.
PROVIDERS = {
    "earth-search": Provider(title="Earth Search", url="https://earth-search.aws.element84.com/v1"),
    "cdse": Provider(
        title="the Copernicus Data Space",
        url="https://stac.dataspace.copernicus.eu/v1",
        storage_options={"endpoint_url": "https://eodata.dataspace.copernicus.eu"},
        keys="create S3 keys at https://eodata-s3keysmanager.dataspace.copernicus.eu and write "
        "them as key and secret in store_params",
        connections=4,
    ),
    "planetary-computer": Provider(
        title="the Planetary Computer",
        url="https://planetarycomputer.microsoft.com/api/stac/v1",
        page_size=250,
        tokens="/api/sas/v1/token",
    ),
    "eopf": Provider(title="the EOPF sample service", url="https://stac.core.eopf.eodc.eu"),
    "usgs": Provider(
        title="Landsat of the USGS",
        url="https://landsatlook.usgs.gov/stac-server",
        storage_options={
            "anon": False,
            "requester_pays": True,
            "client_kwargs": {"region_name": "us-west-2"},
        },
        keys="its files are on AWS, where the requester pays: set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or write key and secret in store_params",
        on_s3=True,
    ),
}
"""By the name that ``store_params.provider`` has."""

STORE_IDS = {
    "eopf-zarr": "eopf",
    "stac-cdse": "cdse",
    "stac-cdse-ardc": "cdse",
    "stac-earth-search": "earth-search",
    "stac-hls": "planetary-computer",
    "stac-pc": "planetary-computer",
    "stac-pc-ardc": "planetary-computer",
    "stac-usgs": "usgs",
}
"""The provider of each ``store_id`` that stands for ``stac`` with that provider."""

SUMMARIES = {
    "eopf-zarr": "EOPF sample service: Sentinel-1, -2 and -3 as Zarr, open.",
    "stac-cdse": "Copernicus Data Space: JPEG 2000 on S3, which needs keys.",
    "stac-cdse-ardc": "The same as stac-cdse, by its name in xcube-stac.",
    "stac-earth-search": "Earth Search of Element 84: open Sentinel-2, Landsat, NAIP and DEM.",
    "stac-hls": "Harmonized Landsat and Sentinel-2 (hls2-l30, hls2-s30) of the Planetary Computer.",
    "stac-pc": "Planetary Computer: files on Azure, whose URLs are signed.",
    "stac-pc-ardc": "The same as stac-pc, by its name in xcube-stac.",
    "stac-usgs": "Landsat of the USGS, on AWS, where the requester pays.",
}
"""What each store in `STORE_IDS` is."""

_UNKNOWN = Provider()


def provider_of(name: str | None, address: str) -> Provider:
    """Return the provider of this name, or else that with a landing page on the same server."""
    if name is not None:
        return PROVIDERS[name]
    host = urlsplit(address).hostname if "://" in address else None
    for each in PROVIDERS.values():
        if urlsplit(each.url).hostname == host:
            return each
    return _UNKNOWN
