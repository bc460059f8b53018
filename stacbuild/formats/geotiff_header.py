"""Metadata of a GeoTIFF's header that rasterio returns inexactly or not at all."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress

import numpy as np
import rasterio
import rasterio.io
import rasterio.shutil
from rasterio.enums import ColorInterp, MaskFlags

from stacbuild.errors import IntegrityError
from stacbuild.formats.gdal_env import GDAL_OPTIONS
from stacbuild.formats.geotiff import bytes_of
from stacbuild.formats.geotiff_netcdf import netcdf_tags
from stacbuild.formats.tiff import Layout
from stacbuild.nodata import Number, held, matches, to_json
from stacbuild.profiles import DataProfile

_EXACT_TYPES = ("int64", "uint64")
_GDAL_NODATA, _MOST_TEXT = 42113, 256


def exact_nodata(dataset: rasterio.io.DatasetReader) -> Number | None:
    """Return the nodata value that GDAL applies to all bands; None if there is none.

    Returns
    -------
    An exact int for 64-bit integers, for which rasterio (1.4.4) returns the nearest double, or None
    beyond their range; else as rasterio. rasterio writes such integers as ``-9.22e+18``, which GDAL
    parses as -9; here they are parsed as the whole number.
    """
    value: Number | None = dataset.nodata
    if dataset.dtypes[0] not in _EXACT_TYPES or isinstance(value, int):
        return value
    if not any(MaskFlags.nodata in flags for flags in dataset.mask_flag_enums):
        return None
    if (written := _nodata_text(dataset)) is not None and "e" in written.lower():
        with suppress(ValueError, OverflowError):
            return _nearest(float(written), dataset.dtypes[0])
    # GDAL's VRT of the dataset has all digits; no pixel is read.
    with rasterio.Env(**GDAL_OPTIONS), rasterio.io.MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        memory.seek(0)
        text = memory.read().decode()
    found = re.search(r"<NoDataValue>\s*([-+0-9.eE]+)\s*</NoDataValue>", text)
    if found is None:
        return value
    try:
        return int(found[1])
    except ValueError:
        return int(np.trunc(float(found[1])))


def _nearest(value: float, dtype: str) -> int:
    # The double nearest to the largest integer is greater than it.
    limits = np.iinfo(dtype)
    return int(limits.max) if value == float(limits.max) else int(value)


def _nodata_text(dataset: rasterio.io.DatasetReader) -> str | None:
    """Return the text of the tag GDAL_NODATA of a TIFF or BigTIFF."""
    offset = dataset.get_tag_item("IFD_OFFSET", "TIFF", bidx=1)
    if offset is None or bytes_of(dataset, 0, 4) is None:
        return None

    def read(start: int, stop: int) -> bytes:
        return bytes_of(dataset, start, stop) or b""

    layout = Layout.of(read)
    entry = layout.directory(read, int(offset)).entries.get(_GDAL_NODATA)
    return None if entry is None or entry[1] > _MOST_TEXT else layout.text(read, entry)


def alpha_bands(dataset: rasterio.io.DatasetReader) -> tuple[int, ...]:
    """Return the numbers, from 1, of alpha bands, which are not data."""
    found = tuple(
        band
        for band, meaning in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if meaning == ColorInterp.alpha
    )
    return found if len(found) < dataset.count else ()


def mask_of(dataset: rasterio.io.DatasetReader) -> str | None:
    """Return the kind of mask other than a nodata value; no pixel is read.

    Returns
    -------
    ``mask`` (an internal mask), ``alpha`` (an alpha band), ``values`` (a nodata value per band, all
    of which have to match), or None. As in GDAL, an internal mask takes precedence over nodata, and
    nodata over alpha (https://gdal.org/development/rfc/rfc15_nodatabitmask.html).
    """
    flags = set(dataset.mask_flag_enums[0])
    if MaskFlags.alpha in flags:
        return "alpha"
    if {MaskFlags.nodata, MaskFlags.per_dataset} <= flags:
        return "values"
    if flags & {MaskFlags.all_valid, MaskFlags.nodata}:
        return None
    return "mask"


def signature(dataset: rasterio.io.DatasetReader) -> str:
    """Return what a header states about values, as JSON: equal texts are read in the same way.

    It has the number of bands, their data types, the nodata value, the kind of mask, scales,
    offsets and units that are not neutral, and times that GDAL wrote of a NetCDF file.
    """
    scales, offsets = packing(dataset)
    nodata = exact_nodata(dataset)
    content = {
        "bands": dataset.count,
        "data_type": sorted(set(dataset.dtypes)),
        "nodata": None if nodata is None else to_json(nodata),
        "mask": mask_of(dataset),
        "scales": [] if set(scales) == {1} else [to_json(each) for each in scales],
        "offsets": [] if set(offsets) == {0} else [to_json(each) for each in offsets],
        "units": [] if not any(dataset.units) else list(dataset.units),
        "times": [each.isoformat() for each in netcdf_tags(dataset).times],
    }
    return json.dumps({key: value for key, value in content.items() if value not in (None, [])})


def check_placed(dataset: rasterio.io.DatasetReader, href: str) -> None:
    """Refuse a file whose pixels are not on a grid.

    Raises
    ------
    IntegrityError
        It has ground control points or rational polynomial coefficients and needs warping, or its
        pixels have no size.
    """
    if dataset.crs and dataset.transform.determinant == 0:
        raise IntegrityError(f"{href}: its pixels have no size, by its transform; write it again")
    if dataset.crs and not dataset.transform.is_identity:
        return
    if dataset.gcps[0]:
        raise IntegrityError(
            f"{href}: is placed by ground control points, not on a grid: warp it first, for "
            "example with gdalwarp"
        )
    if dataset.rpcs is not None:
        raise IntegrityError(
            f"{href}: is placed by rational polynomial coefficients (RPCs), not on a grid: "
            "orthorectify it first, for example with gdalwarp -rpc"
        )


def packing(dataset: rasterio.io.DatasetReader) -> tuple[list[float], list[float]]:
    """Return scale and offset of each band; 1 and 0 where they are 0 or not finite."""
    scales = [scale if math.isfinite(scale) and scale else 1.0 for scale in dataset.scales]
    offsets = [offset if math.isfinite(offset) else 0.0 for offset in dataset.offsets]
    return scales, offsets


def _unlike_profile(dataset: rasterio.io.DatasetReader, profile: DataProfile) -> list[str]:
    """Return a line for each nodata value or unit of a file that its profile overrides."""
    lines = []
    stated = exact_nodata(dataset) if mask_of(dataset) is None else None
    if stated is not None and profile.nodata is not None:
        dtype = np.dtype(dataset.dtypes[0].replace("complex_int16", "complex64"))
        own = held(stated, dtype) if dtype.kind in "iuf" else None
        known = [held(value, dtype) for value in profile.nodata] if own is not None else []
        block = np.array([value for value in known if value is not None], dtype)
        if own is not None and not matches(block, own, tolerant=True).any():
            values = ", ".join(str(to_json(value)) for value in profile.nodata)
            lines.append(
                f"its nodata value is {to_json(stated)}, in its profile {values}, which is used"
            )
    units = dict.fromkeys(unit for unit in dataset.units if unit)
    if profile.unit and any(unit.strip().casefold() != profile.unit.casefold() for unit in units):
        lines.append(
            f"its unit is {', '.join(units)}, in its profile {profile.unit}, which is used"
        )
    return lines


def left_out(dataset: rasterio.io.DatasetReader, profile: DataProfile) -> list[str]:
    """Return what is ignored in a file: further pages, nodata beside a mask, alpha.

    Also values that its profile overrides. Overviews and masks are not pages.

    Returns
    -------
    Lines that follow the file's name in a message.
    """
    lines = []
    pages = len(dataset.subdatasets)
    if pages > 1:
        lines.append(
            f"has {pages} pages (subdatasets); the first is read, the others are not: "
            "split the file to use them, for example with gdal_translate GTIFF_DIR:2:FILE"
        )
    if mask_of(dataset) == "mask" and (value := exact_nodata(dataset)) is not None:
        lines.append(
            f"has a mask and a nodata value ({value}); the mask is used, as in GDAL, and "
            "pixels of that value that it shows are data"
        )
    for word, stated, used in zip(
        ("a scale", "an offset"), (dataset.scales, dataset.offsets), packing(dataset), strict=True
    ):
        unusable = {str(one): 0 for one, other in zip(stated, used, strict=True) if one != other}
        lines += [f"has {word} of {one}, which is none; not used" for one in unusable]
    lines += _unlike_profile(dataset, profile)
    tags = netcdf_tags(dataset)
    if profile.years is None:
        lines += tags.problems
    elif tags.times:
        years = [time.year for time in tags.times]
        stated = [profile.years.first + index for index in range(len(years))]
        if years != stated:
            lines.append(
                f"is of {min(years)} to {max(years)} by its netCDF tags, but of {stated[0]} to "
                f"{stated[-1]} by its profile, which is used"
            )
    named = profile.years or tags.variables or tags.times
    if not named and (alpha := alpha_bands(dataset)):
        lines.append(
            f"band {', '.join(map(str, alpha))} is opacity (alpha) by its header and no "
            "data; if it is data, set its color interpretation, for example with gdal_translate "
            f"-colorinterp_{alpha[0]} undefined"
        )
    return lines
