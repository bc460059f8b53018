"""Metadata of one variable, read from its item: type, nodata, classes, unit, names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac

from stacbuild import nodata
from stacbuild.errors import BuildError
from stacbuild.geo.validity import NoData
from stacbuild.loading.band_names import band_variables
from stacbuild.loading.classes import classes_of_files, flags_of
from stacbuild.loading.masks import MASKS
from stacbuild.loading.packing import packing_of, without_packing
from stacbuild.nodata import Number
from stacbuild.stac.datacube import NODATA, read_as
from stacbuild.stac.extensions import ALPHA, MASK
from stacbuild.stac.scenes import ASSET

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

Json = Mapping[str, Any]


@dataclass(frozen=True)
class VariableMetadata:
    """Metadata of a variable, from an item's asset or its ``cube:variables``.

    Parameters
    ----------
    dtype
        The source's type; the type in the cube is `cube_dtype`.
    nodata
        All nodata values that the type can hold, as the type represents them: ints for integers,
        floats for floats. NaN is not listed; in floats it always means "no data".
    classes
        Class objects of the STAC classification extension.
    attrs
        CF attributes derived from the item (units, long_name, standard_name, ...).
    chosen
        The nodata value of the cube, if the configuration sets one.
    file_mask
        Whether the file also has a mask or an alpha band.
    masked
        Whether that, or a mask of the configuration, hides pixels.
    unpacked_by
        Scale and offset, if the cube stores unpacked values of a packed source: the bands differ
        in them, or resampling packed numbers would give other results.
    of_classes
        Whether any band has classes, also if they differ, so that ``classes`` is empty.
    """

    dtype: np.dtype[Any]
    nodata: tuple[Number, ...]
    classes: tuple[Json, ...]
    attrs: dict[str, Any]
    chosen: Number | None = None
    file_mask: bool = False
    masked: bool = False
    unpacked_by: tuple[float, float] | None = None
    of_classes: bool = False

    @classmethod
    def of_raster(cls, item: pystac.Item, band: int | None = None) -> VariableMetadata:
        """Read the fields of the asset ``data`` of a GeoTIFF item.

        Parameters
        ----------
        band
            Number of the band, from 1; fields of its entry in ``bands`` override those of the
            asset. None reads the fields that all bands share.
        """
        asset = item.assets["data"]
        fields = asset.extra_fields
        # The title of a scene is not that of its bands.
        title = None if ASSET in item.properties else item.properties.get("title")
        attrs = _attrs(fields, asset.title or title)
        if asset.description:
            attrs["description"] = asset.description
        bands = fields.get("bands", ())
        if band is not None and band <= len(bands):
            own = {key: value for key, value in bands[band - 1].items() if key != "name"}
            fields = fields | own
            attrs |= _attrs(own, own.get("description"))
        metadata = cls._of(fields, attrs | _packing(fields), item.id)
        in_file = bool(fields.get(MASK)) and not fields.get(ALPHA)
        return replace(metadata, file_mask=in_file, masked=in_file or MASKS in item.properties)

    @classmethod
    def of_bands(cls, items: Sequence[pystac.Item], bands: Sequence[int]) -> VariableMetadata:
        """Read the metadata that several bands of the files of one product share.

        If the bands or the files differ in scale or offset, the values in the cube are unpacked,
        and so they are if scenes of integers differ in nodata values, unless these are classes. A
        unit that differs is left out, and so are a title and a description that differ between
        files.

        Raises
        ------
        BuildError
            If integer bands differ in their nodata values.
        """
        each = [cls.of_raster(items[0], band) for band in bands]
        band = bands[0] if len(bands) == 1 else None
        others = [cls.of_raster(item, band) for item in items[1:]]
        files = [each]
        if band is not None:
            files += [[other] for other in others]
        else:
            files += [[cls.of_raster(item, band) for band in bands] for item in items[1:]]
        metadata = each[0] if len(bands) == 1 else cls.of_raster(items[0])
        of_classes = any(flags_of(one.classes, one.dtype) for one in each)
        if differ_in_packing(files) or (
            metadata.dtype.kind != "f"
            and not of_classes
            and len({tuple(one.nodata for one in own) for own in files}) > 1
        ):
            metadata = metadata.unpack()
        if (
            metadata.dtype.kind != "f"
            and not metadata.unpacked
            and len({one.nodata for one in each}) > 1
        ):
            raise BuildError(
                f"{items[0].id}: its bands differ in what no data is "
                f"({', '.join(str(one.nodata) for one in each)}); state open_params."
                "band_as_variable: true"
            )
        attrs = dict(metadata.attrs)
        for other in others:
            for name in ("long_name", "description"):
                if other.attrs.get(name) != attrs.get(name):
                    attrs.pop(name, None)
        if len(items) > 1 and (metadata.classes or not of_classes):
            # Bands that differ in classes have none in common.
            classes = classes_of_files(items, band)
            metadata = replace(metadata, classes=classes)
            attrs |= flags_of(classes, metadata.dtype)
            of_classes = bool(flags_of(classes, metadata.dtype))
        masked = any(one.masked for own in files for one in own)
        return replace(
            metadata, masked=masked, nodata=each[0].nodata, attrs=attrs, of_classes=of_classes
        )

    @property
    def packing(self) -> tuple[float, float]:
        """Scale and offset."""
        return packing_of(self.attrs)

    @property
    def unpacked(self) -> bool:
        """Whether the cube stores unpacked values of a packed source."""
        return self.unpacked_by is not None

    def unpack(self) -> VariableMetadata:
        """Return the metadata for a cube that stores unpacked values."""
        return replace(self, unpacked_by=self.packing, attrs=without_packing(self.attrs))

    @property
    def cube_dtype(self) -> np.dtype[Any]:
        """The type of the cube's variable.

        Masked integers without a nodata value get the next wider type, which has a value to spare,
        and so do integers for which the configuration sets a nodata value outside their range.
        Unpacked values are floats, of the width that xarray chooses.
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
    def of_zarr(cls, item: pystac.Item, variable: str) -> VariableMetadata:
        """Read the entry of *variable* in a Zarr item's ``cube:variables``."""
        fields = item.properties["cube:variables"][variable]
        attrs = _attrs(fields, fields.get("title"))
        if "description" in fields:
            attrs["description"] = fields["description"]
        found = cls._of(fields, attrs | _packing(fields), f"{item.id}: {variable}")
        limits = nodata.limits_meant(found.nodata, found.dtype)
        return replace(
            found,
            dtype=read_as(found.dtype),
            nodata=(*found.nodata, *limits),
            masked=MASKS in item.properties,
        )

    @classmethod
    def _of(cls, fields: Json, attrs: dict[str, Any], name: str) -> VariableMetadata:
        dtype = _dtype(fields["data_type"], name)
        classes = tuple(fields.get("classification:classes", ()))
        stated = [] if fields.get("nodata") is None else [fields["nodata"]]
        stated += [entry["value"] for entry in classes if entry.get("nodata")]
        stated += fields.get(NODATA, ())
        values = [nodata.held(nodata.from_json(value), dtype) for value in stated]
        # A dict removes duplicates and keeps the order; `value == value` excludes NaN.
        distinct = {value: None for value in values if value is not None and value == value}
        return cls(dtype, tuple(distinct), classes, attrs | flags_of(classes, dtype))

    def filled(self, value: Number | None) -> VariableMetadata:
        """Return the metadata with another nodata value for the cube; None changes nothing.

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
                f"spatial_resample_params.fill_values: {nodata.to_json(value)} is not a value of "
                f"{dtype}"
            )
        return replace(self, chosen=held)

    def no_data(self, *, complete: bool) -> NoData:
        """Return the nodata value of the cube, and whether the cube declares it.

        Parameters
        ----------
        complete
            Whether the sources cover the whole grid.
        """
        reserved = (
            self.cube_dtype.kind == "f"
            or bool(self.nodata)
            or self.masked
            or nodata.held(self.fill, self.dtype) != self.fill
        )
        # Declare it only if it can occur; otherwise a valid 255 would be read as "no data".
        declared = bool(self.nodata) or self.masked or self.chosen is not None or not complete
        return NoData(self.fill, reserved, declared)

    @property
    def fill(self) -> Number:
        """The nodata value of the cube; NaN for floats.

        The default for integers without a stated value is the largest unsigned or the smallest
        signed value. It is needed only for pixels outside of the source.
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


def differ_in_packing(files: Iterable[Iterable[VariableMetadata]]) -> bool:
    """Return whether bands, or files, differ in scale or offset."""
    return len({one.packing for own in files for one in own}) > 1


def data_bands(item: pystac.Item) -> list[int]:
    """Return the numbers, from 1, of a GeoTIFF's bands except alpha bands."""
    bands = item.assets["data"].extra_fields.get("bands") or [{}]
    return [number for number, band in enumerate(bands, 1) if not band.get(ALPHA)]


def metadata_by_band(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    name: str,
    bands: Sequence[int] | None = None,
) -> dict[int, VariableMetadata]:
    """Return the metadata of each band to load from a GeoTIFF, by band number from 1.

    All bands share the same metadata, unless ``open_params.band_as_variable`` makes each one a
    variable. Then ``open_params.variable_names`` can also select an alpha band.

    Parameters
    ----------
    items
        Items of one product.
    name
        Name of the variable in ``spatial_resample_params``.
    bands
        Bands of one variable; None for all data bands.

    Raises
    ------
    BuildError
        As raised by `VariableMetadata.of_bands` and `VariableMetadata.filled`.
    """
    fill, params = variable.fill_value(name), variable.open_params
    bands = data_bands(items[0]) if bands is None else list(bands)
    if not params.band_as_variable:
        return dict.fromkeys(bands, VariableMetadata.of_bands(items, bands).filled(fill))
    called = band_variables(variable, items[0])
    asked = [name.removeprefix("band_") for name in params.variable_names or ()]
    asked += [key.removeprefix("band_") for key, name in called.items() if name in asked]
    count = max(1, len(items[0].assets["data"].extra_fields.get("bands", ())))
    bands = [band for band in range(1, count + 1) if band in bands or str(band) in asked]
    return {band: VariableMetadata.of_bands(items, [band]).filled(fill) for band in bands}


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
    """Return scale and offset as CF attributes; the values stay packed."""
    names = (("raster:scale", "scale_factor"), ("raster:offset", "add_offset"))
    return {cf: float(fields[ours]) for ours, cf in names if ours in fields}
