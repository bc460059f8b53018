"""Integers of JSON documents that exceed a float."""

from __future__ import annotations

import math


def parse_int(text: str) -> float:
    """Return an integer of JSON; infinity if it exceeds every float, as for ``1e400``.

    It is the *parse_int* of `json.loads`. Python's integers have no limit: one of 400 digits
    would otherwise raise an OverflowError wherever it meets a float. The largest float, which is
    a common nodata value, has 309 digits.
    """
    try:
        number = int(text)  # a ValueError from 4300 digits on
        float(number)
    except (ValueError, OverflowError):
        return -math.inf if text.startswith("-") else math.inf
    return number
