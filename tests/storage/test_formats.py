"""Layouts of the formats of cubes."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pystac

from stacbuild.config.datasets import SingleDataset
from stacbuild.storage.formats import FORMATS, FormatId, whole


def test_each_format_of_the_configuration_has_a_layout() -> None:
    assert set(FORMATS) == set(get_args(FormatId))
    assert set(FORMATS) == set(get_args(SingleDataset.model_fields["format_id"].annotation))
    assert all(each.space >= 1 for each in FORMATS.values())


def test_the_whole_of_a_pyramid_is_not_its_first_level() -> None:
    item = pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {})
    item.add_asset("data", pystac.Asset("a.zarr/0"))
    assert whole(item).href == "a.zarr/0"
    item.add_asset("multiscales", pystac.Asset("a.zarr"))
    assert whole(item).href == "a.zarr"
