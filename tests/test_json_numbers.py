"""Integers of JSON that exceed a float are infinite, as numbers with exponents are."""

from __future__ import annotations

import json
import math

import pytest

from stacbuild.json_numbers import parse_int


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("-18446744073709551616", -(2**64)),
        ("1" + "0" * 400, math.inf),
        ("-" + "9" * 5000, -math.inf),
    ],
)
def test_integers(text: str, expected: float) -> None:
    found = json.loads(f"[{text}]", parse_int=parse_int)
    assert found == [expected]
    assert type(found[0]) is type(expected)
