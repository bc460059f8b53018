"""Description of a data id, from the items that a harvest would make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.config.data_ids import check_patterns
from stacbuild.config.store import Store
from stacbuild.config.stores import kinds_that
from stacbuild.errors import ConfigError, NotFoundError
from stacbuild.formats.file_format import MEDIA_TYPES, Format
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted, asset_describer_of, describer_of, harvester_of
from stacbuild.stac.data_href import GROUP
from stacbuild.stac.extensions import ALPHA, MASK, SCALING
from stacbuild.stac.files import store_kind
from stacbuild.stac.item_time import FILE, is_undated
from stacbuild.stac.scenes import all_views, by_asset, is_acquisition, is_on_s3

if TYPE_CHECKING:
    import pystac

Json = dict[str, Any]

_CLASSES = "classification:classes"
_TILED = kinds_that(lambda model: model.is_tiled)

_MASKS = {
    "mask": "in the file",
    "alpha": "opacity (alpha band)",
    "values": "where all bands have their nodata values",
}


def describe(store: Store, data_id: str) -> Json:
    """Return the metadata of a data id that a harvest finds, without fetching its data.

    A list of files is its canonical text, see `stacbuild.config.data_ids`.

    Raises
    ------
    ConfigError
        A pattern has a field that cannot be read.
    StacbuildError
        From its harvester; NotFoundError if there is no item.
    """
    if store.has_files:
        try:
            check_patterns(data_id)
        except ValueError as error:
            raise ConfigError(f"data_id: {error}") from error
    if not store.described_in_place:
        return describer_of(store).describe(store, data_id)
    if store.has_scenes and (stated := asset_describer_of(store).describe_assets(store, data_id)):
        return stated
    items: list[pystac.Item] = []
    license_ = None
    wanted = Wanted((data_id,), folders=_own_cubes(store, data_id))
    for found in harvester_of(store).harvest(store, wanted, Profiles.load(())):
        # Archives have an item for each member.
        mine = [each for each in found.items if each.properties["stacbuild:data_id"] == data_id]
        if mine:
            license_ = found.collection.license
            items += mine
    if not items:
        raise NotFoundError(f"{data_id}: is not known before its archive is preloaded")
    options = store.options_of(all(map(is_on_s3, items)))
    return describe_items(data_id, items, license_, options)


def _own_cubes(store: Store, data_id: str) -> tuple[Path, ...]:
    if store.catalog_folder is None:
        return ()
    # Imported when used: other stores do not need it.
    from stacbuild.sources.stac.own_cubes import cubes_of

    return cubes_of(store.catalog_folder, data_id)


def describe_items(
    data_id: str, items: Sequence[pystac.Item], license_: str | None, options: Json
) -> Json:
    """Return the metadata of the items of a data id; several are tiles."""
    grouped = by_asset(all_views(items))
    if len(grouped) == 1:
        return _describe_asset(data_id, next(iter(grouped.values())), license_, options)
    assets = {
        name: _describe_asset(data_id, each, license_, options) for name, each in grouped.items()
    }
    first = next(iter(assets.values()))
    shared = {key: value for key, value in first.items() if key in _OF_SCENE}
    for each in assets.values():
        for key in ("data_id", *_OF_SCENE):
            each.pop(key, None)
    return {"data_id": data_id, **shared, "assets": assets}


_OF_SCENE = ("title", "description", "scenes", "tiles", "bbox", "times", "license", "note")


def _describe_asset(
    data_id: str, items: Sequence[pystac.Item], license_: str | None, options: Json
) -> Json:
    first = items[0]
    asset = first.assets["data"]
    properties, fields = first.properties, asset.extra_fields
    transform = properties.get("proj:transform")
    bboxes = [item.bbox for item in items if item.bbox]
    metadata: Json = {
        "data_id": data_id,
        "title": properties.get("title"),
        "description": properties.get("description"),
        "long_name": asset.title if asset.title != properties.get("title") else None,
        "type": _type(first),
        "href": asset.href,
        "scenes": len(items) if len(items) > 1 and is_acquisition(first) else None,
        "tiles": len(items)
        if len(items) > 1 and FILE not in first.properties and not is_acquisition(first)
        else None,
        "files": [_file(item) for item in items] if FILE in first.properties else None,
        "crs": properties.get("proj:code") or properties.get("proj:wkt2"),
        "shape": properties.get("proj:shape"),
        "resolution": [abs(transform[0]), abs(transform[4])] if transform else None,
        "bounds": properties.get("proj:bbox"),
        "bbox": [
            min(bbox[0] for bbox in bboxes),
            min(bbox[1] for bbox in bboxes),
            max(bbox[2] for bbox in bboxes),
            max(bbox[3] for bbox in bboxes),
        ]
        if bboxes
        else None,
        "times": _times_of_all(items),
        "data_type": fields.get("data_type"),
        "bands": [_band(band) for band in fields.get("bands", ())] or None,
        "nodata": _of_bands(fields, "nodata"),
        "mask": _MASKS.get(fields.get(MASK, "")),
        "unit": _of_bands(fields, "unit", "none"),
        "scale": _of_bands(fields, "raster:scale", 1),
        "offset": _of_bands(fields, "raster:offset", 0),
        "scaling": fields.get(SCALING),
        "classes": classes_of(fields) or None,
        "bits": bits_of(fields) or None,
        "size": fields.get("file:size"),
        "variables": _variables(properties["cube:variables"], asset, options)
        if "cube:variables" in properties
        else None,
        "license": properties.get("license") or license_,
    }
    if "archive" in fields:
        metadata["note"] = "is in an archive; its header can be read once that is preloaded"
    elif metadata["variables"] is None:
        metadata["chunks"] = _blocks(asset, options)
    notes = [metadata["note"]] if "note" in metadata else []
    if len(items) > 1 and not notes:
        notes.append("href, shape, bounds and size are those of the first file")
    if metadata["times"] and not _has_dimension(items):
        notes.append("the cube has no dimension time, as all is of one time, which its item states")
    metadata["note"] = "; ".join(notes) or None
    return {key: value for key, value in metadata.items() if value is not None}


def _type(item: pystac.Item) -> str | None:
    """Return the format of an item's asset."""
    from stacbuild.stac.raster_item import CLOUD_OPTIMIZED, JPEG_2000, MEDIA_TYPE

    media = item.assets["data"].media_type
    known = {text: str(kind) for kind, text in MEDIA_TYPES.items()}
    known |= {
        JPEG_2000: str(Format.JPEG2000),
        MEDIA_TYPE: str(Format.GEOTIFF),
        CLOUD_OPTIMIZED: f"{Format.GEOTIFF}, cloud-optimized",
    }
    return known.get(media or "", "Zarr" if "cube:variables" in item.properties else media)


def _band(band: Json) -> str:
    """Return name and description of a band."""
    description = band.get("description")
    if band.get(ALPHA):
        description = f"{description}, opacity" if description else "opacity"
    if not description or description == band["name"]:
        return str(band["name"])
    return f"{band['name']} ({description})"


def _of_bands(fields: Json, key: str, neutral: Any = None) -> Any:
    """Return the value of a field of all bands, or of each where they differ; None if missing."""
    bands = [band for band in fields.get("bands", ()) if not band.get(ALPHA)]
    if not any(key in band for band in bands):
        return fields.get(key)
    return [band.get(key, fields.get(key, neutral)) for band in bands]


def classes_of(fields: Json) -> list[str]:
    """Return the classes of a raster: value, title and colour; of bands that differ, by band."""
    found = [_class(entry) for entry in fields.get(_CLASSES, ())]
    return found + [
        f"{band['name']}: {_class(entry)}"
        for band in fields.get("bands", ())
        for entry in band.get(_CLASSES, ())
    ]


def bits_of(fields: Json) -> list[str]:
    """Return the bit fields of a raster: number of the bit, or first and last, and name."""
    found = []
    for entry in fields.get("classification:bitfields", ()):
        first, last = entry["offset"], entry["offset"] + entry["length"] - 1
        numbers = f"{first}" if first == last else f"{first}-{last}"
        found.append(f"{numbers} {entry.get('name') or entry.get('description') or ''}".rstrip())
    return found


def _class(entry: Json) -> str:
    colour = f" #{entry['color_hint'].lower()}" if "color_hint" in entry else ""
    nodata = " (nodata)" if entry.get("nodata") else ""
    return f"{entry['value']} {entry.get('title') or entry['name']}{colour}{nodata}"


def _blocks(asset: pystac.Asset, options: Json) -> list[int]:
    # Imported when used: Zarr stores do not need GDAL.
    from stacbuild.formats.geotiff import open_raster

    with open_raster(_address(asset, options), storage_options=options) as raster:
        return list(raster.block_shapes[0])


def _variables(variables: Json, asset: pystac.Asset, options: Json) -> Json:
    """Return the metadata of each variable, with its shape from the store."""
    import zarr

    from stacbuild.formats.cf_flags import legend_of
    from stacbuild.formats.zarr_crs import is_grid_mapping
    from stacbuild.formats.zarr_store import open_group
    from stacbuild.stac.datacube import LEFT_OUT

    address = _address(asset, options)
    inner = asset.extra_fields.get(GROUP)
    group = open_group(f"{address}/{inner}" if inner else address, options)
    layout = ("dimensions", "data_type", "shape", "chunks", "shards")
    keys = (*layout, "unit", "nodata", "title", LEFT_OUT)
    found = {}
    for name, variable in variables.items():
        # Variables that cannot be read are not in the group.
        array = None if LEFT_OUT in variable else group[name]
        if array is not None and not variable["dimensions"] and is_grid_mapping(array.attrs):
            continue
        if isinstance(array, zarr.Array):
            variable = variable | {"shape": list(array.shape)}
        shown = {key: variable[key] for key in keys if key in variable}
        attrs = {} if array is None or LEFT_OUT in variable else dict(array.attrs)
        for key, ours in (("scale_factor", "scale"), ("add_offset", "offset")):
            if isinstance(attrs.get(key), int | float):
                shown[ours] = attrs[key]
        classes = [_class(entry) for entry in variable.get(_CLASSES, ())]
        if not classes and (legend := legend_of(attrs)):
            classes = [f"{value} {meaning}" for value, meaning in legend.items()]
        found[name] = shown | ({"classes": classes} if classes else {})
    return found


def _address(asset: pystac.Asset, options: Json) -> str:
    """Return the href of an asset, on S3 if there are credentials."""
    s3 = asset.extra_fields.get("alternate", {}).get("s3") if options else None
    return str(s3["href"] if s3 else asset.href)


def _file(item: pystac.Item) -> str:
    """Return the path of a file, and its time if it is known."""
    times = "" if is_undated(item.properties) else f" ({' to '.join(_times(item)[:2])})"
    return f"{item.properties[FILE]}{times}"


def _times_of_all(items: Sequence[pystac.Item]) -> list[str] | None:
    """Return the times of the first item, or of all files or scenes; None if there are none."""
    if len(items) > 1 and is_acquisition(items[0]):
        return sorted({time for item in items for time in _times(item)}) or None
    if len(items) > 1 and FILE in items[0].properties:
        dated = (item.properties for item in items if not is_undated(item.properties))
        return sorted({str(properties["start_datetime"]) for properties in dated}) or None
    return _times(items[0]) or None


def _has_dimension(items: Sequence[pystac.Item]) -> bool:
    """Return whether the times of items become a dimension of a cube."""
    dimensions = items[0].properties.get("cube:dimensions", {}).values()
    if any(dimension.get("type") == "temporal" for dimension in dimensions):
        return True
    bands = items[0].assets["data"].extra_fields.get("bands", [])
    if is_acquisition(items[0]) or any("start_datetime" in band for band in bands):
        return True
    # Tiles that no data id names as files are of one time, whatever their items state.
    if store_kind(items[0]) in _TILED and FILE not in items[0].properties:
        return False
    return len({item.properties.get("start_datetime") for item in items}) > 1


def _times(item: pystac.Item) -> list[str]:
    bands = item.assets["data"].extra_fields.get("bands", [])
    starts = [band["start_datetime"] for band in bands if "start_datetime" in band]
    for dimension in item.properties.get("cube:dimensions", {}).values():
        if dimension.get("type") == "temporal":
            starts = dimension.get("values") or dimension.get("extent") or starts
    if starts:
        return list(starts)
    if is_undated(item.properties):
        return []
    own = [item.properties.get(key) for key in ("start_datetime", "end_datetime")]
    if None not in own:
        return [str(each) for each in own]
    return [f"{item.datetime:%Y-%m-%dT%H:%M:%SZ}"] if item.datetime else []
