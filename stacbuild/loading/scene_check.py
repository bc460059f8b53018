"""Check before a build that the files of scenes can be read, and are as their items state.

A scene of which any file is unreadable is unusable for the whole cube: no variable may have pixels
of it where another one has none.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pystac

from stacbuild.errors import BuildError, StacbuildError
from stacbuild.geo.coverage import touches
from stacbuild.geo.grid import PixelGrid
from stacbuild.loading.area import items_within
from stacbuild.loading.dataset import through_s3
from stacbuild.loading.grouping import grouped
from stacbuild.loading.masks import MASKS, scene_asset
from stacbuild.loading.pool import zarr_dataset
from stacbuild.loading.scene_assets import chosen_assets, lacking_assets, usable
from stacbuild.loading.scene_errors import SceneAsset, named
from stacbuild.stac.checksums import SERVED
from stacbuild.stac.data_href import data_href
from stacbuild.stac.scenes import is_scene
from stacbuild.troubles import UNREADABLE, Troubles

if TYPE_CHECKING:
    from stacbuild.config import SourceVariable

# Files that are opened at the same time.
_THREADS = 16

Problems = dict[SceneAsset, StacbuildError]
"""Why assets of scenes cannot be used."""


def unreadable(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    target: PixelGrid,
    options: Mapping[str, Any],
) -> Problems:
    """Open each file of scenes that a cube needs, and return why assets cannot be used.

    Pixels are not read. If a server keeps failing, the remaining files are not opened.

    Parameters
    ----------
    items
        Views of scenes; those of other items are not opened.
    target
        The grid of the cube. Scenes that do not touch it are not opened.
    options
        Storage options for fsspec.
    """
    found: Problems = {
        SceneAsset(item, asset): BuildError(f"has no asset {asset!r}")
        for item, assets in lacking_assets(variable, items).items()
        for asset in assets
    }
    lacking = {scene.item for scene in found}
    complete = [item for item in items if item.id not in lacking and is_scene(item)]
    if not complete:
        return found
    troubles = Troubles()

    def check(scene: SceneAsset, opened: Callable[[], AbstractContextManager[Any]]) -> None:
        if troubles.too_many:
            return
        try:
            with named(scene), opened():
                pass
        except UNREADABLE as error:
            found[scene] = error
            troubles.add(error)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="scenes") as threads:
        for scene, opened in dict(_files(variable, complete, target, options)).items():
            threads.submit(contextvars.copy_context().run, check, scene, opened)
    return {scene: found[scene] for scene in sorted(found, key=str)}


def _files(
    variable: SourceVariable,
    items: Sequence[pystac.Item],
    target: PixelGrid,
    options: Mapping[str, Any],
) -> Iterator[tuple[SceneAsset, Callable[[], AbstractContextManager[Any]]]]:
    """Yield the files to open of each scene: those of variables and of masks."""
    from stacbuild.loading.raster import tile_of
    from stacbuild.loading.reader import opened_tile

    if options:
        items = [through_s3(item) for item in items]
    # As a build reads them: neither older duplicates nor times that are not asked for.
    items = grouped(variable, items_within(variable, usable(variable, items)), target).items
    chosen = chosen_assets(variable, items)
    for view in (each for views in chosen.values() for each in views) if chosen else items:
        scene = scene_asset(view)
        if scene is None or not touches(PixelGrid.from_properties(view.properties), target):
            continue
        if "cube:variables" in view.properties:
            yield scene, partial(_opened_zarr, view.assets["data"], options)
        else:
            yield scene, partial(opened_tile, tile_of(view, {}), options)
        for mask in view.properties.get(MASKS, ()):
            yield mask.scene, partial(mask.opening, options)


@contextmanager
def _opened_zarr(asset: pystac.Asset, options: Mapping[str, Any]) -> Iterator[None]:
    zarr_dataset(data_href(asset), options, asset.extra_fields.get(SERVED, ""))
    yield
