"""Scale and offset as they have to be applied, of scenes as four providers state them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacbuild.stac.extensions import SCALING
from tests.support.scenes import items as scenes
from tests.support.scenes.items import Json, harvested, planetary_computer

S2 = "sentinel-2-l2a"


def packing(
    folder: Path, names: str, scene: Json, **headers: Any
) -> tuple[dict[str, tuple[float, float, Any]], list[str], dict[str, str]]:
    """Return scale, offset and nodata by asset, the warnings, and the reasons by asset."""
    scenes.put(folder, scene, headers=headers)
    data_id = f"{scene['collection']}?asset_names={names}"
    (item,), warnings = harvested(folder, data_id)
    fields = {name: asset.extra_fields for name, asset in item.assets.items()}
    values = {
        name: (each.get("raster:scale", 1), each.get("raster:offset", 0), each.get("nodata"))
        for name, each in fields.items()
    }
    return (
        values,
        warnings,
        {name: each[SCALING] for name, each in fields.items() if SCALING in each},
    )


@pytest.mark.parametrize(
    ("scene", "offset", "reason"),
    [
        (
            scenes.earth_search(shifted=True),
            0,
            "hold the offset already (earthsearch:boa_offset_ap",
        ),
        (scenes.earth_search(shifted=False), -0.1, ""),
        (scenes.earth_search(shifted=None), -0.1, ""),
        (scenes.earth_search(shifted=False, offset=0), -0.1, "boa_offset_applied is false"),
        (scenes.earth_search(shifted=False, baseline="02.14", offset=0), 0, ""),
        (scenes.earth_search(shifted=None, baseline="02.14"), 0, "baseline 02.14 have no offset"),
        (scenes.earth_search(shifted=None, baseline="04.00", offset=0), 0, ""),
        (scenes.earth_search(shifted=None, baseline="none"), -0.1, ""),
        (scenes.cdse(), -0.1, ""),
        (scenes.cdse(baseline="02.14", offset=0), 0, ""),
        (scenes.cdse(baseline="02.14"), 0, "have no offset"),
        (planetary_computer(baseline="02.12"), 0, "its item states none"),
        (planetary_computer(baseline="03.01"), 0, "its item states none"),
        (planetary_computer(baseline="04.00"), -0.1, "states none; this is that of processing"),
        (planetary_computer(baseline="05.11"), -0.1, "its item states none"),
        (
            planetary_computer(**{"sentinel:boa_offset_applied": True}),
            0,
            "hold already (sentinel:boa_offset_applied)",
        ),
    ],
)
def test_reflectance_of_sentinel2(tmp_path: Path, scene: Json, offset: float, reason: str) -> None:
    values, warnings, reasons = packing(tmp_path, "red,SCL", scene)
    assert values == {"red": (0.0001, offset, 0), "SCL": (1, 0, 0)}
    assert reason in reasons.get("red", "")
    assert bool(reasons.get("red")) is bool(reason)
    contradicted = bool(reason) and "none" not in reason and "hold already" not in reason
    assert any(reason in line for line in warnings if "red: " in line) is contradicted


def test_an_offset_that_may_be_removed_is_warned_of(tmp_path: Path) -> None:
    scene = scenes.earth_search(shifted=None, offset=None)
    values, [warning], _ = packing(tmp_path, "red,scl", scene)
    assert values["red"] == (0.0001, 0, 0)
    assert "its item states no offset, though pixels of processing baseline 05.00" in warning


@pytest.mark.parametrize(
    ("scene", "names"),
    [
        (scenes.earth_search(), "aot,scl"),
        (scenes.cdse(), "AOT,WVP,SCL"),
        (scenes.cdse(baseline="02.14", offset=0), "AOT,WVP"),
        (planetary_computer(), "AOT,WVP,SCL"),
    ],
)
def test_aerosol_and_water_vapour_are_no_reflectance(
    tmp_path: Path, scene: Json, names: str
) -> None:
    """CDSE states scale and offset of bands for both."""
    values, _, _ = packing(tmp_path, names, scene)
    assert {values[name][:2] for name in values if name.casefold() in ("aot", "wvp")} == {
        (0.001, 0)
    }
    assert values.get("SCL", (1, 0))[:2] == (1, 0)


def test_a_scale_of_classes_or_bits_is_not_applied(tmp_path: Path) -> None:
    scene = scenes.usgs()
    scene["assets"]["qa_pixel"]["raster:bands"][0] |= {"scale": 0.5, "offset": 3}
    values, warnings, reasons = packing(tmp_path, "red,qa_pixel", scene)
    assert values == {"red": (2.75e-05, -0.2, 0), "qa_pixel": (1, 0, 1)}
    assert "classes or bits" in reasons["qa_pixel"]
    assert any("qa_pixel: its pixels are classes or bits" in line for line in warnings)


def test_an_uncertainty_called_qa_keeps_its_scale(tmp_path: Path) -> None:
    scene = scenes.usgs()
    qa = scene["assets"].pop("qa_pixel") | {"roles": ["data"]}
    del qa["classification:bitfields"]
    qa["raster:bands"] = [{"unit": "kelvin", "scale": 0.01, "data_type": "int16"}]
    scene["assets"]["qa"] = qa
    values, _, _ = packing(tmp_path, "red,qa", scene)
    assert values["qa"] == (0.01, 0, None)


def test_landsat_and_hls_that_state_nothing_have_the_scale_of_their_guides(tmp_path: Path) -> None:
    scene = scenes.usgs(stated=False)
    scene["assets"]["lwir11"] = scene["assets"]["red"] | {"eo:bands": [{"name": "B10"}]}
    values, _, reasons = packing(tmp_path / "c2", "red,lwir11,qa_pixel", scene)
    assert values["red"] == (2.75e-05, -0.2, 0)
    assert values["lwir11"] == (0.00341802, 149.0, 0)
    assert values["qa_pixel"][:2] == (1, 0)
    assert set(reasons) == {"red", "lwir11"}
    hls = scenes.usgs(stated=False, **{"landsat:correction": None}) | {"collection": "HLSL30_2.0"}
    hls["assets"] = {
        key: hls["assets"]["red"] | {"eo:bands": [{"name": key}]} for key in ("B04", "B10", "Fmask")
    }
    values, _, _ = packing(tmp_path / "hls", "B04,B10,Fmask", hls)
    assert [each[:2] for each in values.values()] == [(0.0001, 0), (0.01, 0), (1, 0)]


def test_a_scale_in_the_header_is_not_replaced(tmp_path: Path) -> None:
    header = {"scales": (0.002,)}
    values, _, reasons = packing(tmp_path, "B04,SCL", planetary_computer(), B04=header)
    assert values["B04"] == (0.002, 0, None)
    assert "B04" not in reasons


def test_real_numbers_are_reflectance_already(tmp_path: Path) -> None:
    header = {"dtype": "float32"}
    values, _, _ = packing(tmp_path, "B04,SCL", planetary_computer(), B04=header)
    assert values["B04"][:2] == (1, 0)


def test_the_only_asset_is_scaled_alike(tmp_path: Path) -> None:
    (item,), _ = harvested(tmp_path, f"{S2}?asset_names=B04", planetary_computer())
    fields = item.assets["B04"].extra_fields
    assert (fields["raster:scale"], fields["raster:offset"], fields["nodata"]) == (0.0001, -0.1, 0)
