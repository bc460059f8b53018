"""Numbers of bytes, as people write them."""

from __future__ import annotations

import pytest

from stacbuild.config import load_config
from stacbuild.errors import ConfigError
from tests.support.cli import configuration
from tests.support.scheduling import CUBES, SOURCE


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2 GB", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("500 mb", 500 * 10**6),
        ("64 KiB", 2**16),
        ("100 B", 100),
        ("3000000", 3_000_000),
        (4_000_000_000, 4 * 10**9),
    ],
)
def test_a_size(tmp_path, stated: str | int, expected: int) -> None:
    path = configuration(tmp_path, [CUBES[0]], [SOURCE], general={"memory": stated})
    assert load_config(path).general.memory == expected


@pytest.mark.parametrize(
    "stated", ["2 GB of it", "much", "-1", 0, "0 GB", True, "2 parsec", [1], "9" * 5000]
)
def test_no_size(tmp_path, stated: object) -> None:
    path = configuration(tmp_path, [CUBES[0]], [SOURCE], general={"memory": stated})
    with pytest.raises(ConfigError, match=r"general\.memory: has to be a size such as 2 GB or"):
        load_config(path)
