"""The assets of a cube's item: href, size, and the checksums that detect damage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pystac
import xarray as xr
import zarr

from stacbuild.formats.array_store import NETCDF
from stacbuild.formats.zarr_chunks import CHUNKS, count_chunks
from stacbuild.formats.zarr_store import MEDIA_TYPE, is_consolidated
from stacbuild.stac.checksums import checksum
from stacbuild.storage.formats import FORMATS, MULTISCALES

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.storage.output import Staging


def data_id(dataset: Dataset) -> str:
    """Return the data id of a cube: its name in the storage."""
    return f"{dataset.identifier}{FORMATS[dataset.format_id].ending}"


def describe_assets(
    item: pystac.Item, dataset: Dataset, staging: Staging, group: zarr.Group, cube: xr.Dataset
) -> None:
    """Complete the assets of an item from the staged cube.

    Parameters
    ----------
    item
        From `stacbuild.stac.zarr_item.zarr_item`, with the asset ``data``; for a pyramid a second
        asset is added.
    group, cube
        The staged cube.
    """
    asset = item.assets["data"]
    if staging.file is not None:
        _describe_file(item, dataset, staging.file)
        return
    asset.title = f"{dataset.identifier} (Zarr)"
    asset.extra_fields |= {
        "file:size": sum(array.nbytes_stored() for _, array in group.arrays()),
        CHUNKS: count_chunks(staging.store, map(str, cube.data_vars)),
    }
    if staging.s3_whole:
        inner = FORMATS[dataset.format_id].public
        href = f"{staging.s3_whole}/{inner}".rstrip("/")
        asset.extra_fields["alternate"] = {"s3": {"href": href}}
    if dataset.format_id == "levels":
        asset.title = f"{dataset.identifier} (Zarr, full resolution)"
        _add_pyramid(item, dataset, staging, list(map(str, cube.data_vars)))


def _add_pyramid(
    item: pystac.Item, dataset: Dataset, staging: Staging, variables: list[str]
) -> None:
    root = zarr.open_group(staging.root, mode="r")
    multiscales: Any = root.attrs["multiscales"]
    levels = multiscales["layout"]
    coarse = [f"{level['asset']}/{variable}" for level in levels[1:] for variable in variables]
    pyramid = pystac.Asset(
        staging.whole,
        title=f"{dataset.identifier} (Zarr, all resolutions)",
        description=f"Group of {len(levels)} levels, each half of the one before.",
        media_type=MEDIA_TYPE,
        roles=["data", "overview"],
        extra_fields={
            "zarr:zarr_format": root.metadata.zarr_format,
            "zarr:consolidated": is_consolidated(root),
            "zarr:node_type": "group",
        },
    )
    pyramid.extra_fields[CHUNKS] = count_chunks(staging.root, coarse)
    pyramid.extra_fields["file:size"] = item.assets["data"].extra_fields["file:size"] + sum(
        chunks["bytes"] for chunks in pyramid.extra_fields[CHUNKS].values()
    )
    if staging.s3_whole:
        pyramid.extra_fields["alternate"] = {"s3": {"href": staging.s3_whole}}
    item.add_asset(MULTISCALES, pyramid)


def _describe_file(item: pystac.Item, dataset: Dataset, file: Path) -> None:
    item.remove_links("store")
    asset = item.assets["data"]
    asset.title, asset.media_type = f"{dataset.identifier} (netCDF)", NETCDF
    for key in [key for key in asset.extra_fields if key.startswith("zarr:")]:
        del asset.extra_fields[key]
    asset.extra_fields |= {"file:size": file.stat().st_size, "file:checksum": checksum(file)}
