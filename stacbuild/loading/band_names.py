"""Names of a GeoTIFF's bands: of variables, and of the coordinate ``band``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pystac
import xarray as xr

from stacbuild import progress
from stacbuild.safe_text import clean, word_of

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

# Names of coordinates, which no variable of a cube can have.
_TAKEN = ("x", "y", "lat", "lon", "time", "band", "spatial_ref")
_LONGEST = 64
_SHOWN = 5


def named_bands(item: pystac.Item) -> dict[int, str]:
    """Return the names of bands that their file states, by number from 1.

    These are the names in the item that are also descriptions: earlier harvests numbered all bands,
    and cubes of their items keep numbers.
    """
    entries = item.assets["data"].extra_fields.get("bands", ())
    return {
        number: entry["name"]
        for number, entry in enumerate(entries, 1)
        if entry.get("name") == clean(" ".join(str(entry.get("description", "")).split()))
    }


def band_variables(variable: SourceVariable, item: pystac.Item) -> dict[str, str]:
    """Return the names of variables that are single bands, by their number: ``band_1``.

    A band is called as in the file, in ASCII letters, digits and ``_``. It keeps its number if it
    has no name, or one that is too long, begins with a digit, or is that of a coordinate or of
    another band (ignoring case, as some file systems do); and all do if parameters of the variable
    use numbers.
    """
    if _uses_numbers(variable):
        return {}
    words = {number: word_of(name, 1000) for number, name in named_bands(item).items()}
    folded = [word.casefold() for word in words.values()]
    names = {}
    for number, word in words.items():
        usable = (
            re.fullmatch(rf"[A-Za-z]\w{{0,{_LONGEST - 1}}}", word)
            and not re.fullmatch(r"band_\d+", word, re.IGNORECASE)
            and word.casefold() not in _TAKEN
            and folded.count(word.casefold()) == 1
        )
        if usable:
            names[f"band_{number}"] = word
    return names


def warn_about_band_names(variable: SourceVariable, item: pystac.Item) -> None:
    """Warn if `band_variables` changes names of the file."""
    if _uses_numbers(variable):
        return
    called = band_variables(variable, item)
    changed = []
    for number, stated in named_bands(item).items():
        used = called.get(f"band_{number}", f"band_{number}")
        if used != stated:
            changed.append(f"{stated[:_LONGEST]!r} is {used}")
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        listed = ", ".join(changed[:_SHOWN])
        progress.warn(
            f"{variable.label}: names of bands that no variable can have are changed: "
            f"{listed}{more}"
        )


def _uses_numbers(variable: SourceVariable) -> bool:
    """Return whether parameters of a variable name bands by number."""
    return any(re.fullmatch(r"band_\d+", name) for name in variable.names_in_parameters())


def with_band_names(cube: xr.Dataset, items: Sequence[pystac.Item]) -> xr.Dataset:
    """Return a cube whose coordinate ``band`` holds the names of bands, if all have one.

    Parameters
    ----------
    cube
        Numbers along ``band`` have the attributes of
        `stacbuild.loading.raster_names.with_labels`.
    items
        All items of the cube. If rasters of several bands differ in names, numbers stay.
    """
    if "band" not in cube.indexes or "flag_values" not in cube["band"].attrs:
        return cube
    numbers = cube["band"].values
    if numbers.dtype.kind not in "iu" or not set(numbers) <= set(cube["band"].attrs["flag_values"]):
        return cube  # a custom function changed them
    several = [item for item in items if len(item.assets["data"].extra_fields.get("bands", ())) > 1]
    if not several:
        return cube
    first, *others = [named_bands(item) for item in several]
    names = [first.get(int(number), "") for number in numbers]
    if any(other != first for other in others) or not all(names):
        return cube
    return cube.assign_coords(band=("band", np.array(names), {"long_name": "name of the band"}))
