"""Kinds of store of xcube's file systems and plugins: aliases of our kinds, or alternatives.

Providers of STAC APIs are read as kind ``stac``. For the others a message names an alternative;
none is read through xcube, whose plugins pip cannot install, or only by building GDAL
(docs/howto/stac.md).
"""

from __future__ import annotations

from typing import Any

from stacbuild.kinds import load_module

_FOREST = (
    "https://s3.gfz-potsdam.de/dog.atlaseo-glm.eo-gridded-data/collections/public/catalog.json"
)

PROVIDERS: dict[str, str] = load_module("stac", "providers").STORE_IDS
"""Kinds that are read as ``stac``, with the name of their provider (``store_params.provider``)."""


def _download(tool: str) -> str:
    return (
        f"fetch the data with {tool}, save them as NetCDF, Zarr or GeoTIFF in a folder, and read "
        "that with store_id: file"
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
    "stac-xcube": "write store_id: stac with the same url",
}
"""The alternative to each kind that is not supported, for messages."""


def as_stac(data: Any) -> Any:
    """Return a configuration's data with the stores of `PROVIDERS` as stores of kind ``stac``.

    *data* is not changed. Malformed parts are returned as they are; validation reports them.
    """
    if not isinstance(data, dict) or not isinstance(data.get("data_stores"), list | tuple):
        return data
    return data | {"data_stores": [stac_store(store) for store in data["data_stores"]]}


def stac_store(store: Any) -> Any:
    """Return one store, as `as_stac`.

    ``key`` and ``secret`` may be parameters beside ``url``, as in the notebook's tool.
    """
    if not isinstance(store, dict) or store.get("store_id") not in ["stac", *PROVIDERS]:
        return store
    provider = PROVIDERS.get(store["store_id"])
    params = store.get("store_params")
    params = {} if params is None else params
    if isinstance(params, dict):
        options = params.get("storage_options", {})
        keys = {key: params[key] for key in ("key", "secret") if key in params}
        if keys and isinstance(options, dict):
            rest = {key: value for key, value in params.items() if key not in keys}
            params = rest | {"storage_options": options | keys}
        if provider is not None:
            params = {"provider": provider} | params
    return store | {"store_id": "stac", "store_params": params}


def add_providers(schema: dict[str, Any]) -> None:
    """Add to the JSON Schema of the configuration, in place, what `as_stac` accepts."""
    store = schema["$defs"]["StacStore"]
    store_id = store["properties"]["store_id"]
    store_id["enum"] = [store_id.pop("const"), *PROVIDERS]
    store["required"].remove("store_params")
    options = schema["$defs"]["StorageOptions"]["properties"]
    params = schema["$defs"]["StacParams"]["properties"]
    params |= {name: options[name] for name in ("key", "secret")}
