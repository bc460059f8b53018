"""The assets of scenes as variables, each named by its asset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pystac
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.loading.methods import check_methods
from stacbuild.loading.select import chosen_names
from stacbuild.stac.scenes import DATA, by_asset, by_item

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

_SHOWN = 5


def chosen_assets(
    variable: SourceVariable, items: Sequence[pystac.Item]
) -> dict[str, list[pystac.Item]]:
    """Return the views of each asset to load, by its key; empty if the items are no views.

    They are the assets of ``open_params.asset_names`` in that order, or all, of which
    ``variable_names`` and ``spatial_resample_params.variables`` may select some.

    Raises
    ------
    BuildError
        If an item lacks one of them, or the configuration names an unknown one.
    """
    found = by_asset(items)
    if set(found) <= {DATA}:
        return {}
    names = list(getattr(variable.open_params, "asset_names", None) or found)
    _check_complete(variable, names, items)
    names = chosen_names(variable, names)
    check_methods(variable, names)
    return {name: found[name] for name in names}


def _check_complete(
    variable: SourceVariable, names: Iterable[str], items: Sequence[pystac.Item]
) -> None:
    """Raise a `BuildError` that lists the items without one of the assets."""
    lacking = []
    for views in by_item(items).values():
        missing = sorted(set(names) - set(by_asset(views)))
        if missing:
            lacking.append(f"{views[0].id} has no {' and no '.join(missing)}")
    if lacking:
        more = f" and {len(lacking) - _SHOWN} more items" if len(lacking) > _SHOWN else ""
        raise BuildError(
            f"{variable.label}: items of the catalog lack assets: {'; '.join(lacking[:_SHOWN])}"
            f"{more}; harvest again, or leave these out of open_params.asset_names"
        )


def of_asset(variable: SourceVariable, asset: str) -> SourceVariable:
    """Return the variable that one asset is: named by it, with the parameters for it alone."""
    spatial = variable.spatial_resample_params
    own: dict[str, Any] = {"variables": None}
    for name in ("interp_methods", "agg_methods", "fill_values"):
        each = getattr(spatial, name)
        if isinstance(each, dict):
            own[name] = {asset: each[asset]} if asset in each else None
    copied = variable.model_copy(
        update={
            "identifier": None,
            "open_params": variable.open_params.model_copy(update={"variable_names": None}),
            "spatial_resample_params": spatial.model_copy(update=own),
            "temporal_resample_params": None,
        }
    )
    return copied.with_default_name(asset)


def names_of(asset: str, names: Iterable[str]) -> dict[str, str]:
    """Return what the variables of an asset are called: as the asset, or beginning with it."""
    known = list(names)
    return {name: asset if len(known) == 1 else f"{asset}_{name}" for name in known}


def merged(variable: SourceVariable, parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return the variables of all assets in one dataset.

    Raises
    ------
    BuildError
        If assets differ in the numbers or names of their bands.
    """
    try:
        return xr.merge(parts.values(), join="exact", compat="equals", combine_attrs="drop")
    except ValueError as error:
        raise BuildError(
            f"{variable.label}: its assets {', '.join(parts)} differ in bands or times "
            f"({' '.join(str(error).split())[:200]}); state open_params.band_as_variable: true, or "
            "make a dataset of each"
        ) from error
