"""What an item says of one variable: type, nodata, legend, unit, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pystac

from stacbuild import nodata
from stacbuild.describe.zarr_cube import NODATA, read_as
from stacbuild.errors import BuildError
from stacbuild.nodata import Number

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """Facts about a variable, from an item's asset or its ``cube:variables``.

    Parameters
    ----------
    dtype
        The source's type, which is the cube's.
    nodata
        Every value that stands for "no data" and that the type can hold, exactly as it holds it:
        ints for integers, floats for floats. NaN is not among them; in floats it always is one.
    classes
        Legend: class objects of the STAC classification extension.
    attrs
        CF attributes that follow from the item (units, long_name, standard_name, ...).
    chosen
        What "no data" becomes in the cube, if the configuration says.
    """

    dtype: np.dtype[Any]
    nodata: tuple[Number, ...]
    classes: tuple[Json, ...]
    attrs: dict[str, Any]
    chosen: Number | None = None

    @classmethod
    def of_raster(cls, item: pystac.Item, band: int | None = None) -> Facts:
        """Read the fields of the asset ``data`` of a GeoTIFF item.

        Parameters
        ----------
        band
            Counted from 1: what its entry in ``bands`` says counts before what the asset says of
            all bands. None for what all have in common.
        """
        asset = item.assets["data"]
        fields = asset.extra_fields
        attrs = _attrs(fields, asset.title or item.properties.get("title"))
        if asset.description:
            attrs["description"] = asset.description
        bands = fields.get("bands", ())
        if band is not None and band <= len(bands):
            own = {key: value for key, value in bands[band - 1].items() if key != "name"}
            fields = fields | own
            attrs |= _attrs(own, own.get("description"))
        return cls._of(fields, attrs | _packing(fields), item.id)

    @classmethod
    def of_zarr(cls, item: pystac.Item, variable: str) -> Facts:
        """Read the entry of *variable* in a Zarr item's ``cube:variables``."""
        fields = item.properties["cube:variables"][variable]
        attrs = _attrs(fields, fields.get("title"))
        if "description" in fields:
            attrs["description"] = fields["description"]
        found = cls._of(fields, attrs | _packing(fields), f"{item.id}: {variable}")
        return replace(found, dtype=read_as(found.dtype))

    @classmethod
    def _of(cls, fields: Json, attrs: dict[str, Any], name: str) -> Facts:
        dtype = _dtype(fields["data_type"], name)
        classes = tuple(fields.get("classification:classes", ()))
        stated = [] if fields.get("nodata") is None else [fields["nodata"]]
        stated += [entry["value"] for entry in classes if entry.get("nodata")]
        stated += fields.get(NODATA, ())
        values = [nodata.held(nodata.from_json(value), dtype) for value in stated]
        # A dict: each once, in order.
        kept = {value: None for value in values if value is not None and value == value}
        return cls(dtype, tuple(kept), classes, attrs | _flags(classes, dtype))

    def filled(self, value: Number | None) -> Facts:
        """Return the same with another value for "no data" in the cube; None changes nothing.

        Raises
        ------
        BuildError
            If the type cannot hold the value.
        """
        if value is None:
            return self
        held = nodata.held(value, self.dtype)
        if held is None:
            raise BuildError(
                f"spatial_resample_params.fill_values: {nodata.to_json(value)} is no value of "
                f"{self.dtype}"
            )
        return replace(self, chosen=held)

    @property
    def fill(self) -> Number:
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
        return int(limits.max if self.dtype.kind == "u" else limits.min)


def _dtype(name: str, of: str) -> np.dtype[Any]:
    """Return the NumPy type of a STAC ``data_type`` that a cube can hold."""
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = None
    if dtype is None or dtype.kind not in "iufb":
        kind = "complex numbers" if name.startswith(("c", "complex")) else f"the type {name}"
        raise BuildError(
            f"{of}: holds {kind}, which cubes do not support; write it as real numbers first, for "
            "example amplitude and phase in bands of their own"
        )
    return dtype


def _attrs(fields: Json, title: str | None) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    if title:
        attrs["long_name"] = title
    if fields.get("unit"):
        attrs["units"] = fields["unit"]
    if fields.get("cf:parameter"):
        attrs["standard_name"] = fields["cf:parameter"][0]["name"]
    return attrs


def _packing(fields: Json) -> dict[str, Any]:
    """Return how values are unpacked, as CF names it; they stay packed."""
    names = (("raster:scale", "scale_factor"), ("raster:offset", "add_offset"))
    return {cf: float(fields[ours]) for ours, cf in names if ours in fields}


def _flags(classes: Sequence[Json], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Turn a legend into CF 1.11 section 3.5 flags; codes that are "no data" are no flags."""
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
        # Not of CF, but known from ESA CCI land cover and others.
        flags["flag_colors"] = " ".join(f"#{entry['color_hint'].lower()}" for entry in real)
    return flags
