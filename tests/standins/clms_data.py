"""Packs CLMS tiles as the portal delivers them: zip in zip, GeoTIFFs with their companions."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from rasterio import Affine
from rasterio.io import MemoryFile

from tests.standins.truth import Array, Layer

TILE = 5000  # pixels of 20 m: 100 km
_CLASSES = {
    "tree_cover_density": {
        0: "all non-tree covered areas",
        **{percent: f"{percent}% tree cover density" for percent in range(1, 101)},
    },
    "dominant_leaf_type": {0: "non-tree areas", 1: "broadleaved trees", 2: "coniferous trees"},
    "forest_type": {0: "non-forest", 1: "broadleaved forest", 2: "coniferous forest"},
}
_SPECIAL = {254: "unclassifiable", 255: "outside area"}
_TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256}
_STORAGE = {"tree_cover_density": _TILED, "dominant_leaf_type": {}, "forest_type": _TILED}


# Of forest types and leaf types: those of real deliveries.
_COLOURS = {1: (70, 158, 74), 2: (28, 92, 36)}


def _colour(variable: str, code: int) -> tuple[int, int, int]:
    if code in _SPECIAL:
        return (153, 153, 153) if code == 254 else (0, 0, 0)
    if variable != "tree_cover_density":
        return _COLOURS.get(code, (240, 240, 240))
    return (240 - 2 * code, 240 - code, 240 - 2 * code) if code else (240, 240, 240)


def _geotiff(of: Layer, values: Array, left: float, top: float) -> bytes:
    """One tile, LZW, with a colour table; tagged with the nodata of the layer, or not at all."""
    colours = {
        code: (*_colour(of.variable, code), 255) for code in {**_CLASSES[of.variable], **_SPECIAL}
    }
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=TILE,
            height=TILE,
            count=1,
            dtype="uint8",
            crs="EPSG:3035",
            transform=Affine(of.grid.res, 0, left, 0, -of.grid.res, top),
            nodata=of.nodata,
            compress="lzw",
            **_STORAGE[of.variable],
        ) as file:
            file.write(values, 1)
            file.write_colormap(1, colours)
        return bytes(memory.getbuffer())


def _attribute_table(of: Layer, values: Array) -> bytes:
    """dBASE III table of codes, counts and names: what ArcGIS writes as ``.vat.dbf``."""
    # Row by row: bincount() makes 64-bit copies.
    counts = np.sum([np.bincount(row, minlength=256) for row in values], axis=0)
    names = {**_CLASSES[of.variable], **_SPECIAL}
    fields = (("Value", "N", 10), ("Count", "N", 19), ("Class_Name", "C", 64))
    records = [
        f" {code:>10}{counts[code]:>19}{names[code]:<64}".encode("ascii")
        for code in names
        if counts[code]
    ]
    header_size = 32 + 32 * len(fields) + 1
    record_size = 1 + sum(size for _, _, size in fields)
    header = struct.pack("<4BIHH20x", 3, 118, 10, 5, len(records), header_size, record_size)
    columns = b"".join(
        struct.pack("<11sc4xBB14x", name.encode(), kind.encode(), size, 0)
        for name, kind, size in fields
    )
    return header + columns + b"\r" + b"".join(records) + b"\x1a"


def _companions(of: Layer, stem: str, values: Array, left: float, top: float) -> dict[str, bytes]:
    half, names = of.grid.res / 2, {**_CLASSES[of.variable], **_SPECIAL}
    world = (of.grid.res, 0.0, 0.0, -of.grid.res, left + half, top - half)
    colours = "".join(
        f"{code} {' '.join(map(str, _colour(of.variable, code)))}\n" for code in names
    )
    metadata = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<gmd:MD_Metadata xmlns:gmd="http://www.isotc211.org/2005/gmd"'
        ' xmlns:gco="http://www.isotc211.org/2005/gco"><gmd:fileIdentifier>'
        f"<gco:CharacterString>{stem}</gco:CharacterString>"
        "</gmd:fileIdentifier></gmd:MD_Metadata>\n"
    )
    return {
        f"{stem}.tfw": "".join(f"{number:.10f}\r\n" for number in world).encode(),
        f"{stem}.clr": colours.encode(),
        f"{stem}.xml": metadata.encode(),
        f"{stem}.tif.vat.dbf": _attribute_table(of, values),
    }


def tile_names(of: Layer, rows: slice, cols: slice) -> dict[tuple[int, int], str]:
    """Tiles (row, column within the package) that a window touches, and two empty neighbours.

    The name of a tile is that of its lower left corner in units of 100 km.
    """
    touched = [
        (row, col)
        for row in range(rows.start // TILE, -(-rows.stop // TILE))
        for col in range(cols.start // TILE, -(-cols.stop // TILE))
    ]
    row, col = touched[0]
    neighbours = [(row, col - 1), (row - 1, col)]
    # "TCD_2015_020m_eu_03035_d05_E30N20" → "TCD_2015_020m", "03035_d05"
    product, _, rest = of.file_name.rpartition("_")[0].partition("_eu_")
    return {
        (row, col): f"{product}_E{30 + col:02d}N{29 - row:02d}_{rest}"
        for row, col in sorted({*touched, *neighbours})
        if 0 <= row < 10 and 0 <= col < 10
    }


def write_package(directory: Path, of: Layer, rows: slice, cols: slice) -> Path:
    """Write ``<file>_delivery.zip``: a zip ``Results/<file>.zip`` of folders, one a tile."""
    directory.mkdir(parents=True, exist_ok=True)
    name = of.file_name
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for (row, col), stem in tile_names(of, rows, cols).items():
            values = np.full((TILE, TILE), 255, np.uint8)
            y = slice(max(rows.start, row * TILE), min(rows.stop, (row + 1) * TILE))
            x = slice(max(cols.start, col * TILE), min(cols.stop, (col + 1) * TILE))
            if y.start < y.stop and x.start < x.stop:
                block = of.value(
                    np.arange(y.start, y.stop)[:, None], np.arange(x.start, x.stop)[None, :]
                )
                top_row, left_col = row * TILE, col * TILE
                values[
                    y.start - top_row : y.stop - top_row, x.start - left_col : x.stop - left_col
                ] = block
            left = of.grid.left + col * TILE * of.grid.res
            top = of.grid.top - row * TILE * of.grid.res
            files = {f"{stem}.tif": _geotiff(of, values, left, top)}
            files |= _companions(of, stem, values, left, top)
            for file, content in files.items():
                archive.writestr(zipfile.ZipInfo(f"{name}/DATA/{stem}/{file}"), content)
    path = directory / f"{name}_delivery.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(f"Results/{name}.zip"), inner.getvalue())
    return path
