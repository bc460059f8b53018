"""Variables of a GeoTIFF: the names, bands and times of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pystac
import xarray as xr

from stacbuild import progress
from stacbuild.config.datasets import RASTER_NAME
from stacbuild.errors import BuildError
from stacbuild.loading.metadata import VariableMetadata, data_bands, metadata_by_band
from stacbuild.loading.select import band_times, by_time, chosen_names
from stacbuild.stac.extensions import VARIABLE

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable


def bands_by_name(item: pystac.Item) -> dict[str, list[int]]:
    """Return the data bands, from 1, of each variable of a GeoTIFF, by the variable's name.

    The name is that in the header of the file, or `RASTER_NAME` by default.
    """
    fields = item.assets["data"].extra_fields
    bands, common = fields.get("bands") or [{}], fields.get(VARIABLE, RASTER_NAME)
    found: dict[str, list[int]] = {}
    for band in data_bands(item):
        found.setdefault(bands[band - 1].get(VARIABLE, common), []).append(band)
    return found


def chosen_bands(
    variable: SourceVariable, items: Sequence[pystac.Item]
) -> dict[str, dict[int, VariableMetadata]]:
    """Return the metadata of the bands to load, by variable name and band number.

    Raises
    ------
    BuildError
        As raised by `metadata_by_band`, or if the configuration names an unknown variable.
    """
    if variable.open_params.band_as_variable:
        return {RASTER_NAME: metadata_by_band(variable, items, variable.identifier or RASTER_NAME)}
    known = bands_by_name(items[0])
    if len(known) > 1:
        names = chosen_names(variable, known)
        return {name: metadata_by_band(variable, items, name, known[name]) for name in names}
    [name] = known
    named = variable.parameter_name(name)
    chosen_names(variable, [named])
    return {name: metadata_by_band(variable, items, named)}


def with_times(
    array: xr.DataArray,
    name: str,
    known: Mapping[str, Sequence[int]],
    items: Sequence[pystac.Item],
) -> xr.DataArray:
    """Return an array with the times of its bands, if the header names its variable.

    Parameters
    ----------
    array
        Array with the dimension ``band`` if it has several bands.
    name
        Name of the variable. A variable that the header does not name keeps its dimension
        ``band``, which custom functions rely on.
    known
        Bands of each variable. If there are several variables, bands without times are numbered
        from 1 in each.
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
    """Return an array whose coordinate ``band`` holds the band names of the file, if it has any.

    They become ``flag_values`` and ``flag_meanings`` (CF 1.11, section 3.5), words joined by
    ``_``; ``long_name`` holds the original names.

    Parameters
    ----------
    bands
        Numbers, from 1, of the array's bands in the file.
    """
    stated = _labels(item)
    if "band" not in array.dims or len(stated) < max(bands, default=0):
        return array
    names = [stated[band - 1] for band in bands]
    if not any(names) or array.sizes["band"] != len(names):
        return array
    numbers = array["band"].values
    words = [text or f"band {number}" for text, number in zip(names, numbers, strict=True)]
    attrs = {
        "long_name": "band: " + ", ".join(words),
        "flag_values": numbers,
        "flag_meanings": " ".join("_".join(word.split()) for word in words),
    }
    return array.assign_coords(band=array["band"].assign_attrs(attrs))


def _labels(item: pystac.Item) -> list[str | None]:
    """Return the name of each band, from the file or else from its item."""
    stated = item.assets["data"].extra_fields.get("bands", ())
    return [entry.get("description") or _own_name(entry) for entry in stated]


def _own_name(entry: Mapping[str, object]) -> str | None:
    name = str(entry.get("name") or "")
    return None if re.fullmatch(r"b\d+", name) else name or None


def check_labels(variable: SourceVariable, items: Sequence[pystac.Item]) -> None:
    """Warn if the band names of the files differ from those of the first file.

    Files are combined by band number.

    Raises
    ------
    BuildError
        If a name belongs to different bands in two files, so that the order of bands differs.
    """
    first, *others = (_labels(item) for item in items)
    different = ""
    for item, labels in zip(items[1:], others, strict=True):
        pairs = [(a, b) for a, b in zip(first, labels, strict=False) if a and b and a != b]
        if not pairs or len(first) == 1:
            continue
        names = f"{items[0].id} has {_listed(first)}; {item.id} has {_listed(labels)}"
        if any(a in labels or b in first for a, b in pairs):
            raise BuildError(
                f"{variable.label}: its files have bands in different orders ({names}); take "
                "those of one order at a time, or write them in the same order"
            )
        different = different or names
    if different:
        progress.warn(
            f"{variable.label}: its files name bands differently ({different}); bands of the "
            "same number are combined"
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
                f"{variable.label}: its files differ in {what} of their bands; they cannot be "
                "one variable"
            )
    first, *others = arrays.values()
    for dim in ("time", "band"):
        mine = first.indexes.get(dim)
        for other in others:
            theirs = other.indexes.get(dim)
            if (mine is None) != (theirs is None) or (mine is not None and not mine.equals(theirs)):
                raise BuildError(
                    f"{variable.label}: its variables {', '.join(arrays)} differ in {dim}; take "
                    "one by open_params.variable_names"
                )
