"""Random Zarr stores, written with zarr alone, as the many programs that write them do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.backends.zarr import FillValueCoder
from zarr.errors import ZarrUserWarning

from tests.fuzz.inputs import (
    PLACES,
    ROTATED,
    Chance,
    Input,
    Json,
    Layer,
    horizontal,
    new_folder,
    scatter,
    site,
    spread,
    surface,
)
from tests.fuzz.zarr_coords import Axes, axes, crs_attributes, stated_transform
from tests.fuzz.zarr_times import Times, times

_DTYPES = [
    "uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64", "float32", "float64",
    "float32", "float64", "int16", "float16", "bool",
]  # fmt: skip


class BrokenInput(Exception):  # noqa: N818 - of the generator, not of stacbuild
    """The generator and xarray do not agree on what an input holds."""


def zarr_store(chance: Chance, folder: Path) -> Input:
    """Write a random Zarr store and return what is in it."""
    path = new_folder(folder) / "one.zarr"
    traits = _traits(chance)
    place = ROTATED if traits["crs"] == "rotated pole" else PLACES[traits["crs"]]
    at = site(chance, place)
    shape = tuple(int(chance.rng.integers(2, 50)) for _ in range(2))
    traits["shape"] = list(shape)
    spelled, crs = crs_attributes(chance, traits, horizontal(at.crs))
    where = axes(chance, traits, crs, at, (shape[0], shape[1]))
    when = times(chance, traits) if traits["time"] != "none" else None
    names = ["v", "w"][: traits["variables"]]
    layers, written = {}, {}
    for name in names:
        layer, stored, attrs, fill = _variable(chance, traits, where, when)
        layers[name], written[name] = layer, (stored, attrs, fill)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        _write(chance, path, _Plan(traits, where, when, spelled), written)
    given = Input(
        "one.zarr", crs, where.transform, layers, traits,
        None if when is None else when.values,
        frozenset({"calendar"} if when is not None and when.other_calendar else set()),
    )  # fmt: skip
    if not given.reasons:
        _agrees(path, given, where)
    return given


def _traits(chance: Chance) -> Json:
    names = [*PLACES, "rotated pole", "rotated pole"]
    traits = {
        "format": chance.of([2, 3]),
        "consolidated": chance.happens(0.6),
        "crs": chance.rarely("4326", [name for name in names if "3-D" not in name], 0.6),
        "variables": chance.rarely(1, [2], 0.2),
        "dtype": chance.of(_DTYPES),
        "span": chance.rarely("some", ["few", "full"]),
        "packing": chance.rarely("none", ["scale", "offset", "scale and offset"], 0.3),
        "fill": chance.rarely("none", ["_FillValue", "missing_value", "both"], 0.5),
        "unsigned": chance.happens(0.08),
        "flags": chance.happens(0.1),
        "order": chance.rarely("C", ["F"], 0.2),
        "shards": chance.happens(0.2),
        "time": chance.rarely("none", ["first", "last", "middle"], 0.5),
        "transposed": chance.happens(0.15),
        "spelling": chance.of(
            ["crs_wkt", "spatial_ref", "cf", "crs", "proj:code", "_CRS", "projjson", "extended"]
        ),
        "geo transform": chance.rarely("none", ["right", "stale"], 0.3),
        "y direction": chance.of(["down", "up"]),
        "x direction": chance.rarely("right", ["left"], 0.1),
        "longitudes": chance.rarely("-180", ["360"], 0.3),
        "coordinates": chance.rarely(
            "centres", ["packed", "float32", "bounds", "edges", "none", "node"], 0.4
        ),
        "unit": chance.rarely(None, ["K", "m s-1"], 0.3),
    }
    if traits["unsigned"] and traits["fill"] != "none":
        # xarray does not take a signed missing_value for what it is as an unsigned one.
        traits["fill"] = "_FillValue"
    return traits


def _variable(
    chance: Chance, traits: Json, where: Axes, when: Times | None
) -> tuple[Layer, np.ndarray[Any, Any], Json, Any]:
    """Return a layer, its array in the order of the store, attributes and the fill value."""
    dtype = np.dtype(traits["dtype"])
    lead = () if when is None else (len(when.values),)
    span = "few" if traits["flags"] else traits["span"]
    if dtype == np.float16 and span == "full":
        span = "some"
    values = spread(chance, dtype, surface(chance, (*lead, *where.shape)), span)
    attrs: Json = {}
    missing = np.zeros(values.shape, bool)
    fill = _fill(chance, traits, dtype) if dtype.kind != "b" else None
    if fill is not None:
        missing = scatter(chance, values.shape, 0.2) | (values == fill)
        values = np.where(missing, dtype.type(fill), values)
        missing |= values == fill
    scale, offset = 1.0, 0.0
    if traits["packing"] != "none" and dtype.kind in "iu" and not traits["flags"]:
        scale = chance.of([0.01, 2.0, 1e-4]) if "scale" in traits["packing"] else 1.0
        offset = chance.of([273.15, -20.0]) if "offset" in traits["packing"] else 0.0
        attrs |= {"scale_factor": scale} if scale != 1 else {}
        attrs |= {"add_offset": offset} if offset else {}
    if traits["flags"] and dtype.kind != "b":
        known = np.unique(values[~missing])[:20]
        attrs["flag_values"] = [v.item() for v in known]
        attrs["flag_meanings"] = " ".join(f"c{n}" for n in range(len(known)))
    if traits["unit"]:
        attrs["units"] = traits["unit"]
    stored = values
    if traits["unsigned"] and dtype.kind == "u" and dtype.itemsize < 8:
        # NetCDF 3 and Zarr written from it have no unsigned types.
        stored = values.view(f"i{dtype.itemsize}")
        attrs["_Unsigned"] = "true"
        fill = None if fill is None else np.asarray(fill, dtype).view(stored.dtype)[()]
    if fill is not None and traits["fill"] != "none":
        _state_fill(traits, stored.dtype, fill, attrs)
    layer = Layer(
        values, missing | (values != values), () if when is None else ("time",), scale, offset,
        traits["unit"], classes=bool("flag_values" in attrs),
    )  # fmt: skip
    return layer, stored, attrs, fill


def _fill(chance: Chance, traits: Json, dtype: np.dtype[Any]) -> Any:
    if traits["fill"] == "none":
        return None
    if dtype.kind == "f":
        info = np.finfo(dtype)
        return dtype.type(chance.of([-9999.0, np.nan, info.min, info.max, np.inf]))
    return dtype.type(chance.of([np.iinfo(dtype).min, np.iinfo(dtype).max, 7]))


def _state_fill(traits: Json, dtype: np.dtype[Any], fill: Any, attrs: Json) -> None:
    value = fill.item()
    if traits["fill"] in ("_FillValue", "both") and traits["format"] == 3:
        attrs["_FillValue"] = FillValueCoder.encode(value, dtype)
    if traits["fill"] in ("missing_value", "both") and np.isfinite(value):
        attrs["missing_value"] = value
    elif traits["fill"] == "missing_value" and traits["format"] == 3:
        # JSON has no such numbers, so no other attribute can state them.
        attrs["_FillValue"] = FillValueCoder.encode(value, dtype)


@dataclass(frozen=True)
class _Plan:
    """How a store is written: what was chosen, axes, times, and how the CRS is stated."""

    traits: Json
    where: Axes
    when: Times | None
    spelled: Json


def _write(chance: Chance, path: Path, plan: _Plan, written: Json) -> None:
    traits, where, when, spelled = plan.traits, plan.where, plan.when, plan.spelled
    group = zarr.open_group(path, mode="w", zarr_format=traits["format"])
    group.attrs.update(spelled["group"] | where.attributes)
    if when is None:
        group.attrs["time_coverage_start"] = "2020-01-01"
    order = [where.y, where.x]
    if traits["transposed"]:
        order.reverse()
    if when is not None:
        order.insert({"first": 0, "middle": 1, "last": 2}[traits["time"]], "time")
    plain = [*(("time",) if when is not None else ()), where.y, where.x]
    for name, (values, attrs, fill) in written.items():
        stored = values.transpose([plain.index(dim) for dim in order])
        chunks = tuple(int(chance.rng.integers(1, n + 1)) if n > 1 else 1 for n in stored.shape)
        chunks = tuple(max(each, -(-n // 6)) for each, n in zip(chunks, stored.shape, strict=True))
        stated = traits["fill"] != "missing_value" or fill is None or not np.isfinite(fill)
        v2fill = fill if stated else None
        options: Json = {"chunks": chunks}
        if traits["format"] == 2:
            options |= {"order": traits["order"], "fill_value": v2fill}
        else:
            options |= _of_version_3(traits, chunks, stored)
        _put(group, name, order, stored, attrs | spelled["array"], **options)
    for name, (dims, values, attrs) in where.arrays.items():
        _put(group, name, dims, values, attrs)
    if when is not None:
        fills = {"fill_value": when.fill} if traits["format"] == 2 else {}
        attrs = dict(when.attributes)
        if when.fill is not None and traits["format"] == 3:
            attrs["_FillValue"] = FillValueCoder.encode(when.fill.item(), when.stored.dtype)
        _put(group, "time", ["time"], when.stored, attrs, **fills)
    if (mapping := spelled["mapping"]) is not None:
        extra = stated_transform(traits, where)
        _put(group, spelled["name"], [], np.array(0, "i4"), mapping | extra)
    if traits["consolidated"]:
        zarr.consolidate_metadata(group.store)


def _of_version_3(traits: Json, chunks: tuple[int, ...], stored: np.ndarray[Any, Any]) -> Json:
    options: Json = {}
    if traits["shards"]:
        options["shards"] = tuple(2 * each for each in chunks)
    if traits["order"] == "F":
        options["filters"] = [zarr.codecs.TransposeCodec(order=tuple(range(stored.ndim))[::-1])]
    return options


def _put(
    group: zarr.Group, name: str, dims: list[str], values: Any, attrs: Json, **options: Any
) -> None:
    values = np.asarray(values)
    if group.metadata.zarr_format == 3:
        options |= {"dimension_names": dims}
        options.setdefault("fill_value", np.zeros((), values.dtype)[()])
    else:
        attrs = {"_ARRAY_DIMENSIONS": dims} | attrs
        options.setdefault("fill_value", None)
    options.setdefault("chunks", tuple(max(1, n) for n in values.shape))
    array = group.create_array(name, shape=values.shape, dtype=values.dtype, **options)
    array[...] = values
    array.attrs.update(attrs)


def _agrees(path: Path, given: Input, where: Axes) -> None:
    """Raise if xarray reads something else than the generator meant to write."""
    with xr.open_zarr(path, consolidated=False, decode_timedelta=False) as data:
        for name, layer in given.layers.items():
            dims = (*layer.dims, where.y, where.x)
            got = data[name].transpose(*dims).values.astype("f8")
            wanted = layer.decoded
            near = np.isclose(got, wanted, rtol=1e-3, atol=1e-3, equal_nan=True) | (got == wanted)
            if not near.all():
                bad = np.argwhere(~near)[0]
                raise BrokenInput(
                    f"{name} at {bad}: {got[tuple(bad)]}, not {wanted[tuple(bad)]}; {given.traits}"
                )
        if given.times is not None:
            got = data["time"].values.astype("M8[s]")
            same = (got == given.times) | (np.isnat(got) & np.isnat(given.times))
            if not same.all():
                raise BrokenInput(f"time: {got}, not {given.times}; {given.traits}")
