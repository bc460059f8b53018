"""Scenes in lists, and the assets of a scene before one is chosen."""

from __future__ import annotations

from pathlib import Path

from stacbuild.sources.listing import describe_data, list_data
from tests.support.cli import stacbuild
from tests.support.scenes import items as scenes
from tests.support.scenes.items import put

S2 = "sentinel-2-l2a"


def test_a_scene_is_one_line_with_its_assets(tmp_path: Path) -> None:
    put(tmp_path, scenes.earth_search(), scenes.earth_search("b"))
    entries = list_data("stac", str(tmp_path), match=f"{S2}/*")
    assert [each.data_id for each in entries] == [f"{S2}/S2A_32TMT_20200305_1_L2A", f"{S2}/b"]
    assert {each.type for each in entries} == {"scene of red, nir, nir08, scl, aot"}


def test_the_assets_of_a_scene_are_as_the_item_states_them(tmp_path: Path) -> None:
    scene = scenes.cdse()
    put(tmp_path, scene)
    for path in tmp_path.rglob("*.jp2"):
        path.unlink()
    found = describe_data("stac", str(tmp_path), f"{S2}/{scene['id']}")
    assert found["eo:cloud_cover"] == 95.42
    assert found["grid:code"] == "MGRS-32TMT"
    assert found["assets"]["B04_20m"] == {
        "title": "B04 - 20m",
        "type": "JPEG 2000",
        "band": "red",
        "crs": "EPSG:32632",
        "shape": [12, 12],
        "resolution": 20.0,
        "data_type": "uint16",
        "nodata": 0,
        "scale": 0.0001,
        "offset": -0.1,
    }
    aot = found["assets"]["AOT_20m"]
    assert (aot["scale"], aot["offset"]) == (0.001, 0)
    assert "not those of bands" in aot["scaling"]
    quality = found["assets"]["SCL_20m"]
    assert quality["quality"] == "classes or bits"
    assert quality["classes"] == ["0 no_data (nodata)", "3 cloud_shadows", "4 vegetation"]
    other = scenes.usgs()
    other["assets"]["nir08"] = other["assets"]["red"] | {"title": "B5"}
    put(tmp_path, other)
    landsat = describe_data("stac", str(tmp_path), f"landsat-c2l2-sr/{other['id']}")
    assert landsat["assets"]["qa_pixel"]["bits"] == ["0 fill", "3 cloud"]


def test_chosen_assets_are_described_by_their_files(tmp_path: Path) -> None:
    put(tmp_path, scenes.usgs())
    output = stacbuild(
        "describe", "stac", tmp_path, "landsat-c2l2-sr?asset_names=red,qa_pixel"
    ).stdout
    found = describe_data("stac", str(tmp_path), "landsat-c2l2-sr?asset_names=red,qa_pixel")
    assert found["title"] == "LC08_L2SP_193027_20200114_20200824_02_T1_SR"
    red, quality = found["assets"]["red"], found["assets"]["qa_pixel"]
    assert (red["scale"], red["offset"], red["nodata"]) == (2.75e-05, -0.2, 0)
    assert red["shape"] == [8, 8]
    assert quality["bits"] == ["0 fill", "3 cloud"]
    assert "asset qa_pixel:\n  long_name: Qa_Pixel Band\n" in output
    assert "  bits: 0 fill, 3 cloud\n" in output


def test_scenes_of_a_collection_are_described_together(tmp_path: Path) -> None:
    other = scenes.earth_search("b")
    other["properties"]["datetime"] = "2020-03-10T10:37:41.500000Z"
    put(tmp_path, scenes.earth_search(), other)
    for names in ("red", "red,scl"):
        found = describe_data("stac", str(tmp_path), f"{S2}?asset_names={names}")
        assert found["scenes"] == 2
        assert len(found["times"]) == 2
        assert found["times"][1] == "2020-03-10T10:37:41Z"


def test_a_single_asset_is_described_as_before(tmp_path: Path) -> None:
    put(tmp_path, scenes.usgs())
    found = describe_data("stac", str(tmp_path), "landsat-c2l2-sr?asset_names=red")
    assert found["scale"] == 2.75e-05
    assert "assets" not in found
