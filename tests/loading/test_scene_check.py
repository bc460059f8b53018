"""Which files of scenes are opened before a build, and what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from rasterio import Affine

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import NotFoundError, RemoteError, StacbuildError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.loading import pool, scene_check, unreadable
from stacbuild.loading.scene_errors import SceneAsset
from stacbuild.stac.scenes import all_views
from tests.support.scenes.masked import grid_of, layer, scene

PIXELS = np.ones((48, 48), "u2")


@pytest.fixture(autouse=True)
def _pool() -> Any:
    with pool.using():
        yield


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were opened."""
    found: list[str] = []
    init = RasterFile.__init__

    def counted(self: RasterFile, href: Any, **options: Any) -> None:
        found.append(Path(href).name)
        init(self, href, **options)

    monkeypatch.setattr(RasterFile, "__init__", counted)
    return found


def variable(**params: Any) -> SourceVariable:
    mask = {"asset": "scl", "values": [3]}
    given = {"asset_names": ["red"], "mask": mask, "duplicates": "all", **params}
    return SourceVariable(store="s", data_id="c", open_params=given)


def scenes(folder: Path, *names: str, **header: Any) -> list[pystac.Item]:
    found = []
    for name in names:
        assets = {
            key: layer(folder / f"{name}-{key}.tif", PIXELS, nodata=0, **header)
            for key in ("red", "nir", "scl")
        }
        found.append(scene(assets, name))
    return found


def test_only_files_of_variables_and_masks_are_opened(tmp_path: Path, opened: list[str]) -> None:
    items = all_views(scenes(tmp_path, "a", "b"))
    assert not unreadable(variable(), items, grid_of(), {})
    assert sorted(opened) == ["a-red.tif", "a-scl.tif", "b-red.tif", "b-scl.tif"]


def test_scenes_beside_the_grid_are_not_opened(tmp_path: Path, opened: list[str]) -> None:
    place = Affine(10, 0, 5e5, 0, -10, 5e6)
    items = scenes(tmp_path, "a") + scenes(tmp_path, "b", transform=place)
    assert not unreadable(variable(), all_views(items), grid_of(), {})
    assert sorted(opened) == ["a-red.tif", "a-scl.tif"]


def test_scenes_of_other_times_are_not_opened(tmp_path: Path, opened: list[str]) -> None:
    first, second = scenes(tmp_path, "a", "b")
    second.properties["datetime"] = "2021-01-01T00:00:00Z"
    chosen = variable(time_range=["2021-01-01", None])
    for each in (first, second):
        each.properties["stacbuild:store"] = "stac:x"
    assert not unreadable(chosen, all_views([first, second]), grid_of(), {})
    assert sorted(opened) == ["b-red.tif", "b-scl.tif"]


def test_older_duplicates_are_not_opened(tmp_path: Path, opened: list[str]) -> None:
    first, second = scenes(tmp_path, "a", "b")
    second.properties["processing:version"] = "05.00"
    items = all_views([first, second])
    assert not unreadable(variable(duplicates="newest"), items, grid_of(), {})
    assert sorted(opened) == ["b-red.tif", "b-scl.tif"]


@pytest.mark.parametrize("errors", ["fail", "skip"])
def test_lacking_assets_are_problems_too(tmp_path: Path, errors: str) -> None:
    first, second = scenes(tmp_path, "a", "b")
    del first.assets["scl"]
    Path(second.assets["red"].href).unlink()
    found = unreadable(variable(errors=errors), all_views([first, second]), grid_of(), {})
    assert list(found) == [SceneAsset("a", "scl"), SceneAsset("b", "red")]
    assert str(found[SceneAsset("a", "scl")]) == "has no asset 'scl'"


@pytest.mark.parametrize(("error", "count"), [(RemoteError, 9), (NotFoundError, 12)])
def test_a_server_that_keeps_failing_is_not_asked_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[StacbuildError], count: int
) -> None:
    items = all_views(scenes(tmp_path, *"abcdef"))

    def fails(*_: Any, **__: Any) -> None:
        raise error("fails")

    monkeypatch.setattr(RasterFile, "__init__", fails)
    monkeypatch.setattr(scene_check, "_THREADS", 1)
    assert len(unreadable(variable(), items, grid_of(), {})) == count
