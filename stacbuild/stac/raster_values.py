"""STAC fields of the values of a GeoTIFF: nodata, mask, unit, scale, classes, bands."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from typing import Any

import rasterio.io

from stacbuild.config.datasets import RASTER_NAME
from stacbuild.errors import IntegrityError
from stacbuild.formats.geotiff_classes import FileClasses
from stacbuild.formats.geotiff_header import alpha_bands, exact_nodata, mask_of, packing
from stacbuild.formats.geotiff_netcdf import NetcdfTags, netcdf_tags
from stacbuild.nodata import Number, to_json
from stacbuild.profiles import Class, DataProfile
from stacbuild.safe_text import clean
from stacbuild.stac.extensions import ALPHA, MASK, VARIABLE

Json = dict[str, Any]

_CLASSES = "classification:classes"
# A description such as "Band 1" is no name.
_LONGEST_TITLE = 300
_NUMBERED = re.compile(r"b(and)?[ _-]?\d+", re.IGNORECASE)
_NO_CLASSES = FileClasses()
_DATA_TYPES = {
    "complex_int16": "cint16",
    "complex64": "cfloat32",
    "complex128": "cfloat64",
}


def value_fields(dataset: rasterio.io.DatasetReader, profile: DataProfile) -> Json:
    """Return ``data_type``, ``nodata``, CF name, and unit, scale, offset that all bands share.

    Values that differ between bands are in ``bands`` (`band_fields`).
    """
    dtype = dataset.dtypes[0]
    fields: Json = {"data_type": _DATA_TYPES.get(dtype, dtype)}
    nodata = _nodata(dataset, profile)
    if nodata:
        fields["nodata"] = to_json(nodata[0])
    masked_by = mask_of(dataset)
    if masked_by and not (masked_by == "alpha" and _all_are_data(dataset, profile)):
        fields[MASK] = masked_by
    for field, values in _per_band(dataset, profile).items():
        if len(set(values.values())) == 1 and values[1] != _NEUTRAL[field]:
            fields[field] = values[1]
    if profile.standard_name:
        unit = fields.get("unit")
        fields["cf:parameter"] = [
            {"name": profile.standard_name} | ({"unit": unit} if unit else {})
        ]
    return fields


# Unit, scale and offset of a band that does not state them.
_NEUTRAL: dict[str, Any] = {"unit": None, "raster:scale": 1, "raster:offset": 0}


def _per_band(
    dataset: rasterio.io.DatasetReader, profile: DataProfile
) -> dict[str, dict[int, Any]]:
    """Return unit, scale and offset of every data band, by field and band."""
    alpha = () if _all_are_data(dataset, profile) else alpha_bands(dataset)
    bands = [band for band in dataset.indexes if band not in alpha]
    scales, offsets = packing(dataset)
    return {
        "unit": {band: profile.unit or dataset.units[band - 1] or None for band in bands},
        "raster:scale": {band: to_json(scales[band - 1]) for band in bands},
        "raster:offset": {band: to_json(offsets[band - 1]) for band in bands},
    }


def _all_are_data(dataset: rasterio.io.DatasetReader, profile: DataProfile) -> bool:
    """Return whether a profile or netCDF tags identify every band.

    If so, a band is data even if GDAL interprets it as alpha, as the fourth of four uint8 bands.
    """
    if profile.years is not None:
        return bool(profile.years.count == dataset.count)
    tags = netcdf_tags(dataset)
    return bool(tags.variables or tags.times)


def class_fields(
    dataset: rasterio.io.DatasetReader, profile: DataProfile, found: FileClasses = _NO_CLASSES
) -> Json:
    """Return ``classification:classes`` of the profile, else those that all bands of a file share.

    Those of the profile have the colours of the file's colour table if they state none. Nodata
    values after the first become classes with ``nodata: true``, since the STAC field ``nodata``
    holds a single value. Classes that differ between bands are in ``bands`` (`band_fields`).
    """
    classes = _json(profile.classes or ())
    if not classes and not _bands_differ(dataset, profile, found):
        classes = _of_file(dataset, profile, found, 1)
    known = {entry["value"]: entry for entry in classes}
    for value in _nodata(dataset, profile)[1:]:
        if isinstance(value, int):
            known.setdefault(value, {"value": value, "name": f"nodata_{value}"})["nodata"] = True
    table = _color_table(dataset) if known else {}
    for value, entry in known.items():
        red, green, blue, alpha = table.get(value, (0, 0, 0, 0))
        # A transparent class has no colour. GDAL makes nodata transparent by itself.
        if "color_hint" not in entry and value in table and (alpha or entry.get("nodata")):
            entry["color_hint"] = f"{red:02X}{green:02X}{blue:02X}"
    return {_CLASSES: list(known.values())} if known else {}


def _json(classes: Iterable[Class]) -> list[Json]:
    entries = [entry.model_dump(exclude_none=True) for entry in classes]
    for entry in entries:
        if not entry["nodata"]:
            del entry["nodata"]
    return entries


def _of_file(
    dataset: rasterio.io.DatasetReader, profile: DataProfile, found: FileClasses, band: int
) -> list[Json]:
    """Return the classes of a band of a file; those of its nodata values say so.

    Colours without names are classes only if nothing says that the values are a quantity.
    """
    classes = found.by_band.get(band, ())
    if all(entry.title is None for entry in classes) and _is_quantity(dataset, profile, band):
        return []
    nodata = _nodata(dataset, profile)
    entries = _json(classes)
    for entry in entries:
        if entry["value"] in nodata:
            entry["nodata"] = True
    return entries


def _is_quantity(dataset: rasterio.io.DatasetReader, profile: DataProfile, band: int) -> bool:
    scales, offsets = packing(dataset)
    packed = (scales[band - 1], offsets[band - 1]) != (1, 0)
    return packed or bool(profile.standard_name or profile.unit or dataset.units[band - 1])


def _bands_differ(
    dataset: rasterio.io.DatasetReader, profile: DataProfile, found: FileClasses
) -> bool:
    """Return whether data bands have different classes in their file."""
    alpha = () if _all_are_data(dataset, profile) else alpha_bands(dataset)
    data = [band for band in dataset.indexes if band not in alpha]
    return data[0] != 1 or len({found.by_band.get(band, ()) for band in data}) > 1


def band_fields(
    dataset: rasterio.io.DatasetReader,
    profile: DataProfile,
    href: str,
    found: FileClasses = _NO_CLASSES,
) -> Json:
    """Return ``bands`` if there are several, with years from the profile, or names.

    netCDF tags (`stacbuild.formats.geotiff_netcdf`) add times, unless the profile states some, and
    variables, also for a single band.
    """
    if profile.years and profile.years.count != dataset.count:
        raise IntegrityError(
            f"{href}: has {dataset.count} bands, but its profile states {profile.years.count} years"
        )
    tags = netcdf_tags(dataset)
    times = _times_of_bands(tags, profile, dataset.count)
    fields: Json = {VARIABLE: tags.variables[0]} if len(set(tags.variables)) == 1 else {}
    if dataset.count == 1 and not times:
        return fields
    names = _names(tags, times, dataset.descriptions)
    bands: list[Json] = []
    for index, described in enumerate(dataset.descriptions):
        if profile.years:
            start, end = year_of(profile.years.first + index)
            band: Json = {
                "name": str(profile.years.first + index),
                "start_datetime": _stamp(start),
                "end_datetime": _stamp(end),
            }
        else:
            band = {"name": names[index]}
            if times:
                band |= {"start_datetime": times[index], "end_datetime": times[index]}
        if len(set(tags.variables)) > 1:
            band[VARIABLE] = tags.variables[index]
        if described:
            band["description"] = described
        bands.append(band)
    for field, values in _per_band(dataset, profile).items():
        if len(set(values.values())) > 1:
            for number, value in values.items():
                if value != _NEUTRAL[field]:
                    bands[number - 1][field] = value
    if not profile.classes and _bands_differ(dataset, profile, found):
        for number in dataset.indexes:
            if classes := _of_file(dataset, profile, found, number):
                bands[number - 1][_CLASSES] = classes
    if not _all_are_data(dataset, profile):
        for number in alpha_bands(dataset):
            bands[number - 1][ALPHA] = True
    return {"bands": bands, **fields}


def only_description(dataset: rasterio.io.DatasetReader) -> str | None:
    """Return the description of the only band, in one line; None if it has none that says more.

    Of several bands, each has its own in ``bands`` (`band_fields`).
    """
    if dataset.count > 1:
        return None
    text = clean(" ".join((dataset.descriptions[0] or "").split()))
    if _NUMBERED.fullmatch(text) or text == RASTER_NAME or len(text) > _LONGEST_TITLE:
        return None
    return text or None


def _times_of_bands(tags: NetcdfTags, profile: DataProfile, count: int) -> list[str]:
    """Return the times of bands from tags; empty if a profile states them."""
    if profile.years or (count == 1 and profile.start_datetime):
        return []
    return [_stamp(time) for time in tags.times]


def _names(tags: NetcdfTags, times: Sequence[str], descriptions: Sequence[str | None]) -> list[str]:
    """Return unique band names from variable, time and other dimensions, else descriptions.

    A band with no description, or with that of another band or only a number, is ``b1``, ``b2``, ….
    """
    count = len(descriptions)
    several = tags.variables if len(set(tags.variables)) > 1 else ()
    parts = [part for part in (several, times, tags.labels) if part]
    names = [" ".join(each) for each in zip(*parts, strict=True)] if parts else []
    if len(set(names)) == count:
        return names
    stated = [clean(" ".join((text or "").split())) for text in descriptions]
    return [
        text if text and stated.count(text) == 1 and not _NUMBERED.fullmatch(text) else f"b{band}"
        for band, text in enumerate(stated, 1)
    ]


def _nodata(dataset: rasterio.io.DatasetReader, profile: DataProfile) -> list[Number]:
    """Return the nodata values of the profile if it states any, else of the file.

    Empty if the file has its own mask, which takes precedence as in GDAL.
    """
    if profile.nodata is not None:
        return [_whole(value) for value in profile.nodata]
    if mask_of(dataset) in ("mask", "values"):
        return []
    value = exact_nodata(dataset)
    if value is None:
        return []
    # GDAL truncates 1.9 to 1 in a file of integers.
    of_integers = dataset.dtypes[0].startswith(("int", "uint"))
    return [int(value) if of_integers else _whole(value)]


def _color_table(dataset: rasterio.io.DatasetReader) -> dict[int, tuple[int, int, int, int]]:
    try:
        return dict(dataset.colormap(1))
    except ValueError:
        return {}


def _whole(value: Number) -> Number:
    return value if isinstance(value, int) or not value.is_integer() else int(value)


def year_of(year: int) -> tuple[dt.datetime, dt.datetime]:
    """Return the first and the last second of a year, UTC."""
    start = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    return start, dt.datetime(year, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def _stamp(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if time.microsecond else "%Y-%m-%dT%H:%M:%SZ")
