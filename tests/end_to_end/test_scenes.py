"""Cubes of scenes of five providers, pixel by pixel.

The reference is made by NumPy, rasterio and pyproj alone, from what the recorded metadata mean. It
is on a grid in another CRS than the scenes, which lie in two UTM zones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer

import stacbuild
from tests.support.scenes import written
from tests.support.scenes.api import SceneApi
from tests.support.scenes.pixels import LEFT, TOP, Scene, digital
from tests.support.scenes.providers import (
    Cdse,
    EarthSearch,
    Hls,
    KeyedS3,
    PlanetaryComputer,
    Usgs,
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Provider:
    """What is known about a provider's scenes.

    Parameters
    ----------
    server
        Its stand-in.
    red, mask
        Keys of two of its assets, each with the name by which the configuration asks for it.
    codes
        Values of the mask's pixels; those of ``masked`` are clouds.
    rule
        The mask in the configuration.
    sizes
        Sides of both assets in pixels, and the sizes of these in metres.
    """

    server: type[SceneApi]
    red: tuple[str, str]
    mask: tuple[str, str]
    codes: tuple[int, ...]
    masked: tuple[int, ...]
    rule: Json
    sizes: tuple[tuple[int, float], tuple[int, float]] = ((60, 10.0), (30, 20.0))
    properties: tuple[Json, ...] = field(default=({}, {}, {}, {}))
    packing: tuple[tuple[float, float], ...] = ((0.0001, 0.0),) * 4


def _baselines(key: str, *values: str, **more: Any) -> tuple[Json, ...]:
    return tuple({key: value, **more} for value in values)


_SCL: Json = {"codes": (4, 5, 8, 9), "masked": (8, 9), "rule": {"values": [8, 9]}}
# Scenes in this order: the first processing of a tile, the second of the same, its neighbour in
# another zone, and the tile on another day.
PROVIDERS = {
    # https://github.com/Element84/earth-search#boa-offset: the pixels have been shifted where
    # boa_offset_applied is true, whatever the stated offset.
    "earth-search": Provider(
        EarthSearch,
        ("red", "red"),
        ("scl", "scl"),
        properties=(
            {"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": False},
            {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True},
            {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True},
            {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": False},
        ),
        packing=((0.0001, 0.0), (0.0001, 0.0), (0.0001, 0.0), (0.0001, -0.1)),
        **_SCL,
    ),
    # Its items state neither scale nor offset. From baseline 04.00 on, pixels are shifted by 1000.
    "planetary-computer": Provider(
        PlanetaryComputer,
        ("B04", "red"),
        ("SCL", "SCL"),
        properties=_baselines("s2:processing_baseline", "02.12", "05.00", "05.00", "03.01"),
        packing=((0.0001, 0.0), (0.0001, -0.1), (0.0001, -0.1), (0.0001, 0.0)),
        **_SCL,
    ),
    "cdse": Provider(
        Cdse,
        ("B04_10m", "B04"),
        ("SCL_20m", "SCL"),
        properties=_baselines("processing:version", "02.14", "05.00", "05.00", "05.00"),
        packing=((0.0001, -0.1),) * 4,
        **_SCL,
    ),
    "usgs": Provider(
        Usgs,
        ("red", "red"),
        ("qa_pixel", "qa_pixel"),
        codes=(21824, 22280, 23888),
        masked=(22280, 23888),
        rule={"bits": ["cloud", "cloud_shadow"]},
        sizes=((40, 30.0), (40, 30.0)),
        packing=((0.0000275, -0.2),) * 4,
    ),
    "hls": Provider(
        Hls,
        ("B04", "B04"),
        ("Fmask", "Fmask"),
        codes=(0, 2, 8, 64),
        masked=(2, 8),
        rule={"bits": ["cloud", "cloud_shadow"]},
        sizes=((40, 30.0), (40, 30.0)),
        packing=((0.0001, 0.0),) * 4,
    ),
}

TIMES = (
    "2023-07-06T10:31:00Z",
    "2023-07-06T10:31:00Z",
    "2023-07-06T10:31:07Z",
    "2023-07-09T10:31:00Z",
)
TILES = ("32TMT", "32TMT", "31TGN", "32TMT")


@contextmanager
def published(provider: Provider, folder: Path) -> Iterator[tuple[SceneApi, list[Scene]]]:
    """Run the stand-in of a provider with four scenes."""
    to_other = Transformer.from_crs(32632, 32631, always_xy=True)
    x, y = to_other.transform(LEFT + 300, TOP)
    with ExitStack() as stack:
        own = ()
        if issubclass(provider.server, Cdse | Usgs):
            own = (stack.enter_context(KeyedS3()),)
        server = stack.enter_context(provider.server(folder, *own))
        scenes = []
        for number, (when, tile) in enumerate(zip(TIMES, TILES, strict=True)):
            (side, _), (mask_side, mask_size) = provider.sizes
            is_other = tile == "31TGN"
            red = digital(number, (side, side))
            red[:2] = 0
            kind = "uint8" if max(provider.codes) < 256 else "uint16"
            chance = np.random.default_rng(10 + number)
            codes = chance.choice(np.array(provider.codes, kind), (mask_side, mask_side))
            scene = Scene(
                f"scene-{number}",
                {provider.red[0]: red, provider.mask[0]: codes},
                when=when,
                epsg=32631 if is_other else 32632,
                left=round(x / mask_size) * mask_size if is_other else LEFT,
                top=round(y / mask_size) * mask_size if is_other else TOP,
                properties=_where(provider, tile, number) | provider.properties[number],
            )
            server.add(scene)
            scenes.append(scene)
        yield server, scenes


def _where(provider: Provider, tile: str, number: int) -> Json:
    """Return the properties that state a scene's tile and when it was processed."""
    processed = f"2023-08-{number + 1:02}T00:00:00Z"
    if provider.server is Usgs:
        row = "027" if tile == "32TMT" else "028"
        return {"landsat:wrs_path": "195", "landsat:wrs_row": row, "updated": processed}
    if provider.server is PlanetaryComputer:
        return {"s2:mgrs_tile": tile}
    if provider.server is Hls:
        return {"created": processed}
    return {"grid:code": f"MGRS-{tile}", "updated": processed}


def _target() -> written.Target:
    """Return a grid in another CRS that both tiles reach into, on whole pixels."""
    x, y = Transformer.from_crs(32632, 3035, always_xy=True).transform(LEFT + 300, TOP - 300)
    west, north = round(x / 20) * 20 - 600, round(y / 20) * 20 + 600
    return written.Target(3035, west, north, 20, (60, 60))


TARGET = _target()


def configuration(provider: Provider, server: SceneApi, **params: Any) -> Json:
    store: Json = {"url": server.root}
    if isinstance(server, Cdse | Usgs):
        store["storage_options"] = server.storage_options
    names = {
        EarthSearch: "stac-earth-search",
        PlanetaryComputer: "stac-pc",
        Cdse: "stac-cdse",
        Usgs: "stac-usgs",
        Hls: "stac-hls",
    }
    return {
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
            {
                "identifier": "scenes",
                "store_id": names[provider.server],
                "store_params": store,
            },
        ],
        "grid_mappings": [
            {"identifier": "grid", "tile_size": 32, **TARGET.mapping},
        ],
        "datasets": [
            {
                "identifier": "cube",
                "store": "scenes",
                "data_id": server._template()["collection"],
                "grid_mapping": "grid",
                "open_params": {"asset_names": [provider.red[1]], **params},
                "spatial_resample_params": {
                    "interp_methods": "nearest",
                    "agg_methods": "center",
                },
            }
        ],
    }


def values_of(
    scene: Scene, provider: Provider, number: int, masked: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the reflectances of a scene on the grid, NaN where there are none."""
    (_, size), (_, mask_size) = provider.sizes
    pixels = scene.values[provider.red[0]]
    scale, offset = provider.packing[number]
    physical = np.where(pixels == 0, np.nan, pixels * scale + offset)
    # A pixel of the mask covers several of the band.
    ratio = round(mask_size / size)
    codes = np.kron(scene.values[provider.mask[0]], np.ones((ratio, ratio), int))
    physical[np.isin(codes, masked)] = np.nan
    bands = {"red": written.Band(physical, size, nodata=None)}
    placed = written.Scene(scene.name, "", bands, scene.epsg, scene.left, scene.top)
    found, inside = TARGET.taken(placed, "red")
    return np.where(inside, found, np.nan)


def mosaic(layers: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the first value of each pixel."""
    found = layers[0].copy()
    for layer in layers[1:]:
        found = np.where(np.isnan(found), layer, found)
    return found


def opened(folder: Path) -> xr.Dataset:
    """Return the cube as xarray opens it by default."""
    return xr.open_zarr(folder / "cubes" / "cube.zarr").load()


# With a mask, every other part is tested, too.
@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("with_mask", [pytest.param(False, marks=pytest.mark.slow), True])
def test_every_pixel_is_that_of_the_reference(name: str, with_mask: bool, tmp_path: Path) -> None:
    provider = PROVIDERS[name]
    mask = {"asset": provider.mask[1], **provider.rule}
    with published(provider, tmp_path / "server") as (server, scenes):
        params = {"mask": mask} if with_mask else {}
        data = configuration(provider, server, **params)
        config = stacbuild.load_config(data, base_dir=tmp_path)
        stacbuild.build(config)
    masked = provider.masked if with_mask else ()
    first, second, neighbour, later = (
        values_of(scene, provider, number, masked) for number, scene in enumerate(scenes)
    )
    del first  # of the same tile and time as the second, which was processed later
    expected = [mosaic([second, neighbour]), later]
    cube = opened(tmp_path)
    variable = cube[provider.red[1]]
    assert variable.dims == ("time", "y", "x")
    np.testing.assert_array_equal(
        cube["time"].values, np.array(["2023-07-06T10:31:00", "2023-07-09T10:31:00"], "M8[ns]")
    )
    np.testing.assert_allclose(variable.values, expected, rtol=1e-6, atol=1e-9)
    assert all(0.05 < np.isfinite(each).mean() < 0.9 for each in expected)
