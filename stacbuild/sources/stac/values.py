"""Metadata of values in a foreign item: nodata, unit, scale, offset and classes of each band.

They are in ``raster:bands`` (STAC 1.0), in ``bands`` or on the asset (STAC 1.1), in the item's
properties, or in the collection's ``item_assets``. A Zarr asset has one of these for each variable,
by name, or ``cube:variables``. All are converted to the fields of our items.

The file takes precedence: where it states another value, *notes* name both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import rasterio.io
from pydantic import ValidationError

from stacbuild import nodata
from stacbuild.formats.geotiff_header import exact_nodata
from stacbuild.profiles import Class, DataProfile
from stacbuild.safe_text import clean
from stacbuild.sources.stac import scaling
from stacbuild.sources.stac.asset import Data, text
from stacbuild.sources.stac.found import Found
from stacbuild.stac.extensions import MASK, SCALING

if TYPE_CHECKING:
    import xarray as xr

Json = dict[str, Any]

_FIELDS = ("nodata", "unit", "raster:scale", "raster:offset")
_WORDS = {"nodata": "no data", "unit": "unit", "raster:scale": "scale", "raster:offset": "offset"}
_NEUTRAL = {"raster:scale": 1, "raster:offset": 0}
_NO_PROFILE = DataProfile()


def complete_raster(
    item: pystac.Item,
    raster: rasterio.io.DatasetReader,
    found: Found,
    data: Data,
    profile: DataProfile,
) -> list[str]:
    """Add to the item of a GeoTIFF, in place, the metadata that only the foreign item has.

    Returns
    -------
    A line, without the item's name, for each value of the foreign item that is not used.
    """
    notes: list[str] = []
    fields = item.assets["data"].extra_fields
    _describe_bands(fields.get("bands", ()), data)
    dtype = np.dtype(raster.dtypes[0].replace("complex_int16", "complex64"))
    stated = _checked(entries_of(found, data, notes), dtype, notes)
    stated, reason, note = scaling.apply(found, data, stated, dtype=dtype, own=fields)
    notes += [note] if note else []
    if len(stated) not in (1, raster.count):
        if any(entry != stated[0] for entry in stated):
            notes.append(
                f"its item describes {len(stated)} bands, but the file has {raster.count}; not used"
            )
            return notes
        stated = stated[:1]
    if len(stated) == 1:
        stated = stated * raster.count
    bands: list[Json] = fields.get("bands") or [{} for _ in stated]
    own = [{key: (fields | band)[key] for key in _FIELDS if key in fields | band} for band in bands]
    if reason:
        fields[SCALING] = reason
    in_file = exact_nodata(raster)
    if fields.get(MASK) in ("mask", "values"):
        unused = [each.pop("nodata") for each in stated if "nodata" in each]
        notes += [
            f"its item states no data {value}, but the file has a mask, which is used"
            for value in unused
            if in_file is None
        ]
    if in_file is not None:
        for each in own:
            each.setdefault("nodata", nodata.to_json(in_file))
    by_profile = {"unit"} if profile.unit else set()
    by_profile |= {"nodata"} if profile.nodata is not None else set()
    for index, (mine, theirs) in enumerate(zip(own, stated, strict=True)):
        theirs = {key: value for key, value in theirs.items() if key not in by_profile}
        where = f"band {index + 1}: " if len(own) > 1 and len({*map(repr, stated)}) > 1 else ""
        _merge(mine, theirs, dtype, where, notes)
    for key in _FIELDS:
        if key == "nodata" and (in_file is not None or key in by_profile):
            continue  # already described from the header
        values = [each.get(key, _NEUTRAL.get(key)) for each in own]
        fields.pop(key, None)
        if len({repr(value) for value in values}) == 1:
            if values[0] != _NEUTRAL.get(key):
                fields[key] = values[0]
            values = [None] * len(values)
        for band, value in zip(bands, values, strict=True):
            band.pop(key, None)
            if value is not None and value != _NEUTRAL.get(key):
                band[key] = value
    return list(dict.fromkeys(notes))


def _describe_bands(bands: Sequence[Json], data: Data) -> None:
    """Add, in place, the asset's descriptions or names of bands that the file does not describe.

    STAC 1.1 has ``bands``, earlier versions ``eo:bands``; the most readable text comes first.
    """
    for key in ("bands", "eo:bands", "raster:bands"):
        stated = data.content.get(key)
        if not isinstance(stated, list) or len(stated) != len(bands):
            continue
        for band, theirs in zip(bands, stated, strict=True):
            named = theirs if isinstance(theirs, dict) else {}
            values = (named.get(each) for each in ("description", "name", "eo:common_name"))
            if found := next(filter(None, (text(value, 200) for value in values)), None):
                band.setdefault("description", found)


def complete_zarr(
    item: pystac.Item, ds: xr.Dataset, found: Found, data: Data, profile: DataProfile
) -> list[str]:
    """Add to the item of a Zarr store, in place, the metadata that only the foreign item has.

    Returns
    -------
    As `complete_raster`.
    """
    notes: list[str] = []
    variables = {
        name: field
        for name, field in item.properties["cube:variables"].items()
        if field["type"] == "data"
    }
    for name, theirs in _by_name(found, data, list(variables), notes).items():
        field, attrs = variables[name], ds[name].attrs | ds[name].encoding
        if field["data_type"] == "other":
            continue
        dtype = np.dtype(field["data_type"])
        by_profile = (profile.variables or {}).get(name, _NO_PROFILE)
        own = {key: field[key] for key in ("nodata", "unit") if key in field}
        for key, cf in (("raster:scale", "scale_factor"), ("raster:offset", "add_offset")):
            if cf in attrs:
                own[key] = float(attrs[cf])
        if "nodata" in own and not _is_chosen(ds, attrs) and by_profile.nodata is None:
            del own["nodata"]
        elif "nodata" not in own and _is_chosen(ds, attrs):
            own["nodata"] = "nan"
        checked = _checked([theirs], dtype, notes, f"{name}: ")
        if len(variables) == 1:
            checked, reason, note = scaling.apply(found, data, checked, dtype=dtype, own=own)
            notes += [note] if note else []
            if reason:
                item.assets["data"].extra_fields[SCALING] = reason
        [valid] = checked
        if by_profile.unit:
            valid.pop("unit", None)
        if by_profile.nodata is not None or profile.nodata is not None:
            valid.pop("nodata", None)
        before = dict(own)
        _merge(own, valid, dtype, f"{name}: ", notes)
        field |= {
            key: value
            for key, value in own.items()
            if before.get(key) != value and value != _NEUTRAL.get(key)
        }
    for name, field in variables.items():
        if "classification:classes" in field or "flag_values" in ds[name].attrs:
            continue
        if classes := _classes(found, data, name, only=len(variables) == 1):
            field["classification:classes"] = classes
    return list(dict.fromkeys(notes))


def _is_chosen(ds: xr.Dataset, attrs: Mapping[Any, Any]) -> bool:
    """Return whether a nodata value was chosen: 0 is the default of Zarr format 2."""
    # Imported late: rasters need no xarray.
    from stacbuild.stac.datacube import stated_by_rasters

    values = [source.get(key) for source in (attrs, ds.attrs) for key in _CF_NODATA]
    chosen = any(value is not None and np.any(np.asarray(value) != 0) for value in values)
    return chosen or bool(stated_by_rasters(attrs))


_CF_NODATA = ("_FillValue", "missing_value")


def entries_of(found: Found, data: Data, notes: list[str]) -> list[Json]:
    """Return the values of each band; a single dict if all are equal. The asset counts most."""
    entries: list[Json] = [{}]
    for level in _levels(found, data):
        flat = _plain(level)
        entries = [entry | flat for entry in entries]
        _note_twice(level, notes)
        for key in ("raster:bands", "bands"):
            bands = level.get(key)
            if not isinstance(bands, list) or not bands or len(bands) > 10_000:
                continue
            own = [_plain(band, bare=True) if isinstance(band, dict) else {} for band in bands]
            if not any(own):
                continue
            if len(entries) != len(own):
                entries = [entries[0]] * len(own) if len(entries) == 1 else [{}] * len(own)
            entries = [entry | band for entry, band in zip(entries, own, strict=True)]
    return entries


def stated_values(found: Found, data: Data) -> list[Json]:
    """Return the values of each band with ``data_type``; none if it states no type, or several."""
    types: list[Any] = []
    for level in _levels(found, data):
        for each in (level.get("raster:bands"), level.get("bands"), [level]):
            bands = each if isinstance(each, list) else []
            own = [band.get("data_type") for band in bands if isinstance(band, dict)]
            types = own if any(own) else types
    entries = entries_of(found, data, []) if len({*map(str, types)}) == 1 else []
    return [entry | {"data_type": str(types[0])} for entry in entries]


def _note_twice(level: Json, notes: list[str]) -> None:
    """Note where an asset itself, ``raster:bands`` and ``bands`` state different values."""
    old, new = (level.get(key) for key in ("raster:bands", "bands"))
    places = [("raster:bands", [old, new], "bands"), ("the asset", [[level], old], "raster:bands")]
    for name, (first, second), used in places:
        if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
            continue
        for each in zip(first, second, strict=True):
            one, other = (
                _plain(e, bare=e is not level) if isinstance(e, dict) else {} for e in each
            )
            notes += [
                f"its item states {_WORDS[key]} {_shown(one[key])} in {name}, but "
                f"{_shown(other[key])} in {used}, which is used"
                for key in one
                if key in other and _spelled(one[key]) != _spelled(other[key])
            ]


def _spelled(value: Any) -> str:
    number = _number(value)
    return str(value).strip().casefold() if number is None else repr(float(number))


def _levels(found: Found, data: Data) -> list[Json]:
    templates = found.collection.get("item_assets")
    template = templates.get(data.key) if isinstance(templates, dict) else None
    levels = (template, found.content["properties"], data.content)
    return [level for level in levels if isinstance(level, dict)]


def _plain(fields: Json, *, bare: bool = False) -> Json:
    """Return the fields of values in the notation of STAC 1.1; *bare* ones need no prefix."""
    found: Json = {}
    for key in _FIELDS:
        name = key.removeprefix("raster:")
        spellings = (key, f"raster:{name}", name) if bare or name == key else (key,)
        value = next((fields[each] for each in spellings if fields.get(each) is not None), None)
        if value is not None:
            found[key] = value
    if not bare:
        # Properties of an item may have other meanings and types.
        found = {key: value for key, value in found.items() if isinstance(value, int | float | str)}
    return found


def _by_name(found: Found, data: Data, names: Sequence[str], notes: list[str]) -> dict[str, Json]:
    """Return the values of each variable of a Zarr store."""
    stated: dict[str, Json] = {name: {} for name in names}
    unknown: dict[str, None] = {}
    for level in (found.collection, *_levels(found, data)):
        flat = _plain(level) if level is data.content else {}
        if flat and len(names) == 1:
            stated[names[0]] |= flat
        for key in ("cube:variables", "raster:bands", "bands"):
            content = level.get(key)
            if isinstance(content, list):
                default = names[0] if len(names) == len(content) == 1 else ""
                dicts = (each for each in content if isinstance(each, dict))
                content = {str(each.get("name") or default): each for each in dicts}
            if not isinstance(content, dict):
                continue
            for name, fields in content.items():
                values = _plain(fields, bare=True) if isinstance(fields, dict) else {}
                if name in stated:
                    stated[name] |= values
                elif values and key != "cube:variables" and level is data.content:
                    unknown[name] = None
    if unknown:
        listed = ", ".join(text(name, 60) or "one without a name" for name in unknown)
        notes.append(f"its item describes {listed[:200]}, not in the store; not used")
    return stated


def _checked(
    entries: Sequence[Json], dtype: np.dtype[Any], notes: list[str], where: str = ""
) -> list[Json]:
    """Return the entries with their valid values; *notes* name the others."""
    checked = []
    for entry in entries:
        valid: Json = {}
        for key, value in entry.items():
            good = text(value, 100) if key == "unit" else _number(value)
            if key == "nodata" and isinstance(good, int | float):
                if nodata.held(good, dtype) is None and not math.isnan(good):
                    notes.append(
                        f"{where}its item states no data {_shown(value)}, not a value of {dtype}"
                    )
                    continue
                if math.isnan(good) and dtype.kind != "f":
                    continue  # integers have no NaN
            elif key != "unit" and isinstance(good, int | float):
                zero = key == "raster:scale" and good == 0
                good = None if zero or not math.isfinite(good) else good
            if good is None:
                notes.append(f"{where}its item states {_WORDS[key]} {_shown(value)}: not valid")
            else:
                valid[key] = good if key == "unit" else nodata.to_json(good)  # type: ignore[arg-type]
        checked.append(valid)
    return checked


def _number(value: Any) -> nodata.Number | None:
    try:
        number = nodata.from_json(value)
        float(number)
    except (ValueError, OverflowError):
        return None
    return number


def _merge(own: Json, stated: Json, dtype: np.dtype[Any], where: str, notes: list[str]) -> None:
    """Add to *own* the values that only *stated* has; *notes* name those that differ."""
    # Scale and offset belong together: if one is stated, the other is neutral by default.
    packed = any(own.get(key, neutral) != neutral for key, neutral in _NEUTRAL.items())
    for key, value in stated.items():
        known = own.get(key)
        if key in _NEUTRAL:
            known = own.get(key, _NEUTRAL[key]) if packed else None
        if known is None:
            own[key] = value
        elif not _same(key, known, value, dtype):
            notes.append(
                f"{where}its item states {_WORDS[key]} {value}, but the file {known}, which is used"
            )


def _same(key: str, one: Any, other: Any, dtype: np.dtype[Any]) -> bool:
    if key == "unit":
        return str(one).strip().casefold() == str(other).strip().casefold()
    first, second = nodata.from_json(one), nodata.from_json(other)
    if key == "nodata":
        held = nodata.held(first, dtype) if not math.isnan(first) or dtype.kind == "f" else None
        if held is None:
            return False
        block = np.array([nodata.held(second, dtype)], dtype)
        return bool(nodata.matches(block, held, tolerant=True)[0])
    return math.isclose(first, second, rel_tol=1e-9)


def _shown(value: Any) -> str:
    return clean(str(value))[:40]


def _classes(found: Found, data: Data, name: str, *, only: bool) -> list[Json]:
    """Return the classes of a Zarr variable in asset, item or collection."""
    content, summaries = found.content, found.collection.get("summaries")
    keys = [f"{name}_legend", f"{name}_classes", f"{name}_classification"]
    if only:
        keys += ["classification:classes", "classes", "legend"]
    for fields in (data.content, content["properties"], content.get("summaries"), summaries):
        for key in keys:
            value = fields.get(key) if isinstance(fields, dict) else None
            if isinstance(value, list) and 0 < len(value) <= 1000:
                classes = [_class(each) for each in value]
                if all(classes):
                    return [each for each in classes if each]
    return []


def _class(content: Any) -> Json | None:
    """Return a class of STAC from a mapping with a value and a name in any of several keys."""
    if not isinstance(content, dict):
        return None
    names = (content.get(key) for key in ("name", "label", "class", "title", "description"))
    label = next(filter(None, (text(each, 100) for each in names)), None)
    if label is None:
        return None
    name = re.sub(r"[^0-9A-Za-z_-]+", "_", label).strip("_")
    entry = {
        "value": content.get("value"),
        "name": name,
        "title": text(content.get("title"), 300) or (label if label != name else None),
        "description": text(content.get("description"), 1000),
        "color_hint": str(content.get("color_hint") or "").lstrip("#") or None,
        "nodata": content.get("nodata") is True,
    }
    try:
        made = Class.model_validate(entry)
    except ValidationError:
        return None
    return made.model_dump(exclude_none=True, exclude_defaults=True)
