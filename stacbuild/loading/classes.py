"""Classes of a variable: those of all its files, as CF flags, and warnings about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pystac

from stacbuild import nodata, progress

Json = Mapping[str, Any]


def stated_classes(item: pystac.Item, band: int | None) -> tuple[Json, ...]:
    """Return the classes of a band of a GeoTIFF, from 1; None are those of the whole file."""
    fields = item.assets["data"].extra_fields
    bands = fields.get("bands", ())
    own = bands[band - 1] if band is not None and band <= len(bands) else {}
    return tuple(own.get("classification:classes", fields.get("classification:classes", ())))


def classes_of_files(items: Sequence[pystac.Item], band: int | None) -> tuple[Json, ...]:
    """Return the classes of all files, in the order of the files.

    The first file that names a value counts. The number of an entry of a colour table
    (``class_3``) is no name; those of
    later files are left out if any file has names.
    """
    found: dict[Any, Json] = {}
    listed = [each for item in items for each in stated_classes(item, band)]
    named = any(_is_named(entry) for entry in listed)
    for entry in listed:
        known = found.get(entry["value"])
        if known is None:
            found[entry["value"]] = entry
        elif not _is_named(known) and _is_named(entry):
            colour = {"color_hint": known["color_hint"]} if "color_hint" in known else {}
            found[entry["value"]] = {**entry, **colour}
    first = {entry["value"] for entry in stated_classes(items[0], band)}
    return tuple(
        entry for value, entry in found.items() if _is_named(entry) or value in first or not named
    )


def flags_of(classes: Sequence[Json], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return classes as flag attributes (CF 1.11, section 3.5).

    Nodata values are left out, and values that the type cannot hold (`warn_about_range`).
    """
    real = [
        entry
        for entry in classes
        if not entry.get("nodata") and nodata.held(entry["value"], dtype) is not None
    ]
    if not real:
        return {}
    flags: dict[str, Any] = {
        "flag_values": np.array([entry["value"] for entry in real], dtype),
        "flag_meanings": " ".join(entry["name"].replace("-", "_") for entry in real),
    }
    if all("color_hint" in entry for entry in real):
        # Not in CF, but used by ESA CCI land cover and others.
        flags["flag_colors"] = " ".join(f"#{entry['color_hint'].lower()}" for entry in real)
    return flags


def warn_about_range(name: str, classes: Sequence[Json], dtype: np.dtype[Any]) -> None:
    """Warn if the type cannot hold the values of classes, as those of a profile or an item."""
    beyond = [
        entry
        for entry in classes
        if not entry.get("nodata") and nodata.held(entry["value"], dtype) is None
    ]
    if not beyond:
        return
    first = beyond[0]
    more = f" and {len(beyond) - 1} more" if beyond[1:] else ""
    progress.warn(
        f"{name}: the class {first['value']} ({first.get('title') or first['name']}){more} is left "
        f"out, since the data are {dtype}; check the classes in the profile or STAC item"
    )


def warn_about_classes(name: str, items: Sequence[pystac.Item], bands: Sequence[int]) -> None:
    """Warn if files name a value differently, which therefore means two things in one cube."""
    for band in bands:
        contradictions = list(_contradictions(items, band))
        if not contradictions:
            continue
        value, first, other = contradictions[0]
        more = f", and {len(contradictions) - 1} more values" if contradictions[1:] else ""
        progress.warn(
            f"{name}: its files differ in names of classes: {value} is {first[1]!r} in {first[0]} "
            f"and {other[1]!r} in {other[0]}{more}; the cube has the first name, so make cubes of "
            "files with the same classes if the values differ in meaning"
        )
        return


def _contradictions(
    items: Sequence[pystac.Item], band: int
) -> Iterator[tuple[Any, tuple[str, str], tuple[str, str]]]:
    """Yield each value with two names, once: the value, and file and name of two files."""
    known: dict[Any, tuple[str, str]] = {}
    told = set()
    for item in items:
        for entry in stated_classes(item, band):
            value, name = entry["value"], str(entry["name"])
            if not _is_named(entry) or value in told:
                continue
            first = known.setdefault(value, (item.id, name))
            if _plain(first[1]) != _plain(name):
                told.add(value)
                yield value, first, (item.id, name)


def _is_named(entry: Json) -> bool:
    return bool(entry["name"] != f"class_{entry['value']}")


def _plain(name: str) -> str:
    return re.sub("[-_]+", "_", name.casefold())
