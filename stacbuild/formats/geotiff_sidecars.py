"""Warnings about sidecar files of a local GeoTIFF, which GDAL would read and we ignore.

They are missing over the network and easily lost, so only the file itself says where its pixels are
and which values they have. Names and colours of classes are read (`geotiff_classes`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyproj
import rasterio.io
from affine import Affine
from pyproj.exceptions import CRSError

_MOST_BYTES = 2**20
_HALF_A_PIXEL = 0.5
# Suffixes of world files and of their CRS.
_WORLD_FILES = (".tfw", ".tifw", ".tiffw", ".wld", ".prj")


def sidecar_notes(path: Path, dataset: rasterio.io.DatasetReader) -> list[str]:
    """Return warnings about files that GDAL would read along with a raster.

    Parameters
    ----------
    path
        Path of a local GeoTIFF.
    dataset
        The open GeoTIFF.

    Returns
    -------
    Lines that follow the raster's name in a message: for a mask, and for an ``.aux.xml`` with other
    metadata of values, grid or CRS than the header.
    """
    lines = []
    mask = Path(f"{path}.msk")
    if mask.exists():
        lines.append(
            f"has a sidecar mask ({mask.name}), which is not read, so masked pixels are used as "
            "data; write it into the file, for example with gdal_translate --config "
            "GDAL_TIFF_INTERNAL_MASK YES"
        )
    other = "; ".join(dict.fromkeys(_differences(_text(Path(f"{path}.aux.xml")), dataset)))
    if other:
        lines.append(
            f"has a sidecar file ({path.name}.aux.xml) with {other}, which is not read: the "
            "header is used; write it into the file, for example with gdal_translate"
        )
    return lines


def georeference_hint(href: str) -> str:
    """Return the end of a message about a raster without CRS or grid: sidecar files with these."""
    if "://" in href:
        return ""
    path = Path(href)
    beside = [path.with_suffix(end) for end in _WORLD_FILES]
    names = [each.name for each in beside if each.exists()]
    if re.search("<SRS|<GeoTransform", _text(Path(f"{path}.aux.xml"))):
        names.append(f"{path.name}.aux.xml")
    if not names:
        return ""
    return (
        f"; its sidecar files ({', '.join(names)}) are not read; write their content into it, for "
        "example with gdal_translate"
    )


def _text(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8", "replace")
    return ""


def _differences(text: str, dataset: rasterio.io.DatasetReader) -> Iterator[str]:
    """Yield the metadata in the text of an ``.aux.xml`` that differ from the header."""
    for band, part in re.findall(
        r'<PAMRasterBand band="(\d+)">(.*?)</PAMRasterBand>', text, flags=re.DOTALL
    ):
        index = int(band) - 1
        if index >= dataset.count:
            continue
        for tag, word, own in (
            ("NoDataValue", "no data", dataset.nodatavals[index]),
            ("Scale", "a scale of", dataset.scales[index]),
            ("Offset", "an offset of", dataset.offsets[index]),
        ):
            value = _number(_element(part, tag))
            if value is not None and not _same(value, own):
                yield f"{word} {value:.9g}"
        unit = _element(part, "UnitType")
        if unit and unit != (dataset.units[index] or ""):
            yield f"the unit {unit[:40]}"
    numbers = [_number(each) for each in (_element(text, "GeoTransform") or "").split(",")]
    known = [each for each in numbers if each is not None]
    if len(known) == 6 and _is_elsewhere(Affine.from_gdal(*known), dataset):
        yield "another place"
    wkt = _element(text, "SRS")
    if wkt and dataset.crs and not _is_crs(wkt, dataset):
        yield "another CRS"


def _element(text: str, tag: str) -> str | None:
    found = re.search(rf"<{tag}\b[^>]*>([^<]*)</{tag}>", text)
    if found is None:
        return None
    return found[1].strip().replace("&quot;", '"').replace("&amp;", "&")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _same(value: float, own: float | None) -> bool:
    if own is None:
        return False
    return (math.isnan(value) and math.isnan(own)) or math.isclose(value, own, rel_tol=1e-6)


def _is_elsewhere(transform: Affine, dataset: rasterio.io.DatasetReader) -> bool:
    if dataset.transform.determinant == 0:
        return False
    to_pixels = ~dataset.transform * transform
    corners = [(x, y) for x in (0, dataset.width) for y in (0, dataset.height)]
    return any(
        max(abs(a - b) for a, b in zip(to_pixels @ corner, corner, strict=True)) >= _HALF_A_PIXEL
        for corner in corners
    )


def _is_crs(wkt: str, dataset: rasterio.io.DatasetReader) -> bool:
    try:
        theirs = pyproj.CRS.from_user_input(wkt)
        ours = pyproj.CRS.from_wkt(dataset.crs.to_wkt(version="WKT2_2019"))
    except CRSError:
        return True  # an invalid CRS is ignored
    return theirs.equals(ours, ignore_axis_order=True) or theirs.to_epsg() == ours.to_epsg()
