"""Where the variable of a cube differs from its files in packing, type, unit or classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pystac

from stacbuild import progress
from stacbuild.config.data_ids import short
from stacbuild.errors import BuildError
from stacbuild.loading.classes import warn_about_classes, warn_about_range
from stacbuild.loading.metadata import VariableMetadata, data_bands, differ_in_packing
from stacbuild.loading.packing import commutes
from stacbuild.stac.checksums import CHECKSUM
from stacbuild.stac.item_time import FILE
from stacbuild.stac.scenes import is_scene

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

_Key = TypeVar("_Key")
_APART = "open_params.band_as_variable: true gives each band its own"
_OF_SCENES = ("scale", "offset", "no data")
# Fields of an asset that are those of its file, and not of its values.
_OF_FILE = {"file:size", "file:checksum", "updated", CHECKSUM}


def unpack_where_needed(
    variable: SourceVariable,
    method: str,
    metadata: Mapping[_Key, VariableMetadata],
) -> dict[_Key, VariableMetadata]:
    """Return the metadata, unpacked where computing with packed numbers gives other results.

    Parameters
    ----------
    variable
        The entry of the configuration; its custom function always receives unpacked values.
    method
        The resampling method.
    metadata
        Metadata of a variable or of its bands.
    """
    needed = [_is_unpacked(variable, method, each) for each in metadata.values()]
    if not any(needed):
        return dict(metadata)
    # Unpack all of them, because bands that are read together share one type.
    return {key: each if each.unpacked else each.unpack() for key, each in metadata.items()}


def warn_about_unpacking(
    variable: SourceVariable, method: str, metadata: Mapping[_Key, VariableMetadata]
) -> None:
    """Warn if `unpack_where_needed` unpacks values, and say why."""
    changed = [each for each in metadata.values() if _is_unpacked(variable, method, each)]
    if not changed:
        return
    scale, offset = changed[0].packing
    reason = (
        f"the {method} of packed numbers is not that of the values"
        if variable.custom_processing is None
        else "custom_processing gets values"
    )
    progress.warn(
        f"{variable.label}: its numbers are packed (scale {scale:g}, offset {offset:g}), and "
        f"{reason}, so the cube holds unpacked values ({changed[0].unpack().cube_dtype})"
    )


def _is_unpacked(variable: SourceVariable, method: str, metadata: VariableMetadata) -> bool:
    if metadata.unpacked:
        return False
    if variable.custom_processing is not None:
        return metadata.packing != (1.0, 0.0)
    return not commutes(method, metadata.packing)


def warn_about_raster(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    of_bands: Mapping[int, VariableMetadata],
) -> None:
    """Warn where a cube's variable differs from its GeoTIFFs in type, packing or unit."""
    metadata = next(iter(of_bands.values()))
    name, dtype = variable.label, metadata.cube_dtype
    if metadata.masked and metadata.dtype != dtype and not metadata.unpacked:
        progress.warn(
            f"{name}: has a mask, and no value to spare for it, so the cube is {dtype} and not "
            f"{metadata.dtype}, {metadata.fill} where masked; spatial_resample_params.fill_values "
            "can name a value that no pixel has"
        )
    warn_about_classes(name, items, list(of_bands))
    warn_about_range(name, metadata.classes, metadata.dtype)
    if variable.open_params.band_as_variable:
        return
    if metadata.unpacked:
        _say_unpacked(name, items, of_bands, dtype.name)
    each = [VariableMetadata.of_raster(items[0], band).attrs.get("units") for band in of_bands]
    if len(set(each)) > 1:
        units = ", ".join(dict.fromkeys(unit or "none" for unit in each))
        progress.warn(
            f"{name}: its bands differ in unit ({units}), so the cube states none; {_APART}"
        )
    if metadata.of_classes and not metadata.classes:
        progress.warn(f"{name}: its bands differ in classes, so the cube states none; {_APART}")


def _say_unpacked(
    name: str, items: Sequence[pystac.Item], bands: Iterable[int], dtype: str
) -> None:
    own = [VariableMetadata.of_raster(items[0], band) for band in bands]
    if differ_in_packing([own]):
        progress.warn(
            f"{name}: its bands differ in scale or offset, so the cube holds unpacked values "
            f"({dtype}); {_APART}"
        )
        return
    # The normal case of scenes that were processed in different years.
    files = [VariableMetadata.of_raster(item, band) for item in items for band in bands]
    what = "scale or offset" if differ_in_packing([files]) else "nodata values"
    progress.say(
        f"{name}: its scenes differ in {what}, so the cube holds unpacked values ({dtype})"
    )


def check_common(items: Sequence[pystac.Item]) -> None:
    """Check that items are tiles of one product.

    Raises
    ------
    BuildError
        If they differ in dtype, bands, unit, scale or offset, or (integers) in nodata values: the
        nodata value of one file may be a valid value in another. Scenes may differ in the last
        three, as each is unpacked by what its own item states; and some may state no unit.
    """
    kinds: dict[str, dict[Any, str]] = {}
    ignored = _OF_SCENES if any(map(is_scene, items)) else ()
    for item in _distinct(items):
        bands = data_bands(item)
        each = [VariableMetadata.of_raster(item, band) for band in bands]
        for what, value in (
            ("data type", each[0].dtype.name),
            ("number of bands", len(bands)),
            ("scale", tuple(own.packing[0] for own in each)),
            ("offset", tuple(own.packing[1] for own in each)),
            ("unit", tuple(own.attrs.get("units") for own in each)),
            (
                "no data",
                tuple(own.nodata if own.dtype.kind != "f" else () for own in each),
            ),
        ):
            if what in ignored or (ignored and what == "unit" and value == (None,) * len(bands)):
                continue
            same = value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
            file = str(item.properties.get(FILE, item.id))
            kinds.setdefault(what, {}).setdefault(same, file)
    for what, files in kinds.items():
        if len(files) > 1:
            values = sorted(f"{file} has {_plain(value)}" for value, file in files.items())
            raise BuildError(
                f"{short(items[0].properties['stacbuild:data_id'])}: its files differ in {what} "
                f"({', '.join(values)}); they cannot be one variable; make a dataset of each kind, "
                "or convert the files to one"
            )


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(_plain, value)) or "none"
    return str(value)


def _distinct(items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return the first item of each description of values, as thousands of files share one."""
    found: dict[str, pystac.Item] = {}
    for item in items:
        fields = item.assets["data"].extra_fields
        key = repr({name: each for name, each in fields.items() if name not in _OF_FILE})
        found.setdefault(key, item)
    return list(found.values())
