"""Categorical variables: classes and dates, which cannot be averaged (CF 1.11, 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stacbuild.formats.zarr_decode import is_time_unit

FLAGS = ("flag_values", "flag_masks", "flag_meanings")
"""Attributes of CF that make a variable categorical, whatever its type."""


def is_categorical(dtype: np.dtype[Any], attrs: Mapping[str, Any]) -> bool:
    """Return whether values must not be averaged.

    True for integers (which may be classes), for variables with CF flags, and for dates.
    """
    return (
        dtype.kind != "f" or any(key in attrs for key in FLAGS) or is_time_unit(attrs.get("units"))
    )


def legend_of(attrs: Mapping[str, Any]) -> dict[int, str]:
    """Return the meanings of integers from ``flag_values`` and ``flag_meanings``.

    Empty if there are none, or the attributes of a foreign store are inconsistent.
    """
    meanings = attrs.get("flag_meanings")
    try:
        values = np.atleast_1d(np.asarray(attrs["flag_values"])).tolist()
        numbers = [int(value) for value in values]
    except (KeyError, TypeError, ValueError):
        return {}
    names = meanings.split() if isinstance(meanings, str) else []
    if values != numbers or len(numbers) != len(names):
        return {}
    return dict(zip(numbers, names, strict=True))
