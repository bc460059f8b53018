"""Masks of scenes: ``open_params.mask`` as the quality layer and the rule of each scene.

Names of bits and classes are those of the item. Resolving reads items only, no files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac

from stacbuild import progress
from stacbuild.errors import BuildError
from stacbuild.geo.crs import same_crs
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.mask_reader import TileMask
from stacbuild.loading.mask_rules import Rule
from stacbuild.loading.mask_tables import Table, known_table
from stacbuild.loading.scene_errors import SceneAsset
from stacbuild.nodata import held, to_json
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.data_href import data_href
from stacbuild.stac.extensions import HEADER, MASK
from stacbuild.stac.files import store_kind
from stacbuild.stac.scenes import DATA, QUALITY, asset_of, is_scene, with_properties

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable
    from stacbuild.config.scenes import Mask

Json = dict[str, Any]

MASKS = "stacbuild:masks"
"""Property of an item in memory: the `TileMask` of each mask of the configuration."""

_CLASSES, _BITS = "classification:classes", "classification:bitfields"


def scene_asset(item: pystac.Item) -> SceneAsset | None:
    """Return what messages about a file name: item and asset of a scene; None of other items."""
    return SceneAsset(item.id, asset_of(item)) if is_scene(item) else None


def with_masks(variable: SourceVariable, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return views of scenes with the masks of ``open_params`` in the property `MASKS`.

    Parameters
    ----------
    items
        From `stacbuild.stac.scenes.views`; each has the assets of the masks.

    Raises
    ------
    BuildError
        If the asset of a mask has no such bit, class or value; names what it has.
    """
    masks = variable.open_params.masks
    if not masks:
        return list(items)
    found = []
    for item in items:
        own = tuple(_Layer(variable.label, item, mask).mask() for mask in masks)
        found.append(with_properties(item, {MASKS: own}))
    return found


def quality_names(
    variable: SourceVariable, assets: Mapping[str, Sequence[pystac.Item]]
) -> frozenset[str]:
    """Return what the variables of a cube are called whose assets have classes or bits.

    Few providers state what these mean, by which they could be told from numbers.
    """
    names = [name for name, views in assets.items() if is_quality(views)]
    return frozenset([*names, *(f"{variable.identifier}_{name}" for name in names)])


def is_quality(views: Sequence[pystac.Item]) -> bool:
    """Return whether the asset of views has classes or bits."""
    return QUALITY in (views[0].assets[DATA].roles or ())


def note_masks(variable: SourceVariable, items: Sequence[pystac.Item]) -> None:
    """Report masks whose items do not state what the values mean, and how they are read.

    Masks that do not cover the bands are a warning.

    Parameters
    ----------
    items
        From `with_masks`.
    """
    masks = [(item, mask) for item in items for mask in item.properties.get(MASKS, ())]
    tables = {mask.scene.asset: mask.table for _, mask in masks if mask.table}
    for asset, table in tables.items():
        progress.say(
            f"{variable.label}: the items do not state what the values of {asset} mean; they are "
            f"read as those of {table}"
        )
    beyond = {
        mask.scene.asset: item.id
        for item, mask in masks
        if not _covers(mask.grid, PixelGrid.from_properties(item.properties))
    }
    for asset, item_id in beyond.items():
        progress.warn(
            f"{variable.label}: mask: {asset} does not cover all pixels of its scenes, such as of "
            f"item {item_id}; those beyond it are masked"
        )


def _covers(layer: PixelGrid, band: PixelGrid) -> bool:
    """Return whether a layer covers a band, up to a pixel of it, as far as their edges tell."""
    if not (same_crs(layer.crs, band.crs) and layer.is_aligned and band.is_aligned):
        return True
    width, height = abs(layer.transform[0]), abs(layer.transform[4])
    (west, south, east, north), other = layer.bounds, band.bounds
    return (
        west <= other[0] + width
        and south <= other[1] + height
        and east >= other[2] - width
        and north >= other[3] - height
    )


class _Layer:
    """The asset of one item that a mask names."""

    def __init__(self, label: str, item: pystac.Item, mask: Mask) -> None:
        self._item, self._mask = item, mask
        self._where = f"{label}: mask: item {item.id}, asset {mask.asset}"
        self._asset = item.assets[mask.asset]
        fields = self._asset.extra_fields
        bands = fields.get("bands") or fields.get("raster:bands") or [{}]
        self._fields: Json = fields | bands[0]
        self._variable = ""
        if "cube:variables" in fields:
            self._variable = self._only_variable(fields)
            self._fields = fields | fields["cube:variables"][self._variable]
        # By which its values are read, if the item does not state what they mean.
        self._table: Table | None = None

    def mask(self) -> TileMask:
        """Return the layer with its rule."""
        asset, fields = self._asset, self._fields
        missing = {"proj:transform", "proj:shape"} - fields.keys()
        if missing:
            raise BuildError(
                f"{self._where}: does not state {' and '.join(sorted(missing))}; run stacbuild "
                "harvest again"
            )
        rule = self._rule()
        return TileMask(
            href=data_href(asset),
            variable=self._variable,
            grid=PixelGrid.from_properties({**self._item.properties, **fields}),
            rule=rule,
            scene=SceneAsset(self._item.id, self._mask.asset),
            masked=bool(fields.get(MASK)),
            size=fields.get("file:size"),
            kind=store_kind(self._item),
            version=fields.get(SERVED, ""),
            header=fields.get(HEADER, ""),
            dtype=fields.get("data_type", ""),
            table=self._table.name if self._table else "",
        )

    def _only_variable(self, fields: Json) -> str:
        """Return the variable of a layer in a Zarr group, which has one with rows and columns."""
        axes = {each.get("axis"): name for name, each in fields["cube:dimensions"].items()}
        flat = [
            name
            for name, entry in fields["cube:variables"].items()
            if entry["type"] == "data" and entry["dimensions"] == [axes.get("y"), axes.get("x")]
        ]
        if len(flat) != 1:
            known = ", ".join(fields["cube:variables"])
            raise BuildError(
                f"{self._where}: is a Zarr group of {known}; name an asset with one variable, "
                "whose dimensions are rows and columns"
            )
        return str(flat[0])

    def _rule(self) -> Rule:
        mask = self._mask
        invert, dilate = bool(mask.invert), mask.dilate or 0
        if mask.bits is not None:
            tests = tuple(test for each in mask.bits for test in self._tests(each))
            return Rule((), tests, invert, dilate)
        if mask.classes is not None:
            values = tuple(value for name in mask.classes for value in self._values(name))
        else:
            values = tuple(mask.values or ())
        return Rule(tuple(self._held(value) for value in values), (), invert, dilate)

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(self._fields.get("data_type", "uint8"))

    def _held(self, value: float) -> float:
        own = held(value, self._dtype)
        if own is None or own != value:
            raise BuildError(f"{self._where}: its {self._dtype} cannot be {to_json(value)}")
        return own

    def _tests(self, asked: str | int) -> list[tuple[int, int]]:
        """Return the tests of an entry of ``bits``: a number, a name, or ``name=class``."""
        if self._dtype.kind not in "iu":
            raise BuildError(
                f"{self._where}: holds {self._dtype}, which has no bits; state values instead"
            )
        width = 8 * self._dtype.itemsize
        if isinstance(asked, int):
            if not 0 <= asked < width:
                raise BuildError(f"{self._where}: has no bit {asked} in its {width} bits")
            return [(1 << asked, 1 << asked)]
        name, _, wanted = (part.strip() for part in asked.partition("="))
        fields = self._stated(_BITS, "bits")
        chosen = [each for each in fields if _plain(each.get("name", "")) == _plain(name)]
        if not chosen:
            known = ", ".join(str(each.get("name")) for each in fields)
            raise BuildError(f"{self._where}: has no bits {name!r}; it has {known}")
        tests = []
        for field in chosen:
            offset, length = int(field["offset"]), int(field.get("length", 1))
            if offset + length > width:
                raise BuildError(
                    f"{self._where}: its bits {name!r} are beyond the {width} bits of its pixels"
                )
            ones = ((1 << length) - 1) << offset
            tests += [(ones, value << offset) for value in self._field_values(field, wanted)]
        return tests

    def _field_values(self, field: Json, wanted: str) -> list[int]:
        """Return the values of a bit field that are asked for; 1 of a single bit by default."""
        name, length = field["name"], int(field.get("length", 1))
        classes = field.get("classes") or []
        if not wanted and length == 1:
            return [1]
        if wanted.isdecimal() and int(wanted) < 1 << length:
            return [int(wanted)]
        found = [int(each["value"]) for each in classes if wanted and _is_called(each, wanted)]
        if found:
            return found
        known = ", ".join(f"{each['value']} ({each.get('name', '')})" for each in classes)
        problem = f"has no value {wanted!r}" if wanted else f"are {length} bits"
        raise BuildError(
            f"{self._where}: its bits {name!r} {problem}; ask for one of its values as "
            f"'{name}=<value or class>': {known or f'0 to {(1 << length) - 1}'}"
        )

    def _values(self, name: str) -> list[float]:
        """Return the values of a class."""
        classes = self._stated(_CLASSES, "classes")
        found = [each["value"] for each in classes if _is_called(each, name)]
        if not found:
            known = ", ".join(f"{each.get('name')} ({each['value']})" for each in classes)
            raise BuildError(f"{self._where}: has no class {name!r}; it has {known}")
        return found

    def _stated(self, field: str, what: str) -> list[Json]:
        """Return the classes or bit fields of the item, or else of a known layer."""
        # Entries of a colour table have numbers, and no meaning.
        known = {
            _CLASSES: [
                each
                for each in self._fields.get(_CLASSES) or ()
                if each.get("name") != f"class_{each['value']}"
            ],
            _BITS: list(self._fields.get(_BITS) or ()),
        }
        if found := known[field]:
            return found
        own = {key for key, entries in known.items() if entries}
        table = None if own else known_table(self._item, self._mask.asset)
        if table is not None and field in table.fields:
            self._table = table
            return list(table.fields[field])
        other = own or (table.fields.keys() if table else set())
        advice = (
            f", but {'classes' if _CLASSES in other else 'bits'}; name those"
            if other
            else "; state values, or numbers of bits"
        )
        raise BuildError(f"{self._where}: its item states no {what} ({field}){advice}")


def _is_called(entry: Json, name: str) -> bool:
    return _plain(name) in {_plain(str(entry.get(key, ""))) for key in ("name", "title")}


def _plain(name: str) -> str:
    """Return a name as it is compared: without case, and any separator is one ``_``."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
