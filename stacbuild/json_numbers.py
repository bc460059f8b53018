"""Integers of JSON documents that exceed a float."""

from __future__ import annotations

import math

# Digits of which every integer is a float.
_DIGITS = 300


def parse_int(text: str) -> float:
    """Return an integer of JSON; infinity if it has too many digits, as for ``1e400``.

    It is the *parse_int* of `json.loads`. Python's integers have no limit: one of 400 digits
    would otherwise raise an OverflowError wherever it meets a float.
    """
    if len(text) <= _DIGITS:
        return int(text)
    return -math.inf if text.startswith("-") else math.inf
