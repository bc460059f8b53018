"""Integers of JSON that exceed a float are infinite, as numbers with exponents are."""

from __future__ import annotations

import json
import math
import sys

import pytest

from stacbuild.json_numbers import parse_int


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("-18446744073709551616", -(2**64)),
        # The largest float is a common nodata value.
        (str(-int(sys.float_info.max)), -int(sys.float_info.max)),
        (str(int(sys.float_info.max)), int(sys.float_info.max)),
        ("1" + "0" * 309, math.inf),
        ("1" + "0" * 400, math.inf),
        ("-" + "9" * 5000, -math.inf),
    ],
)
def test_integers(text: str, expected: float) -> None:
    found = json.loads(f"[{text}]", parse_int=parse_int)
    assert found == [expected]
    assert type(found[0]) is type(expected)
