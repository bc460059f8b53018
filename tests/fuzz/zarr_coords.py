"""Where the pixels of a store lie, as stores say it: coordinates, bounds, transforms, CRSs."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyproj
from affine import Affine

from tests.fuzz.inputs import Chance, Json, Site

_CF = {
    "latitude_longitude", "lambert_azimuthal_equal_area", "albers_conical_equal_area",
    "rotated_latitude_longitude", "transverse_mercator", "sinusoidal",
}  # fmt: skip


@dataclass(frozen=True)
class Axes:
    """The two horizontal dimensions.

    ``arrays`` are name -> (dimensions, values, attributes); ``attributes`` go on the group.
    """

    y: str
    x: str
    shape: tuple[int, int]
    transform: Affine
    arrays: dict[str, tuple[list[str], Any, Json]] = field(default_factory=dict)
    attributes: Json = field(default_factory=dict)


def crs_attributes(chance: Chance, traits: Json, crs: pyproj.CRS) -> tuple[Json, pyproj.CRS]:
    """Choose how the CRS is stated.

    Returns
    -------
    Attributes of ``group``, ``array`` and of the grid ``mapping`` (None if there is none) with its
    ``name``, and the CRS that these state.
    """
    spelling = traits["spelling"]
    with warnings.catch_warnings():
        # Of parameters that CF has no name for; that spelling is not chosen then.
        warnings.simplefilter("ignore", UserWarning)
        cf = crs.to_cf()
    code = crs.to_epsg()
    if traits["crs"] == "rotated pole":
        spelling = chance.of(["cf", "crs_wkt"])
        cf = {
            "grid_mapping_name": "rotated_latitude_longitude",
            "grid_north_pole_latitude": 39.25,
            "grid_north_pole_longitude": -162.0,
        }
        crs = pyproj.CRS.from_cf(cf)
        cf |= {"crs_wkt": crs.to_wkt()}
    if spelling == "cf" and cf.get("grid_mapping_name") not in _CF:
        spelling = "crs_wkt"
    if spelling in ("crs", "proj:code") and code is None:
        spelling = "spatial_ref"
    if code == 4326 and chance.happens(0.3):
        spelling = "degrees"
    traits["spelling"] = spelling
    wkt = chance.of(["WKT2_2019", "WKT1_GDAL", "WKT1_ESRI"]) if code else "WKT2_2019"
    if spelling in ("_CRS", "projjson"):
        wkt = "WKT2_2019"
    found: Json = {
        "group": {},
        "array": {},
        "mapping": None,
        "name": chance.of(["crs", "spatial_ref", "mapping"]),
    }
    match spelling:
        case "cf":
            plain = {key: value for key, value in cf.items() if key != "crs_wkt"}
            # As models write it: figures alone, no names of what they are of.
            keep = {
                key: v
                for key, v in plain.items()
                if not isinstance(v, str) or key == "grid_mapping_name"
            }
            found["mapping"], crs = keep, pyproj.CRS.from_cf(keep)
        case "crs_wkt" | "spatial_ref":
            found["mapping"] = {spelling: crs.to_wkt(wkt)}
        case "extended":
            found["mapping"] = {"crs_wkt": crs.to_wkt(wkt)}
        case "crs" | "proj:code":
            found["group"] = {spelling: f"EPSG:{code}"}
        case "_CRS":
            found["array"] = {"_CRS": {"wkt": crs.to_wkt("WKT2_2019")}}
        case "projjson":
            found["array"] = {"_CRS": {"projjson": json.loads(crs.to_json())}}
    if found["mapping"] is not None:
        found["array"]["grid_mapping"] = found["name"]
    return found, crs


def axes(chance: Chance, traits: Json, crs: pyproj.CRS, at: Site, shape: tuple[int, int]) -> Axes:
    """Choose the axes' names, directions and coordinates."""
    rows, cols = shape
    geographic = crs.is_geographic
    left, top, step = at.x, at.y, at.step
    degrees = geographic and crs.axis_info[0].unit_name == "degree"
    rotated = crs.is_derived and geographic
    if geographic:
        # Within the earth, and once around at the most.
        full = 90.0 if degrees else 100.0
        rows = min(rows, int(1.8 * full / step))
        cols = min(cols, int(3.6 * full / step))
        top = min(max(top, -full + rows * step), full)
        if traits["longitudes"] == "360" and not rotated:
            left %= 4 * full
    shape = (rows, cols)
    down, right = traits["y direction"] == "down", traits["x direction"] == "right"
    transform = Affine(
        step if right else -step, 0, left if right else left + cols * step,
        0, -step if down else step, top if down else top - rows * step,
    )  # fmt: skip
    x = transform.c + transform.a * (np.arange(cols) + 0.5)
    y = transform.f + transform.e * (np.arange(rows) + 0.5)
    names = ("y", "x")
    if rotated:
        names = ("rlat", "rlon")
    elif geographic:
        names = chance.of([("lat", "lon"), ("latitude", "longitude"), ("y", "x")])
    if traits["spelling"] == "degrees" and names == ("y", "x"):
        names = ("lat", "lon")
    attrs = _axis_attributes(crs, rotated, degrees)
    kind = _kind(traits, transform, rotated)
    traits["coordinates"] = kind
    found = Axes(names[0], names[1], shape, transform)
    for name, values, size, about in zip(
        names, (y, x), (transform.e, transform.a), attrs, strict=True
    ):
        found.arrays.update(_coordinate(kind, name, values, size, about))
    if kind in ("none", "node"):
        half = 0.5 if kind == "node" else 0.0
        moved = transform @ Affine.translation(half, half)
        found.attributes.update({
            "spatial:dimensions": list(names),
            "spatial:transform": list(moved)[:6],
            "spatial:shape": list(shape),
            **({"spatial:registration": "node"} if kind == "node" else {}),
        })  # fmt: skip
    return found


def _kind(traits: Json, transform: Affine, rotated: bool) -> str:
    kind = traits["coordinates"]
    if kind == "float32":
        # Only where single precision tells pixels apart well enough.
        far = max(abs(transform.c), abs(transform.f)) + 60 * abs(transform.a)
        if far * 2**-23 > 1e-3 * abs(transform.a):
            return "centres"
    if kind in ("none", "node") and (rotated or traits["spelling"] == "degrees"):
        return "centres"
    return str(kind)


def _axis_attributes(crs: pyproj.CRS, rotated: bool, degrees: bool) -> tuple[Json, Json]:
    if rotated:
        return (
            {"standard_name": "grid_latitude", "units": "degrees"},
            {"standard_name": "grid_longitude", "units": "degrees"},
        )
    if degrees:
        return (
            {"standard_name": "latitude", "units": "degrees_north"},
            {"standard_name": "longitude", "units": "degrees_east"},
        )
    unit = {"metre": "m", "kilometre": "km"}.get(crs.axis_info[0].unit_name)
    units = {"units": unit} if unit else {}
    return (
        {"standard_name": "projection_y_coordinate", **units},
        {"standard_name": "projection_x_coordinate", **units},
    )


def _coordinate(kind: str, name: str, values: Any, size: float, attrs: Json) -> Json:
    edges = np.stack([values - size / 2, values + size / 2], axis=1)
    match kind:
        case "packed":
            scale = abs(size)
            packed = np.round((values - values[0]) / scale).astype("i2")
            about = attrs | {"scale_factor": scale, "add_offset": float(values[0])}
            return {name: ([name], packed, about)}
        case "float32":
            return {name: ([name], values.astype("f4"), attrs)}
        case "bounds" | "edges":
            bounds = f"{name}_bnds"
            at = values if kind == "bounds" else edges[:, 0]
            return {
                name: ([name], at, attrs | {"bounds": bounds}),
                bounds: ([name, "bnds"], edges, {}),
            }
        case "none" | "node":
            return {}
    return {name: ([name], values, attrs)}


def stated_transform(traits: Json, where: Axes) -> Json:
    """Return GDAL's attribute for a transform, right or that of a larger whole, if it is stated."""
    if traits["geo transform"] == "none":
        return {}
    transform = where.transform
    if traits["geo transform"] == "stale":
        if not where.arrays:
            # Nothing would be left that is right.
            return {}
        transform = transform @ Affine.translation(-7, -3)
    return {"GeoTransform": " ".join(repr(float(v)) for v in transform.to_gdal())}
