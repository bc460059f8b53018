"""Random GeoTIFFs. What they hold is read back with rasterio, not taken from what was written."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from tests.fuzz.inputs import (
    PLACES,
    Chance,
    Input,
    Json,
    Layer,
    Site,
    horizontal,
    new_folder,
    scatter,
    site,
    spread,
    surface,
)

NAME = "cube"
_NODATA_TAG = 42113
_INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64"]
_FLOATS = ["float32", "float64"]


def raster(chance: Chance, folder: Path) -> Input:
    """Write a random GeoTIFF and return what is in it."""
    path = new_folder(folder) / "one.tif"
    traits = _traits(chance)
    place = PLACES[traits["crs"]]
    at = site(chance, place)
    rows, cols = (int(chance.rng.integers(1, 70)) for _ in range(2))
    traits["shape"] = [rows, cols]
    transform = _transform(chance, traits, at, (rows, cols))
    values = _values(chance, traits, (rows, cols))
    profile = {
        "driver": "GTiff", "width": cols, "height": rows, "count": len(values),
        "dtype": traits["dtype"], "crs": at.crs.to_wkt("WKT2_2019"), "transform": transform,
        "interleave": traits["interleave"], **_layout(chance, traits),
    }  # fmt: skip
    if traits["mask"] == "alpha":
        profile["alpha"] = "yes"
    texts: list[str] = []
    if traits["nodata"] is not None:
        values, texts = _with_nodata(chance, traits, values)
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile, **({"nodata": 0} if texts else {})) as file:
            file.write(values)
            _describe(chance, traits, file)
            if traits["mask"] == "internal":
                file.write_mask(~scatter(chance, (rows, cols), 0.2))
    if texts:
        patch_nodata(path, texts[0])
    return read_back(path, traits, chance.happens(0.3))


def _traits(chance: Chance) -> Json:
    dtype = chance.of([*_INTEGERS, *_FLOATS, "float32", "float32", "uint8"])
    bands = chance.rarely(1, [2, 3, 5])
    mask = chance.rarely("none", ["internal", "alpha"])
    if mask == "alpha":
        dtype = chance.of(["uint8", "uint16"])
    kinds = ["in range", "odd", "extreme"]
    if np.dtype(dtype).kind == "f":
        kinds += ["nan", "inf", "-inf", "few digits", "few digits"]
    return {
        "dtype": chance.rarely(dtype, ["complex64", "complex128"], 0.02)
        if mask == "none"
        else dtype,
        "bands": bands,
        "mask": mask,
        # With both, programs do not agree on which is used.
        "nodata": chance.rarely(None, kinds, 0.45) if mask == "none" else None,
        "span": chance.rarely("some", ["few", "full"]),
        "interleave": chance.of(["pixel", "band"]),
        "compress": chance.rarely("none", ["deflate", "lzw", "zstd", "packbits", "lzma"], 0.5),
        "crs": chance.rarely("4326", list(PLACES), 0.8),
        "orientation": chance.rarely(
            "north up",
            ["south up", "mirrored", "slightly rotated", "rotated", "tiny skew", "oblong"],
            0.3,
        ),
        "longitudes": chance.rarely("-180", ["360"], 0.2),
        "sampling": chance.rarely("Area", ["Point"]),
        "scaled": chance.rarely("no", ["same", "per band"], 0.25),
        "unit": chance.rarely("no", ["same", "per band"], 0.25),
        "big endian": chance.happens(0.1),
        "big tiff": chance.happens(0.1),
        "overviews": chance.happens(0.1),
    }


def _layout(chance: Chance, traits: Json) -> Json:
    layout: Json = {"compress": traits["compress"]}
    if traits["compress"] in ("deflate", "lzw", "zstd") and chance.happens(0.5):
        kind = np.dtype(traits["dtype"]).kind
        # GDAL has the first for integers of up to 64 bits, the second for floats.
        layout["predictor"] = {"f": 3, "c": 1}.get(kind, 2)
    if chance.happens(0.5):
        layout |= {"tiled": True, "blockxsize": 16 * chance.of([1, 2, 3]), "blockysize": 16}
    else:
        layout["blockysize"] = chance.of([1, 3, 7, 16, 1000])
    if traits["big endian"]:
        layout["endianness"] = "big"
    if traits["big tiff"]:
        layout["bigtiff"] = "yes"
    traits["layout"] = layout
    return layout


def _transform(chance: Chance, traits: Json, at: Site, shape: tuple[int, int]) -> Affine:
    rows, cols = shape
    x, y, step = at.x, at.y, at.step
    if traits["longitudes"] == "360" and traits["crs"] in ("4326", "etrs89", "geographic sphere"):
        x %= 360.0
    match traits["orientation"]:
        case "south up":
            return Affine(step, 0, x, 0, step, y - rows * step)
        case "mirrored":
            return Affine(-step, 0, x + cols * step, 0, -step, y)
        case "slightly rotated":
            return Affine.translation(x, y) @ Affine.rotation(0.05) @ Affine.scale(step, -step)
        case "tiny skew":
            # Of rounding in other programs.
            return Affine(step, 1e-19, x, -1e-19, -step, y)
        case "rotated":
            turn = Affine.rotation(chance.between(-180, 180))
            return Affine.translation(x, y) @ turn @ Affine.scale(step, -step)
        case "oblong":
            return Affine(step, 0, x, 0, -step * chance.of([0.5, 2.0]), y)
    return Affine(step, 0, x, 0, -step, y)


def _values(chance: Chance, traits: Json, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    dtype = np.dtype(traits["dtype"])
    values = spread(chance, dtype, surface(chance, (traits["bands"], *shape)), traits["span"])
    if traits["mask"] == "alpha":
        clear = scatter(chance, (1, *shape), 0.2)
        opaque = dtype.type(np.iinfo(dtype).max)
        values = np.concatenate([values, np.where(clear, dtype.type(0), opaque)])
    return values


def _with_nodata(
    chance: Chance, traits: Json, values: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Return *values* with some of no data, and the text of the tag."""
    dtype = values.dtype
    if dtype.kind == "c":
        return values, ["0"]
    text, value = _nodata(chance, traits["nodata"], dtype)
    traits["nodata text"] = text
    if value is not None:
        values = np.where(scatter(chance, values.shape, 0.2), dtype.type(value), values)
    return values, [text]


def _nodata(chance: Chance, kind: str, dtype: np.dtype[Any]) -> tuple[str, Any]:
    single = dtype == np.float32
    if dtype.kind == "f":
        lowest = float(np.finfo(dtype).min)
        return {
            "in range": ("-9999", -9999.0),
            "odd": chance.of([("1e+20", 1e20), ("-999.9", -999.9), ("0", 0.0), ("-1e30", -1e30)]),
            "extreme": (repr(lowest), lowest),
            "nan": (chance.of(["nan", "NaN"]), np.nan),
            "inf": ("inf", np.inf),
            "-inf": ("-inf", -np.inf),
            "few digits": ("-3.402823e+38", lowest) if single else ("0.1", 0.1),
        }[kind]
    info = np.iinfo(dtype)
    match kind:
        case "in range":
            return "7", 7
        case "extreme":
            value = chance.of([info.min, info.max])
            return str(value), value
    # Out of the type's range, or no integer: nothing of the file is it.
    texts = ["nan", "-1.5", "1e+20", "-inf"]
    return chance.of([*texts, "-9999" if dtype.kind == "u" else str(int(info.max) + 1)]), None


def _describe(chance: Chance, traits: Json, file: Any) -> None:
    count = file.count
    if traits["mask"] == "alpha":
        count -= 1
        file.colorinterp = (
            [ColorInterp.gray] + [ColorInterp.undefined] * (count - 1) + [ColorInterp.alpha]
        )
    extra = [1.0] * (file.count - count), [0.0] * (file.count - count), [""] * (file.count - count)
    if traits["scaled"] != "no":
        scales = (
            [0.1] * count if traits["scaled"] == "same" else [0.1 * (n + 1) for n in range(count)]
        )
        file.scales = [*scales, *extra[0]]
        file.offsets = [*[chance.of([0.0, -5.0])] * count, *extra[1]]
    if traits["unit"] != "no":
        units = ["K"] * count if traits["unit"] == "same" else ["m", "K", "1", "m s-1", "%"][:count]
        file.units = [*units, *extra[2]]
    if traits["sampling"] == "Point":
        file.update_tags(AREA_OR_POINT="Point")
    if traits["overviews"] and min(file.shape) > 8:
        file.build_overviews([2])


def patch_nodata(path: Path, text: str) -> None:
    """Write *text* as the value of GDAL's tag for no data, as other programs do."""
    data = bytearray(path.read_bytes())
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    number, count, width, entry = ("Q", "Q", 8, 20) if big else ("I", "H", 4, 12)
    [at] = struct.unpack_from(order + number, data, 8 if big else 4)
    [entries] = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(order + count)
    value = text.encode() + b"\0"
    for place in range(at, at + entries * entry, entry):
        if struct.unpack_from(f"{order}H", data, place)[0] == _NODATA_TAG:
            struct.pack_into(order + number, data, place + 4, len(value))
            if len(value) <= width:
                data[place + 4 + width : place + 4 + 2 * width] = value.ljust(width, b"\0")
            else:
                data += b"\0" * (len(data) % 2)
                struct.pack_into(order + number, data, place + 4 + width, len(data))
                data += value
            path.write_bytes(data)
            return
    raise AssertionError(f"{path}: has no tag for no data")


def read_back(path: Path, traits: Json, apart: bool) -> Input:
    """Return what rasterio reads in a file; *apart* if bands are to become variables."""
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), rasterio.open(path) as file:
        crs = horizontal(pyproj.CRS.from_wkt(file.crs.to_wkt(version="WKT2_2019")))
        bands = [n for n in file.indexes if file.colorinterp[n - 1] != ColorInterp.alpha]
        raw, missing = file.read(bands), file.read_masks(bands) == 0
        if raw.dtype.kind in "iu" and raw.dtype.itemsize == 8 and traits["nodata"] == "odd":
            # Of such text GDAL takes the digits before the first other character: 1 of 1e+20.
            missing[:] = False
        if raw.dtype.kind == "f":
            missing |= np.isnan(raw)
        scales, offsets, units = (
            [values[n - 1] for n in bands] for values in (file.scales, file.offsets, file.units)
        )
        transform = file.transform
    reasons = {"complex"} if raw.dtype.kind == "c" else set()
    if not apart and any(len(set(each)) > 1 for each in (scales, offsets, units)):
        reasons.add("bands differ")
    params: Json = {"open_params": {"band_as_variable": True}} if apart else {}
    layers = {}
    if apart:
        for n in range(len(bands)):
            name = f"band_{bands[n]}"
            layers[name] = Layer(raw[n], missing[n], (), scales[n], offsets[n], units[n] or None)
    elif len(bands) == 1:
        layers[NAME] = Layer(raw[0], missing[0], (), scales[0], offsets[0], units[0] or None)
    else:
        unit = units if len(set(units)) > 1 else units[0]
        same = len(set(scales)) == len(set(offsets)) == 1
        scale, offset = (scales[0], offsets[0]) if same else (scales, offsets)
        layers[NAME] = Layer(raw, missing, ("band",), scale, offset, unit or None)
    traits = traits | {"apart": apart}
    return Input("one.tif", crs, transform, layers, traits, None, frozenset(reasons), params)
