"""Scenes with a quality layer, as items in memory: their files, and what a cube of them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pystac
import rasterio
from numpy.typing import NDArray
from rasterio import Affine

from stacbuild.config import GridMapping
from stacbuild.config.scenes import SceneParams
from stacbuild.geo.grid import Grid
from stacbuild.loading.masks import note_masks, with_masks
from stacbuild.loading.metadata import VariableMetadata
from stacbuild.loading.options import LoadOptions
from stacbuild.loading.raster import load_raster
from stacbuild.stac.scenes import ASSET, views

Json = dict[str, Any]
Values = NDArray[Any]

WEST, NORTH = 600000, 5300040
UTM = "EPSG:32632"


def layer(
    path: Path,
    values: Values,
    size: float = 10,
    *,
    crs: str = UTM,
    transform: Affine | None = None,
    nodata: float | None = None,
    **fields: Any,
) -> pystac.Asset:
    """Write a GeoTIFF in blocks of 16 pixels, and return the asset that a harvest makes of it.

    Parameters
    ----------
    values
        (rows, columns), or bands of them.
    size
        Of a pixel in metres, from the north-west corner of the scene, if there is no *transform*.
    fields
        Further fields of the asset.
    """
    place = transform or Affine(size, 0, WEST, 0, -size, NORTH)
    values = values.reshape(-1, *values.shape[-2:])
    count, height, width = values.shape
    header = {"dtype": values.dtype.name, "crs": crs, "transform": place, "nodata": nodata}
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"driver": "GTiff", "count": count, "height": height, "width": width}
    with rasterio.open(path, "w", **kind, **header, **blocks) as file:
        file.write(values)
    stated: Json = {
        "proj:code": crs,
        "proj:shape": [height, width],
        "proj:transform": list(place)[:6],
        "data_type": values.dtype.name,
        **({} if nodata is None else {"nodata": nodata}),
        **fields,
    }
    return pystac.Asset(str(path), extra_fields=stated)


def scene(assets: Mapping[str, pystac.Asset], name: str = "s", **properties: Any) -> pystac.Item:
    """Return the item of a scene, as the catalog has it."""
    given = {"datetime": "2020-03-05T10:37:41Z", "eo:cloud_cover": 5, **properties}
    item = pystac.Item(name, None, None, pd.Timestamp(given["datetime"]), given)
    for key, asset in assets.items():
        item.add_asset(key, asset)
    return item


def grid_of(size: float = 10, pixels: tuple[int, int] = (48, 48), **changes: Any) -> Grid:
    """Return a grid of rows and columns from the corner of scenes on, in tiles of 16 pixels."""
    rows, cols = pixels
    bbox = (WEST, NORTH - rows * size, WEST + cols * size, NORTH)
    stated = {"crs": UTM, "spatial_res": size, "bbox": bbox, "tile_size": 16} | changes
    mapping = GridMapping(identifier="g", **stated)
    return Grid.from_mapping(mapping, mapping.bbox)


def masked_views(mask: Any, *scenes: pystac.Item, note: bool = False) -> list[pystac.Item]:
    """Return the views of scenes with a mask, as in ``open_params.mask``; *note* unstated ones."""
    params = SceneParams(asset_names=("red",), mask=mask)
    found = [view for each in scenes for view in views(each)]
    variable: Any = SimpleNamespace(label="d", open_params=params)
    masked = with_masks(variable, found)
    if note:
        note_masks(variable, masked)
    return masked


def loaded(
    found: list[pystac.Item],
    grid: Grid,
    method: str = "nearest",
    asset: str = "red",
    bands: Sequence[int] = (1,),
) -> Values:
    """Return an asset of the views of scenes, mosaicked on a grid in their order."""
    tiles = [each for each in found if each.properties[ASSET] == asset]
    metadata = {band: VariableMetadata.of_bands(tiles, [band]) for band in bands}
    options = LoadOptions(grid, False, {}, 2**30)
    array = load_raster({pd.Timestamp("2020-03-05"): tiles}, method, metadata, options)
    single = [dim for dim in ("time", "band") if array.sizes.get(dim) == 1]
    values: Values = array.squeeze(single).compute(scheduler="sync").values
    return values
