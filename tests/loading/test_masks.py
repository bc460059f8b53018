"""Masks of a configuration become a rule for each scene, by what its item states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pystac
import pytest

from stacbuild.errors import BuildError
from stacbuild.loading.mask_rules import Rule
from stacbuild.loading.masks import MASKS
from stacbuild.progress import Silent, reported_to
from tests.support.scenes.masked import Json, masked_views, scene

GRID: Json = {
    "proj:code": "EPSG:32632",
    "proj:shape": [2, 2],
    "proj:transform": [20, 0, 0, 0, -20, 0],
}
CLASSES = [
    {"value": 3, "name": "cloud_shadows"},
    {"value": 9, "name": "cloud-high", "title": "Cloud, high probability"},
]
FIELDS = [
    {"name": "cloud", "offset": 3, "length": 1},
    {
        "name": "cloud_confidence",
        "offset": 8,
        "length": 2,
        "classes": [{"value": 0, "name": "not_set"}, {"value": 3, "name": "high"}],
    },
]


class Told(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

        self.warnings: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def item(
    asset: str = "qa", name: str = "s", given: Json | None = None, **fields: Any
) -> pystac.Item:
    """Return a scene with a quality layer of given fields; *given* are its properties."""
    layers = {
        "red": pystac.Asset("/r.tif", extra_fields={**GRID, "data_type": "uint16"}),
        asset: pystac.Asset("/q.tif", extra_fields={**GRID, "data_type": "uint16", **fields}),
    }
    return scene(layers, name, **(given or {}))


def rule(mask: Json, found: pystac.Item) -> Rule:
    view = masked_views(mask, found)[0]
    [mask] = view.properties[MASKS]
    assert mask.href == "/q.tif"
    return mask.rule


def refused(mask: Json, *scenes: pystac.Item) -> str:
    with pytest.raises(BuildError) as error:
        masked_views(mask, *scenes)
    return str(error.value)


@pytest.mark.parametrize("place", ["asset", "bands", "raster:bands"])
def test_names_of_classes_are_those_of_the_item(place: str) -> None:
    stated: Json = {"classification:classes": CLASSES}
    fields = stated if place == "asset" else {place: [stated]}
    mask = {"asset": "qa", "classes": ["Cloud Shadows", "cloud_high"], "invert": True, "dilate": 2}
    assert rule(mask, item(**fields)) == Rule((3, 9), (), True, 2)
    titled = {"asset": "qa", "classes": ["cloud high probability"]}
    assert rule(titled, item(**fields)) == Rule((9,))


@pytest.mark.parametrize(
    ("bits", "tests"),
    [
        (["cloud"], [(8, 8)]),
        ([0, 15], [(1, 1), (1 << 15, 1 << 15)]),
        (["cloud=0"], [(8, 0)]),
        (["cloud_confidence=high"], [(0x300, 0x300)]),
        (["cloud_confidence = 2", "Cloud"], [(0x300, 0x200), (8, 8)]),
    ],
)
def test_bits(bits: list[Any], tests: list[tuple[int, int]]) -> None:
    mask = {"asset": "qa", "bits": bits}
    assert rule(mask, item(**{"classification:bitfields": FIELDS})) == Rule((), tuple(tests))


@pytest.mark.parametrize(
    ("mask", "fields", "told"),
    [
        (
            {"classes": ["cloud"]},
            {"classification:classes": CLASSES},
            "no class 'cloud'; it has cloud_shadows (3), cloud-high (9)",
        ),
        (
            {"bits": ["clouds"]},
            {"classification:bitfields": FIELDS},
            "no bits 'clouds'; it has cloud, cloud_confidence",
        ),
        (
            {"bits": ["cloud_confidence"]},
            {"classification:bitfields": FIELDS},
            "as 'cloud_confidence=<value or class>': 0 (not_set), 3 (high)",
        ),
        (
            {"bits": ["cloud_confidence=low"]},
            {"classification:bitfields": FIELDS},
            "has no value 'low'",
        ),
        (
            {"bits": ["cloud_confidence=4"]},
            {"classification:bitfields": FIELDS},
            "has no value '4'",
        ),
        (
            {"bits": ["cloud_confidence"]},
            {"classification:bitfields": FIELDS, "data_type": "uint8"},
            "beyond the 8 bits",
        ),
        ({"bits": [16]}, {}, "has no bit 16 in its 16 bits"),
        ({"bits": [3]}, {"data_type": "float32"}, "holds float32, which has no bits; state values"),
        (
            {"bits": ["cloud"]},
            {"classification:classes": CLASSES},
            "states no bits (classification:bitfields), but classes; name those",
        ),
        (
            {"classes": ["cloud"]},
            {"classification:bitfields": FIELDS},
            "states no classes (classification:classes), but bits; name those",
        ),
        (
            {"classes": ["cloud"]},
            {},
            "states no classes (classification:classes); state values, or numbers of bits",
        ),
        ({"values": [256]}, {"data_type": "uint8"}, "its uint8 cannot be 256"),
        ({"values": [0.5]}, {}, "its uint16 cannot be 0.5"),
        ({"values": [1]}, {"proj:shape": None}, "does not state proj:shape"),
    ],
)
def test_what_an_item_does_not_have_is_told(mask: Json, fields: Json, told: str) -> None:
    found = item(**fields)
    qa = found.assets["qa"].extra_fields
    for key in [key for key, value in qa.items() if value is None]:
        del qa[key]
    message = refused({"asset": "qa", **mask}, found)
    assert message.startswith("d: mask: item s, asset qa: ")
    assert told in message


def test_values_of_floats() -> None:
    assert rule({"asset": "qa", "values": [3]}, item(data_type="float32")) == Rule((3.0,))


@pytest.mark.parametrize(
    ("asset", "mask", "given", "masked", "kept"),
    [
        (
            "SCL_20m",
            {"classes": ["cloud_shadows", "thin_cirrus"]},
            {"platform": "sentinel-2a"},
            [3, 10],
            [4, 9],
        ),
        ("scl", {"classes": ["snow"]}, {}, [11], [10]),
        (
            "qa_pixel",
            {"bits": ["cloud", "dilated_cloud"]},
            {"platform": "LANDSAT_8"},
            [8, 2, 0x8002],
            [4, 16],
        ),
        ("qa_pixel", {"bits": ["cloud_shadow_confidence=high"]}, {}, [3 << 10], [1 << 10, 3 << 8]),
        ("Fmask", {"bits": ["cloud_shadow", "aerosol=high"]}, {}, [8, 192, 255], [1, 64, 128, 4]),
    ],
)
def test_layers_whose_values_their_producers_document(
    asset: str, mask: Json, given: Json, masked: list[int], kept: list[int]
) -> None:
    told = Told()
    with reported_to(told):
        view = masked_views({"asset": asset, **mask}, item(asset, given=given), note=True)[0]
    found = view.properties[MASKS][0].rule.masked(np.array(masked + kept, "u2"))
    assert found.tolist() == [True] * len(masked) + [False] * len(kept)
    [line] = told.said
    assert line.startswith(f"d: the items do not state what the values of {asset} mean; they are ")


def test_what_an_item_states_comes_before_what_is_known() -> None:
    own = {"classification:classes": [{"value": 77, "name": "snow"}]}
    told = Told()
    with reported_to(told):
        view = masked_views({"asset": "scl", "classes": ["snow"]}, item("scl", **own), note=True)[0]
    assert view.properties[MASKS][0].rule == Rule((77,))
    assert not told.said


def test_entries_of_a_colour_table_are_no_classes() -> None:
    classes = [
        {"value": value, "name": f"class_{value}", "color_hint": "000000"} for value in (0, 3)
    ]
    found = item("scl", **{"classification:classes": classes})
    assert rule({"asset": "scl", "classes": ["cloud_shadows"]}, found) == Rule((3,))
    bits = item("qa_pixel", **{"classification:classes": classes})
    assert rule({"asset": "qa_pixel", "bits": ["cloud"]}, bits) == Rule((), ((8, 8),))


@pytest.mark.parametrize(
    ("asset", "given"),
    [
        ("scl", {"platform": "landsat-8"}),
        ("qa_pixel", {"landsat:collection_number": "01"}),
        ("qa", {}),
    ],
)
def test_layers_of_others_are_not_taken_for_known_ones(asset: str, given: Json) -> None:
    mask = {"asset": asset, "classes": ["snow"]}
    assert "states no classes" in refused(mask, item(asset, given=given))


def test_each_scene_has_the_rule_of_its_own_item() -> None:
    first = item(**{"classification:classes": [{"value": 1, "name": "cloud"}]})
    second = item(name="t", **{"classification:classes": [{"value": 2, "name": "cloud"}]})
    found = masked_views({"asset": "qa", "classes": ["cloud"]}, first, second)
    rules = {view.id: view.properties[MASKS][0].rule.values for view in found}
    assert rules == {"s": (1,), "t": (2,)}
    assert MASKS not in first.properties


def test_without_a_mask_views_are_as_they_were() -> None:
    assert all(MASKS not in view.properties for view in masked_views(None, item()))


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({}, False),
        ({"proj:transform": [60, 0, -40, 0, -60, 40]}, False),  # wider
        ({"proj:transform": [20, 0, 10, 0, -20, 5]}, False),  # shifted by a part of a pixel
        ({"proj:shape": [2, 8], "proj:transform": [4, 0, 0, 0, -20, 0]}, True),
        ({"proj:transform": [20, 0, 0, 0, -20, 60]}, True),
        ({"proj:code": "EPSG:4326", "proj:transform": [1, 0, 0, 0, -1, 0]}, False),  # not known
    ],
)
def test_a_mask_that_does_not_cover_its_scene_is_told(place: Json, told: bool) -> None:
    reporter = Told()
    with reported_to(reporter):
        masked_views({"asset": "qa", "values": [1]}, item(**place), note=True)
    expected = (
        "d: mask: qa does not cover all pixels of its scenes, such as of item s; those beyond"
    )
    assert [each.startswith(expected) for each in reporter.warnings] == [True] * told
