"""Regions of interest of a configuration: the extent of a grid, and the polygons of a cube."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild import progress
from stacbuild.config.code import CodeError
from stacbuild.config.regions import find_region
from stacbuild.errors import ConfigError, LocalError
from stacbuild.geo.bbox import check_bbox

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset, GridMapping
    from stacbuild.formats.vector import Features
    from stacbuild.geo.bbox import BBox
    from stacbuild.geo.region import Region


def extent_of(config: Config, mapping: GridMapping) -> BBox:
    """Return the bbox of a grid mapping: the numbers, or the bounds of its vector file.

    Raises
    ------
    ConfigError
        If the bounds of the file cannot be those of the grid.
    LocalError
        If the file cannot be read.
    """
    if not isinstance(mapping.bbox, str):
        return mapping.bbox
    # Imported late: not needed for numbers.
    from stacbuild.geo.crs_text import canonical_crs
    from stacbuild.geo.region import bounds_on_grid

    features = _features(config, mapping.bbox)
    crs, size = canonical_crs(mapping.crs), mapping.spatial_res
    try:
        bbox = bounds_on_grid(features.geometries, features.crs, crs, size)
        check_bbox(bbox, crs, size)
    except ValueError as error:
        raise ConfigError(
            f"grid_mappings.{mapping.identifier}.bbox: {mapping.bbox}: {error}"
        ) from error
    return bbox


def region_of(config: Config, dataset: Dataset) -> Region | None:
    """Return the polygons that a dataset is clipped to; None if it is not.

    Raises
    ------
    ConfigError
        If the file has no polygons, or has other geometries.
    LocalError
        If the file cannot be read.
    """
    if dataset.clip is None:
        return None
    from stacbuild.geo.region import Region

    features = _features(config, dataset.clip)
    try:
        region, warnings = Region.of(features.geometries, features.crs)
    except ValueError as error:
        raise ConfigError(f"{dataset.identifier}: clip: {dataset.clip} {error}") from error
    for warning in warnings:
        progress.warn(f"{dataset.identifier}: clip: {dataset.clip}: {warning}")
    return region


def region_digest(config: Config, dataset: Dataset) -> dict[str, str]:
    """Return a digest of the file that a dataset is clipped to, by its path; empty if none.

    Raises
    ------
    LocalError
        If the file cannot be read.
    """
    if dataset.clip is None:
        return {}
    from stacbuild.formats.vector import digest_of

    path, _ = _found(config, dataset.clip)
    return {dataset.clip: digest_of(path)}


def _found(config: Config, value: str) -> tuple[Path, str | None]:
    try:
        return find_region(value, config.directory)
    except CodeError as error:
        raise LocalError(str(error)) from error


def _features(config: Config, value: str) -> Features:
    path, layer = _found(config, value)
    status = path.stat()
    return _read(path, layer, (status.st_size, status.st_mtime_ns))


# A plan asks for the extent of a grid several times.
@lru_cache(maxsize=8)
def _read(path: Path, layer: str | None, _: tuple[int, int]) -> Features:
    from stacbuild.formats.vector import read_features

    return read_features(path, layer)
