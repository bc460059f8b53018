"""Cubes of a catalog that stacbuild made, which may lie anywhere on this machine.

An item proves that a file belongs to it by the fingerprint that both have. So it can be described
without a configuration that names its folder.
"""

from __future__ import annotations

from pathlib import Path

from stacbuild.errors import StacbuildError
from stacbuild.stac.catalog import Catalog
from stacbuild.stac.extensions import FINGERPRINT


def cubes_of(catalog_folder: Path, data_id: str) -> tuple[Path, ...]:
    """Return the cubes of a data id whose fingerprint is that in their item."""
    names = data_id.strip("/").split("/")
    found = []
    try:
        for item in Catalog(catalog_folder).items():
            if names[-1] not in (item.id, item.collection_id):
                continue
            path = Path(item.assets["data"].href) if "data" in item.assets else None
            stated = item.properties.get(FINGERPRINT)
            if path is not None and isinstance(stated, str) and _fingerprint(path) == stated:
                found.append(path)
    except StacbuildError:
        # The harvest says what is wrong.
        return ()
    return tuple(found)


def _fingerprint(path: Path) -> object:
    """Return the fingerprint of a Zarr store on this machine; None if it has none."""
    import zarr

    if path.is_symlink() or not path.is_dir():
        return None
    try:
        return zarr.open_group(path, mode="r").attrs.get("stacbuild_fingerprint")
    except Exception:  # noqa: BLE001 - it is no cube
        return None
