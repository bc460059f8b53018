"""Metadata of a variable: what items state, and what the cube stores for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stacbuild.config.datasets import SourceVariable
from stacbuild.errors import BuildError
from stacbuild.loading.metadata import VariableMetadata, data_bands, metadata_by_band
from tests.support.items import raster_item as raster
from tests.support.items import zarr_item

FOREST = {"value": 1, "name": "dense-forest", "color_hint": "00FF00"}
NONE = {"value": 0, "name": "outside", "nodata": True, "color_hint": "000000"}


def variable(**fields: Any) -> SourceVariable:
    return SourceVariable.model_validate({"store": "s", "data_id": "a.tif", **fields})


def plain(dtype: str, *nodata: float, masked: bool = False, **fields: Any) -> VariableMetadata:
    return VariableMetadata(np.dtype(dtype), nodata, (), {}, masked=masked, **fields)


def test_a_band_overrides_its_file() -> None:
    item = raster({"name": "b1"}, {"name": "b2", "unit": "K", "nodata": -1}, unit="m", nodata=7)
    of_file, second = VariableMetadata.of_raster(item), VariableMetadata.of_raster(item, 2)
    assert (of_file.nodata, of_file.attrs) == ((7,), {"long_name": "Height", "units": "m"})
    assert (second.nodata, second.attrs) == ((-1,), {"long_name": "Height", "units": "K"})
    # An item that lists fewer bands than the file has.
    assert VariableMetadata.of_raster(item, 3) == of_file


def test_all_that_means_no_data_is_listed_once() -> None:
    item = raster(
        data_type="uint8", nodata=255, **{"classification:classes": [NONE, {**NONE, "value": 255}]}
    )
    assert VariableMetadata.of_raster(item).nodata == (255, 0)
    # What the type cannot hold occurs nowhere, and NaN always means it.
    assert VariableMetadata.of_raster(raster(data_type="uint8", nodata=-9999)).nodata == ()
    assert VariableMetadata.of_raster(raster(data_type="float32", nodata="nan")).nodata == ()


def test_classes_are_flags() -> None:
    fields = {"data_type": "uint8", "classification:classes": [NONE, FOREST]}
    attrs = VariableMetadata.of_raster(raster(**fields)).attrs
    assert (attrs["flag_values"].tolist(), attrs["flag_values"].dtype) == ([1], np.uint8)
    assert (attrs["flag_meanings"], attrs["flag_colors"]) == ("dense_forest", "#00ff00")
    fields["classification:classes"] = [FOREST, {"value": 2, "name": "a"}, {"value": 300}]
    attrs = VariableMetadata.of_raster(raster(**fields)).attrs
    assert attrs["flag_values"].tolist() == [1, 2]
    assert "flag_colors" not in attrs


def test_only_real_numbers_are_read() -> None:
    for name, what in (("complex64", "complex numbers"), ("cint16", "complex"), ("S3", "type S3")):
        with pytest.raises(BuildError, match=what):
            VariableMetadata.of_raster(raster(data_type=name))


def test_a_zarr_variable() -> None:
    fields = {"data_type": "int16", "title": "T", "description": "at 2 m", "unit": "K"}
    standard = {"cf:parameter": [{"name": "air_temperature", "unit": "K"}]}
    item = zarr_item(v={**fields, **standard, "nodata": -1, "raster:scale": 0.1})
    metadata = VariableMetadata.of_zarr(item, "v")
    assert metadata.packing == (0.1, 0.0)
    assert metadata.nodata == (-1,)
    wanted = {"long_name": "T", "description": "at 2 m", "units": "K", "scale_factor": 0.1}
    assert metadata.attrs == wanted | {"standard_name": "air_temperature"}


@pytest.mark.parametrize(
    ("dtype", "unpacked"),
    [("uint8", "float32"), ("int16", "float32"), ("int32", "float64"), ("float32", "float32"),
     ("float64", "float64")],
)  # fmt: skip
def test_types_of_unpacked_values(dtype: str, unpacked: str) -> None:
    packed = VariableMetadata(np.dtype(dtype), (), (), {"scale_factor": 0.5, "units": "m"})
    assert packed.cube_dtype == dtype
    assert packed.unpack().cube_dtype == unpacked
    assert packed.unpack().unpacked_by == (0.5, 0.0)
    assert packed.unpack().attrs == {"units": "m"}


def test_a_mask_needs_a_value_to_spare() -> None:
    assert plain("uint8", masked=True).cube_dtype == "int16"
    assert plain("uint8", 0, masked=True).cube_dtype == "uint8"
    assert plain("float32", masked=True).cube_dtype == "float32"
    assert plain("int16", masked=True).filled(-1).cube_dtype == "int16"
    with pytest.raises(BuildError, match="integers of 64 bits: state"):
        _ = plain("int64", masked=True).cube_dtype


def test_a_chosen_value_outside_the_type() -> None:
    assert plain("uint8").filled(-1).cube_dtype == "int16"
    assert plain("uint8").filled(None).chosen is None
    # A source with a nodata value of its own keeps its type, as its pixels are replaced.
    for metadata, value in ((plain("uint8", 0), -1), (plain("int64"), 0.5), (plain("uint8"), 1e9)):
        with pytest.raises(BuildError, match="is not a value of"):
            metadata.filled(value)


@pytest.mark.parametrize(
    ("metadata", "fill"),
    [
        (plain("uint8"), 255), (plain("int16"), -32768), (plain("uint8", 3, 4), 3),
        (plain("uint8", 3).filled(9), 9), (plain("uint8", masked=True), -32768),
    ],
)  # fmt: skip
def test_the_value_of_pixels_without_data(metadata: VariableMetadata, fill: float) -> None:
    assert metadata.fill == fill
    assert np.isnan(plain("float32", -9999).fill)


def test_no_data_is_declared_only_where_it_can_occur() -> None:
    bare = plain("uint8")
    assert not bare.no_data(complete=True).declared
    assert bare.no_data(complete=False).declared
    # 255 may be a value of the source, too.
    assert not bare.no_data(complete=False).reserved
    for metadata in (plain("uint8", 0), plain("uint8", masked=True), plain("uint8").filled(255)):
        assert metadata.no_data(complete=True).declared
    assert plain("uint8", 0).no_data(complete=True).reserved
    assert plain("float32").no_data(complete=True).reserved


def test_what_bands_have_in_common() -> None:
    scales = ({"raster:scale": 0.1}, {"raster:scale": 0.2})
    assert VariableMetadata.of_bands([raster(*scales)], [1, 2]).unpacked
    assert not VariableMetadata.of_bands([raster(*scales)], [2]).unpacked
    nodata = raster({"nodata": 1}, {"nodata": 2})
    with pytest.raises(BuildError, match="differ in what no data is"):
        VariableMetadata.of_bands([nodata], [1, 2])
    assert VariableMetadata.of_bands([nodata], [2]).nodata == (2,)
    titles = [raster(name="a"), raster(name="b")]
    titles[1].assets["data"].title = "Other"
    assert VariableMetadata.of_bands(titles, [1]).attrs == {}


def test_alpha_bands_are_not_data() -> None:
    item = raster({"name": "b1"}, {"name": "b2", "stacbuild:alpha": True})
    assert data_bands(item) == [1]
    assert data_bands(raster()) == [1]
    assert list(metadata_by_band(variable(), [item], "v")) == [1]
    apart = {"band_as_variable": True}
    assert list(metadata_by_band(variable(open_params=apart), [item], "v")) == [1]
    asked = variable(open_params=apart | {"variable_names": ["band_2"]})
    assert list(metadata_by_band(asked, [item], "v")) == [1, 2]
