"""What an item says of one variable: type, nodata, legend, unit, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray

from stacbuild.errors import BuildError

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """Facts about a variable, from an item's asset or its ``cube:variables``.

    Parameters
    ----------
    dtype
        NumPy name of the source's type, which is the cube's.
    nodata
        Every value that stands for "no data" and that the type can hold.
    classes
        Legend: class objects of the STAC classification extension.
    attrs
        CF attributes that follow from the item (units, long_name, standard_name, ...).
    chosen
        What "no data" becomes in the cube, if the configuration says.
    """

    dtype: np.dtype[Any]
    nodata: tuple[float, ...]
    classes: tuple[Json, ...]
    attrs: dict[str, Any]
    chosen: float | None = None

    @classmethod
    def of_raster(cls, item: pystac.Item) -> Facts:
        """Read the fields of the asset ``data`` of a GeoTIFF item."""
        fields = item.assets["data"].extra_fields
        attrs = _attrs(fields, item.assets["data"].title or item.properties.get("title"))
        if item.assets["data"].description:
            attrs["description"] = item.assets["data"].description
        # Packed values stay packed; CF names how to unpack them.
        for ours, cf in (("raster:scale", "scale_factor"), ("raster:offset", "add_offset")):
            if ours in fields:
                attrs[cf] = float(fields[ours])
        return cls._of(fields, attrs)

    @classmethod
    def of_zarr(cls, item: pystac.Item, variable: str) -> Facts:
        """Read the entry of *variable* in a Zarr item's ``cube:variables``."""
        fields = item.properties["cube:variables"][variable]
        attrs = _attrs(fields, fields.get("title"))
        if "description" in fields:
            attrs["description"] = fields["description"]
        return cls._of(fields, attrs)

    @classmethod
    def _of(cls, fields: Json, attrs: dict[str, Any]) -> Facts:
        dtype = np.dtype(fields["data_type"])
        classes = tuple(fields.get("classification:classes", ()))
        stated = [] if fields.get("nodata") is None else [float(fields["nodata"])]
        stated += [float(entry["value"]) for entry in classes if entry.get("nodata")]
        nodata = tuple(dict.fromkeys(value for value in stated if _fits(value, dtype)))
        return cls(dtype, nodata, classes, attrs | _flags(classes, dtype))

    def filled(self, value: float | None) -> Facts:
        """Return the same with another value for "no data" in the cube; None changes nothing.

        Raises
        ------
        BuildError
            If the type cannot hold the value.
        """
        if value is None:
            return self
        if not _fits(value, self.dtype):
            raise BuildError(
                f"spatial_resample_params.fill_values: {value:g} is no value of {self.dtype}"
            )
        return replace(self, chosen=value)

    @property
    def fill(self) -> float:
        """The one value that "no data" becomes in the cube; NaN for floats.

        Where nothing is stated for an integer it is the largest unsigned or smallest signed
        value, needed only for pixels beyond the source.
        """
        if self.chosen is not None:
            return self.chosen
        if self.dtype.kind == "f":
            return np.nan
        if self.nodata:
            return self.nodata[0]
        limits = np.iinfo(self.dtype)
        return float(limits.max if self.dtype.kind == "u" else limits.min)


def fill_nodata(block: NDArray[Any], nodata: Sequence[float], fill: float) -> None:
    """Make every "no data" value of a decoded block the one fill value, in place."""
    for value in nodata:
        if value != fill:
            block[block == value] = fill
    if block.dtype.kind == "f" and not np.isnan(fill):
        block[np.isnan(block)] = fill


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max


def _attrs(fields: Json, title: str | None) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    if title:
        attrs["long_name"] = title
    if fields.get("unit"):
        attrs["units"] = fields["unit"]
    if fields.get("cf:parameter"):
        attrs["standard_name"] = fields["cf:parameter"][0]["name"]
    return attrs


def _flags(classes: Sequence[Json], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Turn a legend into CF 1.11 section 3.5 flags; codes that are "no data" are no flags."""
    real = [entry for entry in classes if not entry.get("nodata") and _fits(entry["value"], dtype)]
    if not real:
        return {}
    flags: dict[str, Any] = {
        "flag_values": np.array([entry["value"] for entry in real], dtype),
        "flag_meanings": " ".join(entry["name"].replace("-", "_") for entry in real),
    }
    if all("color_hint" in entry for entry in real):
        # Not of CF, but known from ESA CCI land cover and others.
        flags["flag_colors"] = " ".join(f"#{entry['color_hint'].lower()}" for entry in real)
    return flags
