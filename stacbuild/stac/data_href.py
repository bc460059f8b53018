"""What is opened for the asset of a source."""

from __future__ import annotations

import pystac

GROUP = "stacbuild:group"
"""Field of the asset of a NetCDF or HDF5 file: path of the group in it, if it is not the root."""


def data_href(asset: pystac.Asset) -> str:
    """Return the href of an asset with arrays for `stacbuild.formats.zarr_store.open_group`."""
    group = asset.extra_fields.get(GROUP)
    return f"{asset.href}/{group}" if group else str(asset.href)
