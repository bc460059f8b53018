"""Masked pixels of scenes, against references in NumPy, rasterio and pyproj."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio import Affine
from rasterio.warp import reproject

from stacbuild.errors import IntegrityError, LocalError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.loading import pool, regrid
from stacbuild.loading.area import items_within
from stacbuild.loading.scene_errors import SceneAsset, scene_of
from tests.support.scenes.masked import (
    NORTH,
    UTM,
    WEST,
    Values,
    grid_of,
    layer,
    loaded,
    masked_views,
    scene,
)

NOISE = np.random.default_rng(3)
RED = NOISE.integers(1, 10000, (48, 48)).astype("u2")
SCL = NOISE.choice(np.arange(12, dtype="u1"), (24, 24), p=[0.12] + [0.08] * 11)
CLOUDS = {"asset": "scl", "values": [3, 8, 9, 10]}


@pytest.fixture(autouse=True)
def _pool() -> Any:
    with pool.using():
        yield


def grown(masked: Values, distance: int) -> Values:
    """Return a mask with all that is within a distance of a masked pixel."""
    rows, cols = np.indices(masked.shape)
    near = [(rows - r) ** 2 + (cols - c) ** 2 <= distance**2 for r, c in np.argwhere(masked)]
    found: Values = np.any(near, axis=0)
    return found


def clouds(distance: int = 0) -> Values:
    """Return the masked pixels of 10 m."""
    return np.kron(grown(np.isin(SCL, [3, 8, 9, 10]), distance), np.ones((2, 2))).astype(bool)


def test_a_coarse_mask_covers_the_pixels_within(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    found = loaded(masked_views(CLOUDS, scene(assets)), grid_of())
    np.testing.assert_array_equal(found, np.where(clouds(), 0, RED))


@pytest.mark.parametrize("rule", ["dilate", "invert", "both", "several"])
def test_rules_across_the_edges_of_windows(tmp_path: Path, rule: str) -> None:
    """The grid has tiles of 16 pixels, as have the blocks of the mask."""
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    rare = SCL == 0
    mask: Any = {"asset": "scl", "values": [0]}
    if rule == "dilate":
        mask, want = mask | {"dilate": 5}, grown(rare, 5)
    elif rule == "invert":
        mask, want = mask | {"invert": True}, ~rare
    elif rule == "both":
        mask = {"asset": "scl", "values": list(range(1, 12)), "invert": True, "dilate": 2}
        want = grown(rare, 2)
    else:
        mask, want = [mask | {"dilate": 1}, CLOUDS], grown(rare, 1) | np.isin(SCL, [3, 8, 9, 10])
    found = loaded(masked_views(mask, scene(assets)), grid_of())
    np.testing.assert_array_equal(found, np.where(np.kron(want, np.ones((2, 2))), 0, RED))


@pytest.mark.parametrize("method", ["bilinear", "mean", "nearest"])
@pytest.mark.parametrize("grid", ["shifted", "other CRS"])
def test_masked_before_resampled(tmp_path: Path, method: str, grid: str) -> None:
    """As if the file had no data there, and then the next scene fills the gaps."""
    other = NOISE.integers(1, 10000, (48, 48)).astype("u2")
    scl = layer(tmp_path / "s.tif", SCL, 20)
    clear = layer(tmp_path / "c.tif", np.full((24, 24), 4, "u1"), 20)
    first = {"red": layer(tmp_path / "r.tif", RED, nodata=0), "scl": scl}
    second = {"red": layer(tmp_path / "o.tif", other, nodata=0), "scl": clear}
    before = {"red": layer(tmp_path / "m.tif", np.where(clouds(2), 0, RED).astype("u2"), nodata=0)}
    if grid == "shifted":
        corner = (WEST + 13, NORTH - 427, WEST + 453, NORTH - 7)
        target = grid_of(11, bbox=corner) if method != "mean" else grid_of(35, bbox=corner)
    else:
        target = grid_of(1e-4, crs="EPSG:4326", bbox=(10.3365, 47.8415, 10.343, 47.846))
    mask = CLOUDS | {"dilate": 2}
    found = loaded(masked_views(mask, scene(first, "a"), scene(second, "b")), target, method)
    want = loaded(
        masked_views(None, scene(before | {"x": scl}, "a"), scene(second, "b")), target, method
    )
    assert (want > 0).sum() > 100
    np.testing.assert_array_equal(found, want)


def test_nearest_on_a_grid_in_another_crs_against_rasterio(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    target = grid_of(1e-4, crs="EPSG:4326", bbox=(10.3365, 47.8415, 10.343, 47.846))
    found = loaded(masked_views(CLOUDS | {"dilate": 1}, scene(assets)), target)
    want = np.zeros(target.shape, "u2")
    place = Affine(10, 0, WEST, 0, -10, NORTH)
    reproject(
        np.where(clouds(1), 0, RED).astype("u2"),
        want,
        src_transform=place,
        src_crs=UTM,
        dst_transform=target.affine,
        dst_crs="EPSG:4326",
        src_nodata=0,
        dst_nodata=0,
        resampling=rasterio.enums.Resampling.nearest,
        tolerance=0,
    )
    assert (found != want).mean() < 0.001
    assert 0.1 < (found == 0).mean() < 0.9


@pytest.mark.parametrize("kind", ["other CRS", "not aligned", "finer", "rotated"])
def test_a_mask_on_another_grid_is_that_under_the_centre(tmp_path: Path, kind: str) -> None:
    crs = UTM
    if kind == "other CRS":
        crs, place = "EPSG:4326", Affine(2e-4, 0, 10.334, 0, -2e-4, 47.850)
    elif kind == "not aligned":
        place = Affine(17, 0, WEST - 33, 0, -23, NORTH + 5)
    elif kind == "finer":
        place = Affine(3, 0, WEST - 1, 0, -4, NORTH + 1)
    else:
        place = (
            Affine.translation(WEST - 100, NORTH + 20)
            * Affine.rotation(-20)
            * Affine.scale(20, -20)
        )
    values = NOISE.integers(0, 3, (160, 200)).astype("u1")
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "qa": layer(tmp_path / "s.tif", values, crs=crs, transform=place),
    }
    found = loaded(masked_views({"asset": "qa", "values": [1]}, scene(assets)), grid_of())
    x, y = np.meshgrid(WEST + 10 * np.arange(48) + 5, NORTH - 10 * np.arange(48) - 5)
    x, y = pyproj.Transformer.from_crs(UTM, crs, always_xy=True).transform(x, y)
    cols, rows = (np.floor(each).astype(int) for each in ~place @ (x, y))
    inside = (rows >= 0) & (rows < 160) & (cols >= 0) & (cols < 200)
    masked = np.where(inside, values[rows.clip(0, 159), cols.clip(0, 199)] == 1, True)
    np.testing.assert_array_equal(found, np.where(masked, 0, RED))


def test_what_a_mask_does_not_cover_is_masked(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", np.zeros((10, 7), "u1"), 20),
        "far": layer(
            tmp_path / "f.tif", np.zeros((4, 4), "u1"), transform=Affine(20, 0, 0, 0, -20, 0)
        ),
    }
    want = np.zeros_like(RED)
    want[:20, :14] = RED[:20, :14]
    found = loaded(masked_views({"asset": "scl", "values": [1]}, scene(assets)), grid_of())
    np.testing.assert_array_equal(found, want)
    found = loaded(masked_views({"asset": "far", "values": [1]}, scene(assets)), grid_of())
    assert not found.any()


def test_the_nodata_value_of_a_mask_is_a_value_like_others(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20, nodata=0),
    }
    found = loaded(masked_views(CLOUDS, scene(assets)), grid_of())
    np.testing.assert_array_equal(found, np.where(clouds(), 0, RED))


@pytest.mark.parametrize(("dtype", "wide"), [("u1", "int16"), ("u2", "int32"), ("f4", "float32")])
@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_integers_without_a_nodata_value_get_one(
    tmp_path: Path, dtype: str, wide: str, method: str
) -> None:
    values = (RED % 256).astype(dtype)
    assets = {"red": layer(tmp_path / "r.tif", values), "scl": layer(tmp_path / "s.tif", SCL, 20)}
    found = loaded(masked_views(CLOUDS, scene(assets)), grid_of(), method)
    assert found.dtype == wide
    fill = np.nan if dtype == "f4" else np.iinfo(wide).min
    np.testing.assert_array_equal(found, np.where(clouds(), fill, values.astype(wide)))


def test_pixels_that_are_picked_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regrid, "WINDOW_BYTES", 0)
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    found = loaded(masked_views(CLOUDS | {"dilate": 1}, scene(assets)), grid_of(50, (9, 9)))
    np.testing.assert_array_equal(found, np.where(clouds(1), 0, RED)[2:45:5, 2:45:5])


def test_scenes_that_are_cut(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    views = masked_views(CLOUDS | {"dilate": 1}, scene(assets))
    params = SimpleNamespace(area=(WEST + 70, NORTH - 400, WEST + 330, NORTH - 30), area_crs=UTM)
    found = loaded(items_within(SimpleNamespace(open_params=params, label="d"), views), grid_of())
    want = np.zeros_like(RED)
    want[3:40, 7:33] = np.where(clouds(1), 0, RED)[3:40, 7:33]
    np.testing.assert_array_equal(found, want)


def test_bands_that_are_decoded_together(tmp_path: Path) -> None:
    both = np.stack([RED, RED + 1])
    red = layer(tmp_path / "r.tif", both, nodata=0, bands=[{"name": "1"}, {"name": "2"}])
    assets = {"red": red, "scl": layer(tmp_path / "s.tif", SCL, 20)}
    views = masked_views(CLOUDS | {"dilate": 1}, scene(assets))
    found = loaded(views, grid_of(), bands=[1, 2])
    np.testing.assert_array_equal(found, np.where(clouds(1), 0, both))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The file of each read, and its pixels."""
    found: list[tuple[str, int]] = []
    read = RasterFile.read

    def counted(self: RasterFile, dataset: Any, window: Any, *args: Any) -> Any:
        found.append((Path(self.href).stem, window.width * window.height))
        return read(self, dataset, window, *args)

    monkeypatch.setattr(RasterFile, "read", counted)
    return found


def test_a_mask_is_decoded_once_for_all_bands(tmp_path: Path, reads: list[tuple[str, int]]) -> None:
    """Bands of 10 m and 20 m, in four windows of the grid."""
    coarse = RED[::2, ::2]
    assets = {
        "red": layer(tmp_path / "red.tif", RED, nodata=0),
        "nir": layer(tmp_path / "nir.tif", RED, nodata=0),
        "b11": layer(tmp_path / "b11.tif", coarse, 20, nodata=0),
        "scl": layer(tmp_path / "scl.tif", SCL, 20),
    }
    views = masked_views(CLOUDS, scene(assets))
    grid = grid_of(tile_size=48)
    for asset in ("red", "nir", "b11"):
        found = loaded(views, grid, asset=asset)
        values = np.kron(coarse, np.ones((2, 2))) if asset == "b11" else RED
        np.testing.assert_array_equal(found, np.where(clouds(), 0, values))
    assert [size for name, size in reads if name == "scl"] == [24 * 24]
    assert len(reads) == 4


def test_masks_of_several_rules_do_not_share_pixels(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    found = [
        loaded(masked_views({"asset": "scl", "values": [value]}, scene(assets)), grid_of())
        for value in (0, 4)
    ]
    for value, each in zip((0, 4), found, strict=True):
        masked = np.kron(value == SCL, np.ones((2, 2)))
        np.testing.assert_array_equal(each, np.where(masked, 0, RED))


@pytest.mark.parametrize("asset", ["red", "scl"])
def test_errors_name_item_and_asset(tmp_path: Path, asset: str) -> None:
    paths = {"red": tmp_path / "r.tif", "scl": tmp_path / "s.tif"}
    assets = {"red": layer(paths["red"], RED, nodata=0), "scl": layer(paths["scl"], SCL, 20)}
    views = masked_views(CLOUDS, scene(assets, "S2A_1"))
    paths[asset].write_bytes(paths[asset].read_bytes()[:-300])
    with pytest.raises(IntegrityError, match=f"^item S2A_1, asset {asset}: .* is cut off") as found:
        loaded(views, grid_of())
    assert scene_of(found.value) == SceneAsset("S2A_1", asset)


def test_a_missing_file_is_named_with_item_and_asset(tmp_path: Path) -> None:
    assets = {
        "red": layer(tmp_path / "r.tif", RED, nodata=0),
        "scl": layer(tmp_path / "s.tif", SCL, 20),
    }
    views = masked_views(CLOUDS, scene(assets, "S2A_1"))
    (tmp_path / "s.tif").unlink()
    with pytest.raises(LocalError, match=r"^item S2A_1, asset scl: .*there is no such file"):
        loaded(views, grid_of())
