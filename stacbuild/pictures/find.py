"""Find the cube that a user names: by path, URL, item or identifier."""

from __future__ import annotations

from pathlib import Path

from stacbuild.errors import MissingError
from stacbuild.stac.catalog import Catalog, cube_id


def find_cube(text: str, catalog: Path) -> str:
    """Return the path or URL of the Zarr store or netCDF file that *text* names.

    Parameters
    ----------
    text
        URL or folder of a store, path of a netCDF file or of an item's JSON, or id of an item in
        the catalog.
    catalog
        Folder of the catalog.

    Raises
    ------
    MissingError
        If it is none of these, or the item has no asset ``data``.
    IntegrityError
        If the JSON file is not a STAC item.
    """
    path = Path(text)
    if "://" in text or path.is_dir():
        return text
    if path.suffix == ".nc" and path.is_file():
        return str(path)
    if path.suffix == ".json" and path.is_file():
        item = Catalog(path.parent).read_item(path.absolute())
        if "data" in item.assets:
            return item.assets["data"].href
        raise MissingError(f"{path}: this item has no asset 'data'")
    names = []
    for item in Catalog(catalog).items():
        asset = item.assets.get("data")
        if asset is not None and "cube:variables" in item.properties:
            if item.id == cube_id(text):
                return asset.href
            names.append(item.id)
    there = f"; the catalog has {', '.join(sorted(names))}" if names else ""
    raise MissingError(
        f"{text}: is no Zarr store, no file of an item, and no cube of {catalog}{there}"
    )
