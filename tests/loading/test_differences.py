"""Where a cube's variable differs from its files: packing, type, unit and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stacbuild.config.datasets import SourceVariable
from stacbuild.loading.differences import (
    unpack_where_needed,
    warn_about_raster,
    warn_about_unpacking,
)
from stacbuild.loading.metadata import VariableMetadata
from tests.support.items import raster_item

PACKED = {"scale_factor": 0.1}


def variable(**fields: Any) -> SourceVariable:
    return SourceVariable.model_validate({"store": "s", "data_id": "a.tif", **fields})


def metadata(**attrs: float) -> VariableMetadata:
    return VariableMetadata(np.dtype("int16"), (), (), dict(attrs))


@pytest.mark.parametrize(
    ("method", "attrs", "unpacked"),
    [
        ("nearest", PACKED, False),
        ("sum", PACKED, False),
        ("sum", PACKED | {"add_offset": 1.0}, True),
        ("max", {"scale_factor": -1.0}, True),
        ("max", {}, False),
    ],
)
def test_methods_that_need_the_values(
    method: str, attrs: dict[str, float], unpacked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stated = {"a": metadata(**attrs), "b": metadata()}
    found = unpack_where_needed(variable(), method, stated)
    # Bands that are read together share one type.
    assert [each.unpacked for each in found.values()] == [unpacked] * 2
    warn_about_unpacking(variable(), method, stated)
    assert (f"the {method} of packed numbers is not that of the values" in caplog.text) is unpacked


def test_custom_functions_get_values(caplog: pytest.LogCaptureFixture) -> None:
    custom = variable(custom_processing={"module_path": "m.py", "function_name": "f"})
    stated = {"a": metadata(**PACKED)}
    assert unpack_where_needed(custom, "nearest", stated)["a"].unpacked
    warn_about_unpacking(custom, "nearest", stated)
    assert "custom_processing gets values, so the cube holds unpacked values (float32)" in (
        caplog.text
    )
    caplog.clear()
    already = {"a": metadata(**PACKED).unpack()}
    assert unpack_where_needed(custom, "nearest", already) == already
    warn_about_unpacking(custom, "nearest", already)
    assert caplog.text == ""


def told(item: Any, bands: list[int], **fields: Any) -> None:
    shared = VariableMetadata.of_bands([item], bands)
    warn_about_raster(variable(**fields), [item], dict.fromkeys(bands, shared))


def test_a_wider_type_for_a_mask(caplog: pytest.LogCaptureFixture) -> None:
    told(raster_item(data_type="uint8", **{"stacbuild:mask": True}), [1])
    assert "the cube is int16 and not uint8, -32768 where masked" in caplog.text


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (({"unit": "m"}, {}), "its bands differ in unit (m, none), so the cube states none"),
        (({"raster:scale": 0.1}, {}), "differ in scale or offset, so the cube holds unpacked"),
        (
            ({"classification:classes": [{"value": 1, "name": "a"}]}, {}),
            "its bands differ in classes, so the cube states none",
        ),
        (({"unit": "m"}, {"unit": "m"}), ""),
    ],
)
def test_what_bands_differ_in(
    bands: tuple[dict[str, Any], ...], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    told(raster_item(*bands), [1, 2])
    assert message in caplog.text
    assert message or not caplog.text
    caplog.clear()
    told(raster_item(*bands), [1, 2], open_params={"band_as_variable": True})
    assert caplog.text == ""
