"""Kinds of store of xcube's file systems and plugins: aliases of our kinds, or alternatives.

Two are STAC APIs, read as kind ``stac``. For the others a message names an alternative; none is
read through xcube, whose plugins pip cannot install, or only by building GDAL (docs/howto/stac.md).
"""

from __future__ import annotations

from typing import Any

_CDSE = "https://stac.dataspace.copernicus.eu/v1"
_PC = "https://planetarycomputer.microsoft.com/api/stac/v1"

_EODATA = "https://eodata.dataspace.copernicus.eu"
_FOREST = (
    "https://s3.gfz-potsdam.de/dog.atlaseo-glm.eo-gridded-data/collections/public/catalog.json"
)

STAC_APIS: dict[str, dict[str, Any]] = {
    "stac-cdse": {"url": _CDSE, "storage_options": {"endpoint_url": _EODATA}},
    "stac-pc": {"url": _PC},
}
"""Aliases of kind ``stac``, with their default parameters."""


def _download(tool: str) -> str:
    return (
        f"fetch the data with {tool}, save them as NetCDF, Zarr or GeoTIFF in a folder, and read "
        "that with store_id: file"
    )


def _without_cube(kind: str) -> str:
    return (
        f"write store_id: {kind} for the tiles as they are (GeoTIFF and Zarr; no JPEG 2000), "
        "or make the cube with xcube-stac in an environment of its own, save it as Zarr in a "
        "folder, and read that with store_id: file"
    )


_CCI = (
    _download("xcube-cci in an environment of its own, or from https://climate.esa.int/en/odp")
    + f"; the AGB maps of CCI Biomass are in EOForestSTAC, too: store_id: stac with url: {_FOREST} "
    "and data_id: biomass-carbon/CCI_BIOMASS/CCI_BIOMASS_v6.0/CCI_BIOMASS_v6.0.json"
)

INSTEAD = {
    "abfs": "read public containers with store_id: https and root: https://ACCOUNT.blob.core."
    "windows.net/CONTAINER; copy others to a folder (store_id: file) or bucket (store_id: s3)",
    "ccikc": _CCI,
    "ccizarr": _CCI,
    "cciodp": _CCI,
    "cds": _download("cdsapi"),
    "cmems": _download("copernicusmarine"),
    "eopf-zarr": "write store_id: stac with the address of its STAC API (see "
    "https://zarr.eopf.copernicus.eu) as url; each of its Zarr stores is a data_id",
    "esa-cdc": _CCI,
    "esa-cdc-kc": _CCI,
    "esa-cdc-zarr": _CCI,
    "esa-cci": _CCI,
    "esa-cci-kc": _CCI,
    "esa-cci-zarr": _CCI,
    "esa-climate-data-centre": _CCI,
    "ftp": _download("an FTP client"),
    "gedidb": _download("gedidb"),
    "icosdp": _download("the portal https://data.icos-cp.eu/portal"),
    "reference": "name the files that the references lead to: write their Zarr or GeoTIFF files "
    "with store_id: https, s3 or file",
    "sentinelhub": _download("sentinelhub"),
    "sentinelhub-cdse": _download("sentinelhub"),
    "smos": _download("xcube-smos in an environment of its own"),
    "stac-cdse-ardc": _without_cube("stac-cdse"),
    "stac-pc-ardc": _without_cube("stac-pc"),
    "stac-xcube": "write store_id: stac with the same url",
}
"""The alternative to each kind that is not supported, for messages."""


def as_stac(data: Any) -> Any:
    """Return a configuration's data with the stores of `STAC_APIS` as stores of kind ``stac``.

    *data* is not changed. Malformed parts are returned as they are; validation reports them.
    """
    if not isinstance(data, dict) or not isinstance(data.get("data_stores"), list | tuple):
        return data
    return data | {"data_stores": [stac_store(store) for store in data["data_stores"]]}


def stac_store(store: Any) -> Any:
    """Return one store, as `as_stac`; its own parameters override the defaults.

    ``key`` and ``secret`` may be parameters beside ``url``, as in the notebook's tool.
    """
    if not isinstance(store, dict) or store.get("store_id") not in list(STAC_APIS):
        return store
    default = dict(STAC_APIS[store["store_id"]])
    params = store.get("store_params")
    params = {} if params is None else params
    options = params.get("storage_options", {}) if isinstance(params, dict) else None
    if not isinstance(params, dict) or not isinstance(options, dict):
        return store | {"store_id": "stac"}
    if "url" in params or "root" in params:
        del default["url"]
    endpoint = default.pop("storage_options", {})
    if {"endpoint_url", "client_kwargs"} & set(options):
        endpoint = {}
    keys = {key: value for key, value in params.items() if key in ("key", "secret")}
    # Objects are read unsigned without keys.
    unsigned = {"anon": True} if endpoint and not keys and not options else {}
    options = endpoint | unsigned | keys | options
    merged = default | {key: value for key, value in params.items() if key not in keys}
    return store | {
        "store_id": "stac",
        "store_params": merged | ({"storage_options": options} if options else {}),
    }
