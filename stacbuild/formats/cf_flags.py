"""Which variables hold classes or dates, of which there is nothing in between (CF 1.11, 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stacbuild.formats.zarr_decode import is_time_unit

FLAGS = ("flag_values", "flag_masks", "flag_meanings")
"""Attributes of CF that make a variable one of classes, whatever its type."""


def is_categorical(dtype: np.dtype[Any], attrs: Mapping[str, Any]) -> bool:
    """Return whether the mean of two values may be none that there is.

    True of integers (codes as far as anyone can tell), of what has CF flags, and of dates.
    """
    return (
        dtype.kind != "f" or any(key in attrs for key in FLAGS) or is_time_unit(attrs.get("units"))
    )


def legend_of(attrs: Mapping[str, Any]) -> dict[int, str]:
    """Return the meanings of whole numbers by ``flag_values`` and ``flag_meanings``.

    Empty where there are none, or the attributes do not fit each other: they are somebody else's.
    """
    meanings = attrs.get("flag_meanings")
    try:
        values = np.atleast_1d(np.asarray(attrs["flag_values"])).tolist()
        codes = [int(value) for value in values]
    except (KeyError, TypeError, ValueError):
        return {}
    names = meanings.split() if isinstance(meanings, str) else []
    return (
        dict(zip(codes, names, strict=True)) if values == codes and len(codes) == len(names) else {}
    )
