"""What an item says of one variable: type, nodata, legend, unit, names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pystac

from stacbuild import nodata
from stacbuild.errors import BuildError
from stacbuild.geo.validity import NoData
from stacbuild.loading.packing import commutes, packing_of, without_packing
from stacbuild.nodata import Number
from stacbuild.stac.datacube import NODATA, read_as
from stacbuild.stac.extensions import ALPHA, MASK

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

Json = Mapping[str, Any]
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Facts:
    """Facts about a variable, from an item's asset or its ``cube:variables``.

    Parameters
    ----------
    dtype
        The source's type, which is the cube's if `cube_dtype` is no other.
    nodata
        Every value that stands for "no data" and that the type can hold, exactly as it holds it:
        ints for integers, floats for floats. NaN is not among them; in floats it always is one.
    classes
        Legend: class objects of the STAC classification extension.
    attrs
        CF attributes that follow from the item (units, long_name, standard_name, ...).
    chosen
        What "no data" becomes in the cube, if the configuration says.
    masked
        Whether the file has a mask or an alpha band, too.
    unpacked_by
        Scale and offset if the cube holds values where the source has packed numbers: bands
        differ in them, or something else would come of packed numbers.
    """

    dtype: np.dtype[Any]
    nodata: tuple[Number, ...]
    classes: tuple[Json, ...]
    attrs: dict[str, Any]
    chosen: Number | None = None
    masked: bool = False
    unpacked_by: tuple[float, float] | None = None

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
        facts = cls._of(fields, attrs | _packing(fields), item.id)
        return replace(facts, masked=bool(fields.get(MASK)) and not fields.get(ALPHA))

    @classmethod
    def of_bands(cls, items: Sequence[pystac.Item], bands: Sequence[int]) -> Facts:
        """Read what several bands of the files of one product have in common.

        Where bands differ in scale or offset the cube's values are unpacked; a unit that differs
        is left out.

        Raises
        ------
        BuildError
            Bands of integers differ in what "no data" is.
        """
        each = [cls.of_raster(items[0], band) for band in bands]
        facts = each[0] if len(bands) == 1 else cls.of_raster(items[0])
        if len({one.packing for one in each}) > 1:
            facts = facts.unpack()
        if facts.dtype.kind != "f" and not facts.unpacked and len({one.nodata for one in each}) > 1:
            raise BuildError(
                f"{items[0].id}: its bands differ in what no data is "
                f"({', '.join(str(one.nodata) for one in each)}); state open_params."
                "band_as_variable: true"
            )
        masked = any(cls.of_raster(item, band).masked for item in items for band in bands)
        return replace(facts, masked=masked, nodata=each[0].nodata)

    @property
    def packing(self) -> tuple[float, float]:
        """Scale and offset."""
        return packing_of(self.attrs)

    @property
    def unpacked(self) -> bool:
        """Whether the cube holds values where its source has packed numbers."""
        return self.unpacked_by is not None

    def unpack(self) -> Facts:
        """Return the same of a cube that holds unpacked values."""
        return replace(self, unpacked_by=self.packing, attrs=without_packing(self.attrs))

    @property
    def cube_dtype(self) -> np.dtype[Any]:
        """The type of the cube's variable.

        Masked integers without a nodata value get the next wider type, which has one to spare;
        integers without one also where the configuration chose a value beyond their type.
        Unpacked values are floats, chosen as xarray does.
        """
        if self.unpacked:
            small = self.dtype.itemsize <= (4 if self.dtype.kind == "f" else 2)
            return np.dtype("float32" if small else "float64")
        stated = self.nodata[0] if self.chosen is None and self.nodata else self.chosen
        fits = stated is not None and nodata.held(stated, self.dtype) is not None
        wanted = self.masked or (self.chosen is not None and not self.nodata)
        if wanted and self.dtype.kind in "iu" and not fits:
            if self.dtype.itemsize == 8:
                raise BuildError(
                    "it has a mask and integers of 64 bits: state spatial_resample_params."
                    "fill_values, a value that no pixel has"
                )
            return nodata.wider(self.dtype)
        return self.dtype

    @classmethod
    def of_zarr(cls, item: pystac.Item, variable: str) -> Facts:
        """Read the entry of *variable* in a Zarr item's ``cube:variables``."""
        fields = item.properties["cube:variables"][variable]
        attrs = _attrs(fields, fields.get("title"))
        if "description" in fields:
            attrs["description"] = fields["description"]
        found = cls._of(fields, attrs | _packing(fields), f"{item.id}: {variable}")
        limits = nodata.limits_meant(found.nodata, found.dtype)
        return replace(found, dtype=read_as(found.dtype), nodata=(*found.nodata, *limits))

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
        dtype = np.dtype("float64") if self.unpacked else self.dtype
        held = nodata.held(value, dtype)
        spare = self.masked or not self.nodata
        if held is None and spare and dtype.kind in "iu" and dtype.itemsize < 8:
            dtype = nodata.wider(dtype)
            held = nodata.held(value, dtype)
        if held is None:
            raise BuildError(
                f"spatial_resample_params.fill_values: {nodata.to_json(value)} is no value of "
                f"{dtype}"
            )
        return replace(self, chosen=held)

    def no_data(self, *, complete: bool) -> NoData:
        """Return what "no data" becomes in the cube, and whether the cube declares it.

        Parameters
        ----------
        complete
            Whether the sources lie under all of the grid.
        """
        reserved = (
            self.cube_dtype.kind == "f"
            or bool(self.nodata)
            or self.masked
            or nodata.held(self.fill, self.dtype) != self.fill
        )
        # Declared only where it can occur: a count that reaches 255 is not "no data".
        declared = bool(self.nodata) or self.masked or self.chosen is not None or not complete
        return NoData(self.fill, reserved, declared)

    @property
    def fill(self) -> Number:
        """The one value that "no data" becomes in the cube; NaN for floats.

        Where nothing is stated for an integer it is the largest unsigned or smallest signed
        value, needed only for pixels beyond the source.
        """
        dtype = self.cube_dtype
        if self.chosen is not None:
            return self.chosen
        if dtype.kind == "f":
            return np.nan
        if self.nodata:
            return self.nodata[0]
        limits = np.iinfo(dtype)
        return int(limits.max if dtype.kind == "u" else limits.min)


def data_bands(item: pystac.Item) -> list[int]:
    """Return the numbers, from 1, of a GeoTIFF's bands without those of opacity."""
    bands = item.assets["data"].extra_fields.get("bands") or [{}]
    return [number for number, band in enumerate(bands, 1) if not band.get(ALPHA)]


def facts_of_bands(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    name: str,
    bands: Sequence[int] | None = None,
) -> dict[int, Facts]:
    """Return what is loaded of a GeoTIFF: the facts of each band by its number, from 1.

    They are the same for all, unless bands become variables. A band of opacity is among them if
    ``open_params.variable_names`` names it.

    Parameters
    ----------
    items
        Of one product.
    name
        That ``spatial_resample_params`` has for the whole.
    bands
        Those of one variable; None for all.

    Raises
    ------
    BuildError
        As `Facts.of_bands` and `Facts.filled`.
    """
    fill, params = variable.fill_value(name), variable.open_params
    bands = data_bands(items[0]) if bands is None else list(bands)
    if not params.band_as_variable:
        return dict.fromkeys(bands, Facts.of_bands(items, bands).filled(fill))
    asked = [name.removeprefix("band_") for name in params.variable_names or ()]
    count = max(1, len(items[0].assets["data"].extra_fields.get("bands", ())))
    bands = [band for band in range(1, count + 1) if band in bands or str(band) in asked]
    return {band: Facts.of_bands(items, [band]).filled(fill) for band in bands}


def made_unpacked(
    variable: SourceVariable,
    method: str,
    facts: Mapping[_Key, Facts],
    warn: Callable[[str], None] | None = None,
) -> dict[_Key, Facts]:
    """Return facts, of unpacked values where packed numbers would give other results.

    Parameters
    ----------
    variable
        The entry of the configuration; a function of its own gets unpacked values.
    method
        How values get onto the grid.
    facts
        Of a variable or its bands.
    warn
        Told if values become unpacked.
    """
    if variable.custom_processing is not None:
        needed = {key: each.packing != (1.0, 0.0) for key, each in facts.items()}
        reason = "custom_processing gets values"
    else:
        needed = {key: not commutes(method, each.packing) for key, each in facts.items()}
        reason = f"the {method} of packed numbers is not that of the values"
    changed = {key: each for key, each in facts.items() if needed[key] and not each.unpacked}
    if not changed:
        return dict(facts)
    # All of them: what is read together is of one type.
    made = {key: each if each.unpacked else each.unpack() for key, each in facts.items()}
    if warn is not None:
        scale, offset = next(iter(changed.values())).packing
        dtype = made[next(iter(changed))].cube_dtype
        warn(
            f"{variable.data_id}: its numbers are packed (scale {scale:g}, offset {offset:g}), and "
            f"{reason}, so the cube holds unpacked values ({dtype})"
        )
    return made


def warn_of_raster(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    of_bands: Mapping[int, Facts],
    warn: Callable[[str], None],
) -> None:
    """Warn where a cube's variable differs from what its GeoTIFFs say of values and bands."""
    facts = next(iter(of_bands.values()))
    name, dtype = variable.data_id, facts.cube_dtype
    if facts.masked and facts.dtype != dtype and not facts.unpacked:
        warn(
            f"{name}: has a mask, and no value to spare for it, so the cube is {dtype} and not "
            f"{facts.dtype}, {facts.fill} where masked; spatial_resample_params.fill_values can "
            "name a value that no pixel has"
        )
    if variable.open_params.band_as_variable:
        return
    apart = "open_params.band_as_variable: true gives each band its own"
    if facts.unpacked:
        warn(
            f"{name}: its bands differ in scale or offset, so the cube holds unpacked values "
            f"({dtype}); {apart}"
        )
    each = [Facts.of_raster(items[0], band).attrs.get("units") for band in of_bands]
    if len(set(each)) > 1:
        units = ", ".join(dict.fromkeys(unit or "none" for unit in each))
        warn(f"{name}: its bands differ in unit ({units}), so the cube states none; {apart}")


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
