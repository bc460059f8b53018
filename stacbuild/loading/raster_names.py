"""Which variables a GeoTIFF has: names, bands and times of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pystac
import xarray as xr

from stacbuild.errors import BuildError
from stacbuild.loading.facts import Facts, data_bands, facts_of_bands
from stacbuild.loading.select import band_times, by_time, chosen_names
from stacbuild.stac.extensions import VARIABLE

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

# The name that a GeoTIFF's pixels have when opened as a dataset (rioxarray, xcube).
RASTER_NAME = "band_data"


def bands_by_name(item: pystac.Item) -> dict[str, list[int]]:
    """Return the data bands, from 1, of each variable of a GeoTIFF, by its name when opened.

    That is the one which the header has for it, else `RASTER_NAME`.
    """
    fields = item.assets["data"].extra_fields
    bands, common = fields.get("bands") or [{}], fields.get(VARIABLE, RASTER_NAME)
    found: dict[str, list[int]] = {}
    for band in data_bands(item):
        found.setdefault(bands[band - 1].get(VARIABLE, common), []).append(band)
    return found


def chosen_bands(
    variable: SourceVariable, items: Sequence[pystac.Item]
) -> dict[str, dict[int, Facts]]:
    """Return what is loaded of a GeoTIFF: by name when opened, the facts of bands by number.

    Raises
    ------
    BuildError
        As `facts_of_bands`, or the configuration names a variable that there is not.
    """
    if variable.open_params.band_as_variable:
        return {RASTER_NAME: facts_of_bands(variable, items, variable.identifier or RASTER_NAME)}
    known = bands_by_name(items[0])
    if len(known) > 1:
        names = chosen_names(variable, known)
        return {name: facts_of_bands(variable, items, name, known[name]) for name in names}
    [name] = known
    named = known_as(variable, name)
    chosen_names(variable, [named])
    return {name: facts_of_bands(variable, items, named)}


def known_as(variable: SourceVariable, name: str) -> str:
    """Return by which name ``open_params`` and ``spatial_resample_params`` mean a single variable.

    That is the configuration's identifier, unless they use the file's own name for it.
    """
    params = variable.spatial_resample_params
    used = (
        variable.open_params.variable_names,
        params.variables,
        params.interp_methods,
        params.agg_methods,
        params.fill_values,
    )
    if any(name in each for each in used if isinstance(each, tuple | dict)):
        return name
    return variable.identifier or name


def with_times(
    array: xr.DataArray,
    name: str,
    known: Mapping[str, Sequence[int]],
    items: Sequence[pystac.Item],
) -> xr.DataArray:
    """Return an array with the times of its bands, where the header names its variable.

    Parameters
    ----------
    array
        With the dimension ``band``, if there are several.
    name
        Of the variable. One that the header does not name keeps its bands, as a user's function
        knows them.
    known
        The bands of each variable; of several, bands without times are counted anew.
    """
    times = band_times(items[0]) if len(by_time(items)) == 1 else None
    if times is None:
        if len(known) > 1 and "band" in array.dims:
            array = array.assign_coords(band=np.arange(1, array.sizes["band"] + 1))
        return array
    if "band" not in array.dims:
        array = array.expand_dims(band=list(known[name]))
    if name == RASTER_NAME:
        return array
    return array.rename(band="time").assign_coords(time=times[array["band"].values - 1])


def with_labels(array: xr.DataArray, item: pystac.Item, bands: Sequence[int]) -> xr.DataArray:
    """Return an array whose coordinate ``band`` tells what its bands are, if the file does.

    As CF has it (1.11, section 3.5): ``flag_values`` and ``flag_meanings``, words joined by ``_``;
    ``long_name`` has them as they are written.

    Parameters
    ----------
    bands
        The numbers in the file, from 1, of the array's bands.
    """
    stated = _labels(item)
    if "band" not in array.dims or len(stated) < max(bands, default=0):
        return array
    said = [stated[band - 1] for band in bands]
    if not any(said) or array.sizes["band"] != len(said):
        return array
    numbers = array["band"].values
    words = [text or f"band {number}" for text, number in zip(said, numbers, strict=True)]
    attrs = {
        "long_name": "band: " + ", ".join(words),
        "flag_values": numbers,
        "flag_meanings": " ".join("_".join(word.split()) for word in words),
    }
    return array.assign_coords(band=array["band"].assign_attrs(attrs))


def _labels(item: pystac.Item) -> list[str | None]:
    """Return what the file, or else its item, calls each band of it."""
    stated = item.assets["data"].extra_fields.get("bands", ())
    return [entry.get("description") or _own_name(entry) for entry in stated]


def _own_name(entry: Mapping[str, object]) -> str | None:
    name = str(entry.get("name") or "")
    return None if re.fullmatch(r"b\d+", name) else name or None


def check_labels(
    variable: SourceVariable, items: Sequence[pystac.Item], warn: Callable[[str], None]
) -> None:
    """Warn of files whose bands have other names than those of the first.

    Bands are put together by their number.

    Raises
    ------
    BuildError
        If a name belongs to one band in one file and to another band in another: the bands are
        in another order.
    """
    first, *others = (_labels(item) for item in items)
    unlike = ""
    for item, labels in zip(items[1:], others, strict=True):
        pairs = [(a, b) for a, b in zip(first, labels, strict=False) if a and b and a != b]
        if not pairs or len(first) == 1:
            continue
        names = f"{items[0].id} has {_listed(first)}; {item.id} has {_listed(labels)}"
        if any(a in labels or b in first for a, b in pairs):
            raise BuildError(
                f"{variable.data_id}: its files have bands in different orders ({names}); take "
                "those of one order at a time, or write them in the same order"
            )
        unlike = unlike or names
    if unlike:
        warn(
            f"{variable.data_id}: its files name bands differently ({unlike}); bands of the same "
            "number are put together"
        )


def _listed(labels: Sequence[str | None]) -> str:
    return ", ".join(label or "none" for label in labels)


def check_together(
    variable: SourceVariable, items: Sequence[pystac.Item], arrays: Mapping[str, xr.DataArray]
) -> None:
    """Raise a BuildError if variables or files differ in times, or files in variables."""
    alike = [("the variables", {repr(bands_by_name(item)) for item in items})]
    for tiles in by_time(items).values():
        times = (band_times(tile) for tile in tiles)
        alike.append(("the times", {repr(at if at is None else at.tolist()) for at in times}))
    for what, values in alike:
        if len(values) > 1:
            raise BuildError(
                f"{variable.data_id}: its files differ in {what} of their bands; they cannot be "
                "one variable"
            )
    first, *others = arrays.values()
    for dim in ("time", "band"):
        mine = first.indexes.get(dim)
        for other in others:
            theirs = other.indexes.get(dim)
            if (mine is None) != (theirs is None) or (mine is not None and not mine.equals(theirs)):
                raise BuildError(
                    f"{variable.data_id}: its variables {', '.join(arrays)} differ in {dim}; take "
                    "one by open_params.variable_names"
                )
