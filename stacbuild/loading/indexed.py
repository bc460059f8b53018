"""Spectral indices of a source's variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pystac
import xarray as xr

from stacbuild import indices
from stacbuild.errors import BuildError
from stacbuild.stac.scenes import DATA

if TYPE_CHECKING:
    from stacbuild.config.datasets import CustomProcessing
    from stacbuild.loading.metadata import VariableMetadata

_NAME = "eo:common_name"


def run_index(
    dataset: xr.Dataset,
    custom: CustomProcessing,
    metadata: Mapping[str, VariableMetadata],
    assets: Mapping[str, Sequence[pystac.Item]],
    *,
    complete: bool,
) -> xr.Dataset:
    """Compute a function of `stacbuild.indices`.

    Parameters
    ----------
    dataset
        Lazy, unpacked; integers have the nodata value of their metadata.
    metadata
        By variable.
    assets
        Items of the variables that are assets of scenes, which may state their common names.
    complete
        Whether the sources cover the whole grid.

    Raises
    ------
    BuildError
        If a band is missing, or has no reflectance where the index needs that.
    """
    stated = {name: views[0].assets[DATA].extra_fields for name, views in assets.items()}
    names = {name: fields[_NAME] for name, fields in stated.items() if _NAME in fields}
    nodata = {
        name: array.dtype.type(known.fill)
        for name, array in dataset.data_vars.items()
        if (known := metadata.get(str(name))) is not None
        and array.dtype.kind != "f"
        and known.no_data(complete=complete).declared
    }
    try:
        return indices.computed(dataset, custom.function_name, names, nodata)
    except indices.IndexFunctionError as error:
        raise BuildError(f"{custom.label}: {error}") from error
