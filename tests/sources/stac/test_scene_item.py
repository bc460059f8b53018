"""One item a scene, with an asset for each name of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stacbuild.errors import StacbuildError
from stacbuild.geo.grid import PixelGrid
from stacbuild.profiles import DataProfile, Profiles
from stacbuild.sources.stac import harvest, one_asset
from stacbuild.sources.stac.asset_names import key_of
from stacbuild.sources.stac.times import instant
from tests.support.scenes import items as scenes
from tests.support.scenes.items import Json, harvested
from tests.support.scenes.pixels import Scene, classes, digital
from tests.support.scenes.providers import EarthSearch
from tests.support.stac_documents import Told, store, take
from tests.support.stac_schemas import schema_problems

S2 = "sentinel-2-l2a"


def test_a_scene_is_one_item_with_the_assets_asked_for(tmp_path: Path) -> None:
    (item,), _ = harvested(tmp_path, f"{S2}?asset_names=red,nir08,scl", scenes.earth_search())
    assert list(item.assets) == ["red", "nir08", "scl"]
    assert [asset.roles for asset in item.assets.values()] == [["data"], ["data"], ["data-mask"]]
    assert item.properties["title"] == "S2A_32TMT_20200305_1_L2A"
    assert item.properties["stacbuild:data_id"] == f"{S2}?asset_names=red,nir08,scl"
    grids = [PixelGrid.from_properties(a.extra_fields) for a in item.assets.values()]
    assert [grid.shape for grid in grids] == [(24, 24), (12, 12), (12, 12)]
    assert PixelGrid.from_properties(item.properties) == grids[0]
    assert {grid.crs for grid in grids} == {"EPSG:32632"}
    red, scl = item.assets["red"].extra_fields, item.assets["scl"].extra_fields
    assert (red["data_type"], red["nodata"], scl["data_type"]) == ("uint16", 0, "uint8")
    assert item.assets["red"].title == "Red (band 4) - 10m"
    assert item.assets["red"].href == str(tmp_path / item.properties["title"] / "red.tif")
    assert red["file:size"] > 0


def _named(scene: Json, names: str) -> list[Json]:
    assets = scene["assets"]
    return [assets[str(key_of(assets, name))] for name in names.split(",")]


@pytest.mark.parametrize(
    ("scene", "names"),
    [
        (scenes.earth_search(), "red,scl"),
        (scenes.cdse(), "B04,SCL,AOT"),
        (scenes.planetary_computer(), "B04,SCL"),
        (scenes.usgs(), "red,qa_pixel"),
    ],
)
def test_items_of_all_providers_are_valid(tmp_path: Path, scene: Json, names: str) -> None:
    data_id = f"{scene['collection']}?asset_names={names}"
    (item,), _ = harvested(tmp_path, data_id, scene)
    assert ",".join(item.assets) == names
    content = item.to_dict(include_self_link=False)
    assert schema_problems(content) == []
    checksums = [each.extra_fields.get("file:checksum") for each in item.assets.values()]
    assert checksums == [each.get("file:checksum") for each in _named(scene, names)]
    stated = scene["properties"]["datetime"]
    assert item.datetime == instant(stated)
    assert "start_datetime" not in item.properties


def test_one_asset_of_a_scene_keeps_its_name(tmp_path: Path) -> None:
    (item,), _ = harvested(tmp_path, f"{S2}?asset_names=red", scenes.earth_search())
    assert list(item.assets) == ["red"]
    assert item.assets["red"].title == "Red (band 4) - 10m"
    assert item.assets["red"].extra_fields["proj:transform"]


@pytest.mark.parametrize("what", ["no scene", "a month"])
def test_one_asset_of_another_item_is_its_data(tmp_path: Path, what: str) -> None:
    content = scenes.earth_search()
    properties = content["properties"]
    if what == "a month":
        properties |= {
            "start_datetime": "2020-07-01T00:00:00Z",
            "end_datetime": "2020-07-31T00:00:00Z",
        }
    else:
        for key in list(properties):
            if key.startswith(("eo:", "grid:", "mgrs:", "s2:")):
                del properties[key]
    (item,), _ = harvested(tmp_path, f"{S2}?asset_names=red", content)
    assert list(item.assets) == ["data"]
    assert "proj:code" not in item.assets["data"].extra_fields


def test_a_missing_asset_names_every_item_that_lacks_it(tmp_path: Path) -> None:
    good, one, two = (scenes.earth_search(name) for name in ("a", "b", "c"))
    del one["assets"]["scl"], one["assets"]["scl-jp2"], two["assets"]["scl"]
    del two["assets"]["scl-jp2"], two["assets"]["aot"], two["assets"]["nir"]
    with pytest.raises(StacbuildError, match=r"^b: 'scl' is not.*aot.*; c: 'scl' is not"):
        harvested(tmp_path, f"{S2}?asset_names=red,scl", good, one, two)


class Stated(Profiles):
    def of(self, store_key: str, data_id: str, file: str | None = None) -> DataProfile:
        red = {"unit": "1", "title": "Red light"}
        return DataProfile.model_validate({"title": "A day", "variables": {"B04": red}})


def test_a_profile_describes_scene_and_assets(tmp_path: Path) -> None:
    scene = scenes.planetary_computer()
    (item,), _ = harvested(tmp_path, f"{S2}?asset_names=B04,SCL", scene, profiles=Stated())
    assert item.properties["title"] == "A day"
    assert [each.title for each in item.assets.values()] == ["Red light", "SCL - 20m"]
    assert item.assets["B04"].extra_fields["unit"] == "1"
    assert "unit" not in item.assets["SCL"].extra_fields


@pytest.mark.parametrize("make", [scenes.cdse, scenes.planetary_computer])
def test_few_headers_of_many_scenes_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Json]
) -> None:
    """Items of CDSE differ in percentages and angles, those of others state no data type."""
    opened: list[str] = []

    class Counted(one_asset.RasterFile):
        def __init__(self, href: str, **options: Any) -> None:
            opened.append(Path(href).name)
            super().__init__(href, **options)

    monkeypatch.setattr(one_asset, "RasterFile", Counted)
    monkeypatch.setattr(harvest, "READ_ALL", 4)
    scenes.put(tmp_path, make("s00"))
    several = [make(f"s{n:02}") for n in range(14)]
    several += [make(f"t{n:02}", baseline="02.12", offset=0) for n in range(2)]
    for number, each in enumerate(several):
        for key, asset in each["assets"].items():
            asset["href"] = several[0]["assets"][key]["href"]
            asset["view:azimuth"] = number
            for one in asset.get("classification:classes", ()):
                one["percentage"] = number
    scenes.put(tmp_path, *several)
    items, _ = harvested(tmp_path, f"{S2}?asset_names=B04,SCL")
    # Eight of the first baseline and both of the other; of SCL, the baseline does not matter.
    assert [len(items), len(opened)] == [16, 8 + 2 + 8]
    fields = [item.assets["B04"].extra_fields for item in items]
    assert [each.get("raster:offset", 0) for each in fields] == [-0.1] * 14 + [0] * 2
    assert {each["data_type"] for each in fields} == {"uint16"}
    assert {each["nodata"] for each in fields} == {0}
    assert [PixelGrid.from_properties(each).shape for each in fields] == [(24, 24)] * 16


def test_the_header_of_a_scene_in_the_wrong_hemisphere_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items of HLS can state the CRS of the other hemisphere."""
    monkeypatch.setattr(harvest, "READ_ALL", 4)
    several = [scenes.planetary_computer(f"s{n:02}") for n in range(12)]
    several[1]["properties"]["proj:epsg"] = 32732
    items, warnings = harvested(tmp_path, f"{S2}?asset_names=B04,SCL", *several)
    assert {item.assets["B04"].extra_fields["proj:code"] for item in items} == {"EPSG:32632"}
    [warning] = [line for line in warnings if "EPSG:32732" in line]
    assert warning.startswith("s01: B04, SCL: its catalog states EPSG:32732, but the file")


def test_few_requests_are_made_for_many_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvest, "READ_ALL", 4)
    with EarthSearch(tmp_path) as api:
        for n in range(12):
            pixels = {"red": digital(n), "scl": classes(n)}
            api.add(Scene(f"s{n:02}", pixels, f"2020-07-{n + 1:02}T10:00:00Z"))
        told = Told()
        data_id = f"{S2}?asset_names=red,scl"
        [found] = take(store(url=api.root), data_id, reporter=told)
        files = [each.path for each in api.log if each.path.endswith(".tif")]
    assert len(found.items) == 12
    assert len(set(files)) == 16
    red = [item.assets["red"].extra_fields for item in found.items]
    assert {(each["raster:scale"], each.get("raster:offset", 0)) for each in red} == {(0.0001, 0)}
    assert {each["stacbuild:scaling"] for each in red} == {
        "its pixels hold the offset already (earthsearch:boa_offset_applied)"
    }
    [warning] = told.warnings
    assert warning.startswith("s00 and 11 more: red: its pixels hold the offset already")
