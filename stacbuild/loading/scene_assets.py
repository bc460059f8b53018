"""The assets of scenes as variables, each named by its asset."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pystac
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.loading.masks import is_quality, with_masks
from stacbuild.loading.methods import check_methods
from stacbuild.loading.select import chosen_names
from stacbuild.stac.scenes import DATA, by_asset, by_item, with_properties

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

_AVERAGING = ("bilinear", "mean", "median", "sum")
_SCALE = ("raster:scale", "raster:offset")


def chosen_assets(
    variable: SourceVariable, items: Sequence[pystac.Item]
) -> dict[str, list[pystac.Item]]:
    """Return the views of each asset to load, by its key.

    Empty if the items are no views, or if their only asset is a Zarr group of several variables,
    which are those of the cube then.

    They are the assets of ``open_params.asset_names`` in that order, or all, of which
    ``variable_names`` and ``spatial_resample_params.variables`` may select some. Views have the
    masks of ``open_params.mask``.

    Raises
    ------
    BuildError
        If the configuration names an unknown one, and as `with_masks`.
    """
    found = by_asset(items)
    if set(found) <= {DATA} or (len(found) == 1 and _is_group(items[0])):
        return {}
    names = list(variable.open_params.asset_names or found)
    names = chosen_names(variable, names)
    check_methods(variable, names)
    return {name: with_masks(variable, found[name]) for name in names if name in found}


def _is_group(item: pystac.Item) -> bool:
    variables = item.properties.get("cube:variables", {})
    return len([name for name, each in variables.items() if each["type"] == "data"]) > 1


def lacking_assets(variable: SourceVariable, items: Sequence[pystac.Item]) -> dict[str, list[str]]:
    """Return the assets that scenes lack, of variables and masks, by the id of their item."""
    if set(found := by_asset(items)) <= {DATA}:
        return {}
    params = variable.open_params
    names = dict.fromkeys([*(params.asset_names or found), *(each.asset for each in params.masks)])
    missing = {
        views[0].id: [name for name in names if name not in by_asset(views)]
        for views in by_item(items).values()
    }
    return {item: assets for item, assets in missing.items() if assets}


def of_asset(variable: SourceVariable, asset: str, views: Sequence[pystac.Item]) -> SourceVariable:
    """Return the variable that one asset is: named by it, with the parameters for it alone.

    A method for all assets that averages is not for classes and bits, which it would mix up.
    """
    spatial = variable.spatial_resample_params
    own: dict[str, Any] = {"variables": None}
    for name in ("interp_methods", "agg_methods", "fill_values"):
        each = getattr(spatial, name)
        if isinstance(each, dict):
            own[name] = {asset: each[asset]} if asset in each else None
        elif each in _AVERAGING and is_quality(views):
            own[name] = None
    copied = variable.model_copy(
        update={
            "identifier": None,
            "open_params": variable.open_params.model_copy(update={"variable_names": None}),
            "spatial_resample_params": spatial.model_copy(update=own),
            "temporal_resample_params": None,
        }
    )
    return copied.of_asset(asset)


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


def usable(variable: SourceVariable, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return the items that have all assets, with the values that ``open_params`` asks for.

    If ``apply_scaling`` is false, copies in memory state no scale and offset, and no unit, which is
    that of scaled values.

    Raises
    ------
    BuildError
        If a scene lacks the asset of a variable or of a mask, and ``errors`` is not ``skip``; or if
        all do.
    """
    missing = lacking_assets(variable, items)
    kept = [item for item in items if item.id not in missing]
    if missing and (not kept or variable.open_params.errors != "skip"):
        listed = (f"{item} has no {' and no '.join(assets)}" for item, assets in missing.items())
        raise BuildError(
            f"{variable.label}: items of the catalog lack assets: {'; '.join(listed)}; harvest "
            "again, leave these assets out of open_params, or state open_params.errors: skip"
        )
    return _unscaled(variable, kept)


def _unscaled(variable: SourceVariable, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    if variable.open_params.apply_scaling is not False:
        return list(items)
    found = []
    for item in items:
        asset = copy.copy(item.assets[DATA])
        fields = _without_scale(asset.extra_fields)
        if bands := fields.get("bands"):
            fields["bands"] = [_without_scale(band) for band in bands]
        asset.extra_fields = fields
        changed = with_properties(item, {})
        changed.assets[DATA] = asset
        found.append(changed)
    return found


def _without_scale(fields: Mapping[str, Any]) -> dict[str, Any]:
    if not any(name in fields for name in _SCALE):
        return dict(fields)
    return {name: value for name, value in fields.items() if name not in (*_SCALE, "unit")}
