"""A configuration for files on this machine: a dataset for each data id, on its own grid."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from stacbuild.config import load_config
from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import ConfigError, StacbuildError
from stacbuild.geo.bbox import BBox, Resolution, sides
from stacbuild.geo.crs import short_crs, transformer
from stacbuild.geo.crs_text import canonical_crs
from stacbuild.loading.own_grid import own_grid
from stacbuild.sources.file_names import precision
from stacbuild.sources.first_configuration import (
    SCHEMA,
    as_json,
    free_name,
    name_of,
    plain_name,
    short_number,
)
from stacbuild.stac.item_time import is_undated

if TYPE_CHECKING:
    import datetime as dt

    import pystac

    from stacbuild.sources.own_file_groups import FileGroup
    from stacbuild.sources.own_files import OwnFiles

_MOST_LISTED = 200


@dataclass(frozen=True)
class PlacedFiles:
    """Files that become a cube, and the grid that they are on.

    Parameters
    ----------
    name
        Identifier of the dataset.
    crs
        An authority and code, or WKT.
    resolution
        Width and height of a pixel in units of the CRS.
    refused
        Why their own grid cannot be that of a cube; empty if it can.
    """

    name: str
    group: FileGroup
    crs: str
    resolution: tuple[float, float]
    bounds: BBox
    refused: str = ""

    @property
    def grid_key(self) -> tuple[str, str]:
        """What cubes on one grid share, apart from their extent."""
        return self.crs, f"{self.resolution[0]:.9g} {self.resolution[1]:.9g}"


@dataclass(frozen=True)
class OneGrid:
    """A grid for all cubes; None means that of the files."""

    crs: str | None = None
    resolution: Resolution | None = None
    bbox: BBox | None = None

    @property
    def is_stated(self) -> bool:
        """Whether anything is stated."""
        return (self.crs, self.resolution, self.bbox) != (None, None, None)


def place_files(found: OwnFiles) -> list[PlacedFiles]:
    """Return each group of files with a name and its grid."""
    taken: set[str] = set()
    placed = []
    for group in found.groups:
        name = free_name(name_of(group.label or found.root.name), taken)
        taken.add(name)
        placed.append(_placed(name, group))
    return placed


def _placed(name: str, group: FileGroup) -> PlacedFiles:
    items = [file.item for file in group.files]
    grid = group.files[0].grid
    a, b, _, d, e, _ = grid.transform
    resolution = math.hypot(a, d), math.hypot(b, e)
    bounds = [file.grid.bounds for file in group.files]
    whole = (
        min(each[0] for each in bounds),
        min(each[1] for each in bounds),
        max(each[2] for each in bounds),
        max(each[3] for each in bounds),
    )
    try:
        variable = SourceVariable(store="files", data_id=group.files[0].path)
        own = own_grid(variable, items)
    except StacbuildError as error:
        why = str(error).partition("cannot be that of a cube: ")[2].partition("; name one")[0]
        return PlacedFiles(name, group, grid.crs, resolution, whole, why or str(error))
    return PlacedFiles(name, group, own.crs, resolution, own.bounds)


def shared_grid(placed: Sequence[PlacedFiles]) -> PlacedFiles:
    """Return the files whose grid most of them share, the finest and widest of several."""
    counts = Counter(each.grid_key for each in placed)
    return max(
        placed,
        key=lambda each: (
            counts[each.grid_key],
            -each.resolution[0],
            (each.bounds[2] - each.bounds[0]) * (each.bounds[3] - each.bounds[1]),
        ),
    )


def grid_for(placed: Sequence[PlacedFiles], stated: OneGrid) -> OneGrid:
    """Return a whole grid: what is stated, completed by that of the files.

    Raises
    ------
    ConfigError
        A CRS other than that of the files is stated without a resolution.
    """
    try:
        crs = canonical_crs(stated.crs) if stated.crs else None
    except ValueError as error:
        raise ConfigError(f"--crs: {error}") from None
    same = [each for each in placed if crs is None or each.crs == crs]
    source = shared_grid(same or placed)
    crs = crs or source.crs
    if stated.resolution is None and not same:
        raise ConfigError(f"the files are not in {crs}, so give the pixel size in its units: --res")
    resolution = stated.resolution or source.resolution
    bbox = stated.bbox or source.bounds
    if not same and stated.bbox is None:
        west, south, east, north = transformer(source.crs, crs).transform_bounds(
            *source.bounds, densify_pts=21
        )
        x, y = sides(resolution)
        bbox = (
            math.floor(west / x) * x,
            math.floor(south / y) * y,
            math.ceil(east / x) * x,
            math.ceil(north / y) * y,
        )
    return OneGrid(crs, resolution, bbox)


def _tidy(value: float) -> float:
    """Return a number without the rounding error of a computation."""
    return float(f"{value:.12g}")


def files_configuration(
    found: OwnFiles, placed: Sequence[PlacedFiles], grid: OneGrid | None, file: Path
) -> str:
    """Return the text of a configuration that builds a cube of each group, with comments.

    Parameters
    ----------
    grid
        The grid of all cubes, from `grid_for`; None: each is on the grid of its files.
    file
        Path that the text will be written to.

    Raises
    ------
    ConfigError
        With a line for each mistake.
    """
    # Cubes of two configurations never share a folder, as their names may be the same.
    folder = "cubes" if file.stem == "stacbuild" else f"{file.stem}_cubes"
    lines = [
        *_head(found),
        *_datasets(placed, grid, folder),
        *_stores(found.root, file, folder),
        *_grids(placed, grid),
    ]
    text = "\n".join(lines) + "\n"
    load_config(yaml.safe_load(text), base_dir=_folder_of(file))
    return text


def _head(found: OwnFiles) -> Iterator[str]:
    yield f"# yaml-language-server: $schema=./{SCHEMA}"
    yield "# Cubes of the files in the store `files`, one for each dataset."
    yield "#   stacbuild plan    shows what would be done"
    yield "#   stacbuild cube    does it"
    if found.unreadable:
        yield "# Left out:"
        yield from (f"#   {_comment(line)}" for line in found.unreadable[:_MOST_LISTED])
    yield ""


def _datasets(placed: Sequence[PlacedFiles], grid: OneGrid | None, folder: str) -> Iterator[str]:
    yield "datasets:"
    for each in placed:
        yield f"  # {_comment(describe_files(each))}"
        yield f"  - identifier: {plain_name(each.name)}  # becomes {folder}/{each.name}.zarr"
        yield "    store: files"
        data_id = each.group.data_id
        if isinstance(data_id, str):
            yield f"    data_id: {as_json(data_id)}"
        else:
            yield "    data_id:"
            yield from (f"      - {as_json(path)}" for path in data_id)
        if grid is not None:
            yield "    grid_mapping: grid"
        elif each.refused:
            yield f"    grid_mapping: {as_json(f'{each.name}_grid')}  # {_comment(each.refused)}"
        else:
            yield "    # grid_mapping: that of the files, if there is none"
    yield ""


def _stores(root: Path, file: Path, folder: str) -> Iterator[str]:
    yield "data_stores:"
    yield "  - identifier: storage  # where cubes are written"
    yield "    store_id: file"
    yield "    store_params:"
    yield f"      root: {as_json(folder)}  # a folder beside this file"
    yield "  - identifier: files"
    yield "    store_id: file"
    yield "    store_params:"
    yield f"      root: {as_json(_relative(root, file))}"
    yield ""


def _folder_of(file: Path) -> Path:
    # Links are kept, as a user wrote them.
    return Path(os.path.abspath(file)).parent  # noqa: PTH100


def _relative(root: Path, file: Path) -> str:
    folder = _folder_of(file)
    above = Path(os.path.commonpath([root, folder]))
    # A configuration and its files are moved together if they have a folder in common.
    near = above in (folder, folder.parent) and above != Path(above.anchor)
    return Path(os.path.relpath(root, folder)).as_posix() if near else root.as_posix()


def _grids(placed: Sequence[PlacedFiles], grid: OneGrid | None) -> Iterator[str]:
    grids = [("grid", grid)] if grid is not None else [
        (f"{each.name}_grid", OneGrid(each.crs, each.resolution, each.bounds))
        for each in placed if each.refused
    ]  # fmt: skip
    mark = ""
    if not grids:
        # As a comment, a grid to start from.
        yield "# To build cubes on another grid, write grid_mapping: grid into their datasets, and:"
        grids, mark = [("grid", grid_for(placed, OneGrid()))], "# "
    yield f"{mark}grid_mappings:"
    for name, each in grids:
        assert each is not None and each.bbox and each.resolution  # noqa: S101, PT018 - complete
        yield f"{mark}  - identifier: {plain_name(name)}"
        yield f"{mark}    crs: {as_json(each.crs)}"
        bbox = as_json([short_number(_tidy(value)) for value in each.bbox])
        yield f"{mark}    bbox: {bbox}  # west, south, east, north"
        size = [short_number(_tidy(side)) for side in sides(each.resolution)]
        shown = as_json(size[0] if size[0] == size[1] else size)
        yield f"{mark}    spatial_res: {shown}  # in the units of the CRS"


def describe_files(placed: PlacedFiles) -> str:
    """Return one line: number of files, times, CRS, size of pixels, extent, data type."""
    files = placed.group.files
    fields = files[0].item.assets["data"].extra_fields
    bands = len(fields.get("bands", ()))
    west, south, east, north = placed.bounds
    count = f"{len(files)} file{'s' * (len(files) != 1)}"
    if dates := _dates(placed.group):
        count = f"{count}, {' to '.join(dates)}"
    crs = short_crs(placed.crs)
    sizes = dict.fromkeys(f"{side:.6g}" for side in placed.resolution)
    parts = [
        count,
        f"{crs}, pixels of {' x '.join(sizes)}",
        f"bbox {west:.8g}, {south:.8g}, {east:.8g}, {north:.8g}",
    ]
    if bands > 1:
        parts.append(f"{bands} bands")
    if "data_type" in fields:
        parts.append(str(fields["data_type"]))
    if variables := files[0].item.properties.get("cube:variables"):
        parts.append(", ".join(map(str, variables)))
    if not dates and len(files) == 1 and files[0].time:
        template = as_json(files[0].name.template)
        parts.append(f"no time, as its name may mean another; if it is one, data_id: {template}")
    return "; ".join(parts)


def _dates(group: FileGroup) -> list[str]:
    """Return the first and the last date that a harvest gives the files; empty without times."""
    files = group.files
    undated = any(is_undated(file.item.properties) for file in files)
    named = sorted(file.time for file in files if file.time)
    if "{time:" in group.data_id and (undated or not _has_arrays(files[0].item)):
        # A pattern counts for more than the header of a raster.
        first, last = named[0], named[-1]
    elif undated:
        return []
    else:
        periods = [_period(file.item) for file in files]
        first, last = min(each[0] for each in periods), max(each[1] for each in periods)
        if all(file.time == start for file, (start, _) in zip(files, periods, strict=True)):
            last = max(start for start, _ in periods)
    form = "%Y-%m-%d"
    if first in {file.time for file in files}:
        form = precision(files[0].name.template)
    return list(dict.fromkeys(f"{time:{form}}" for time in (first, last)))


def _has_arrays(item: pystac.Item) -> bool:
    return "cube:variables" in item.properties


def _period(item: pystac.Item) -> tuple[dt.datetime, dt.datetime]:
    common = item.common_metadata
    start, end = common.start_datetime or item.datetime, common.end_datetime or item.datetime
    assert start and end  # noqa: S101, PT018 - the item has a time
    return start, end


def _comment(line: str) -> str:
    return " ".join(line.split())[:300]
