"""Kinds of store that the notebook's tool knows: two are STAC APIs, for others what to write.

The names are those of xcube's own file systems and of its plugins. None of them is read through
xcube here: pip finds none of its plugins, or has to build GDAL for it (docs/howto/stac.md).
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
"""Kinds that are a store of kind ``stac``, with the parameters that it has by default."""


def _saved(what: str) -> str:
    return (
        f"fetch the data with {what}, save them as Zarr or GeoTIFF in a folder, and read that with "
        "store_id: file"
    )


def _apart(kind: str) -> str:
    return (
        f"write store_id: {kind} for the tiles as they are (GeoTIFF and Zarr; no JPEG 2000), "
        "or have xcube-stac make the cube in an environment of its own, save it as Zarr in a "
        "folder, and read that with store_id: file"
    )


_CCI = (
    _saved("xcube-cci in an environment of its own, or from https://climate.esa.int/en/odp")
    + f"; the AGB maps of CCI Biomass are in EOForestSTAC, too: store_id: stac with url: {_FOREST} "
    "and data_id: biomass-carbon/CCI_BIOMASS/CCI_BIOMASS_v6.0/CCI_BIOMASS_v6.0.json"
)

INSTEAD = {
    "abfs": "read public containers with store_id: https and root: https://ACCOUNT.blob.core."
    "windows.net/CONTAINER; copy others to a folder (store_id: file) or bucket (store_id: s3)",
    "ccikc": _CCI,
    "ccizarr": _CCI,
    "cciodp": _CCI,
    "cds": _saved("cdsapi"),
    "cmems": _saved("copernicusmarine"),
    "eopf-zarr": "write store_id: stac with the address of its STAC API (see "
    "https://zarr.eopf.copernicus.eu) as url; each of its Zarr stores is a data_id",
    "esa-cdc": _CCI,
    "esa-cdc-kc": _CCI,
    "esa-cdc-zarr": _CCI,
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
    "stac-cdse-ardc": _apart("stac-cdse"),
    "stac-pc-ardc": _apart("stac-pc"),
    "stac-xcube": "write store_id: stac with the same url",
}
"""For each kind what to write instead, in a line."""


def as_stac(data: Any) -> Any:
    """Return a configuration's data with stores of `STAC_APIS` as those of kind ``stac``.

    What is not well formed is left where it stands, for others to complain of; *data* stays as it
    is.
    """
    if not isinstance(data, dict) or not isinstance(data.get("data_stores"), list | tuple):
        return data
    return data | {"data_stores": [stac_store(store) for store in data["data_stores"]]}


def stac_store(store: Any) -> Any:
    """Return one store, as `as_stac`: its own parameters go before those by default.

    ``key`` and ``secret`` may stand beside the address, as the notebook's tool has them.
    """
    if not isinstance(store, dict) or store.get("store_id") not in list(STAC_APIS):
        return store
    default = dict(STAC_APIS[store["store_id"]])
    given = store.get("store_params")
    params = {} if given is None else given
    options = params.get("storage_options", {}) if isinstance(params, dict) else None
    if not isinstance(params, dict) or not isinstance(options, dict):
        return store | {"store_id": "stac"}
    if "url" in params or "root" in params:
        del default["url"]
    there = default.pop("storage_options", {})
    if {"endpoint_url", "client_kwargs"} & set(options):
        there = {}
    keys = {key: value for key, value in params.items() if key in ("key", "secret")}
    # Without keys what lies there is read unsigned.
    options = there | ({} if keys or options or not there else {"anon": True}) | keys | options
    merged = default | {key: value for key, value in params.items() if key not in keys}
    return store | {
        "store_id": "stac",
        "store_params": merged | ({"storage_options": options} if options else {}),
    }
