"""What is opened for an asset with arrays."""

from __future__ import annotations

from typing import Any

import pystac
import pytest

from stacbuild.stac.data_href import GROUP, data_href


@pytest.mark.parametrize(
    ("fields", "href"),
    [({}, "/a.nc"), ({GROUP: ""}, "/a.nc"), ({GROUP: "forecast/daily"}, "/a.nc/forecast/daily")],
)
def test_a_group_follows_its_file(fields: dict[str, Any], href: str) -> None:
    assert data_href(pystac.Asset("/a.nc", extra_fields=fields)) == href
