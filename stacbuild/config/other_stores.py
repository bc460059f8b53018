"""Kinds of store that the notebook's tool knows and this one does not, and the way in that exists.

The names are those of xcube's own file systems and of its plugins. None of them is read through
xcube here: pip finds none of its plugins, or has to build GDAL for it (docs/howto/stac.md).
"""

from __future__ import annotations

_CDSE = "https://stac.dataspace.copernicus.eu/v1"
_PC = "https://planetarycomputer.microsoft.com/api/stac/v1"

_KEYS = (
    "with key, secret and endpoint_url https://eodata.dataspace.copernicus.eu in storage_options"
)


def _saved(what: str) -> str:
    return (
        f"fetch the data with {what}, save them as Zarr or GeoTIFF in a folder, and read that with "
        "store_id: file"
    )


def _as_tiles(url: str, more: str) -> str:
    return (
        f"write store_id: stac with url: {url} {more}; an item's GeoTIFF and Zarr assets are read, "
        "not JPEG 2000 or NetCDF"
    )


_CCI = _saved("xcube-cci in an environment of its own, or from https://climate.esa.int/en/odp")

INSTEAD = {
    "abfs": "read public containers with store_id: https and root: https://ACCOUNT.blob.core."
    "windows.net/CONTAINER; copy others to a folder (store_id: file) or bucket (store_id: s3)",
    "ccizarr": _CCI,
    "cciodp": _CCI,
    "cds": _saved("cdsapi"),
    "cmems": _saved("copernicusmarine"),
    "eopf-zarr": "write store_id: stac with the address of its STAC API (see "
    "https://zarr.eopf.copernicus.eu) as url; each of its Zarr stores is a data_id",
    "esa-cci": _CCI,
    "esa-cci-kc": _CCI,
    "esa-cci-zarr": _CCI,
    "esa-climate-data-centre": _CCI,
    "ftp": _saved("an FTP client"),
    "gedidb": _saved("gedidb"),
    "icosdp": _saved("the portal https://data.icos-cp.eu/portal"),
    "reference": "name the files that the references lead to: write their Zarr or GeoTIFF files "
    "with store_id: https, s3 or file",
    "sentinelhub": _saved("sentinelhub"),
    "sentinelhub-cdse": _saved("sentinelhub"),
    "smos": _saved("xcube-smos in an environment of its own"),
    "stac-cdse": _as_tiles(_CDSE, _KEYS),
    "stac-cdse-ardc": _as_tiles(_CDSE, _KEYS),
    "stac-pc": _as_tiles(_PC, "for the collections that need no signature"),
    "stac-pc-ardc": _as_tiles(_PC, "for the collections that need no signature"),
    "stac-xcube": "write store_id: stac with the same url",
}
"""For each kind what to write instead, in a line."""
