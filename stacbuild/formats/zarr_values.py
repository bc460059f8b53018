"""Reading of coordinates and bounds, with errors that name store and array."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stacbuild.errors import IntegrityError, StacbuildError

if TYPE_CHECKING:
    import zarr

DIMENSIONS = "_ARRAY_DIMENSIONS"
"""Attribute that names the dimensions of an array of Zarr format 2."""

REMEDY = "fetch the store again, or write it again"
"""End of messages about a damaged store of anybody."""


def values_of(name: str, array: xr.DataArray | xr.Variable) -> NDArray[Any]:
    """Return the values of a coordinate or of bounds.

    Raises
    ------
    IntegrityError
        They cannot be decoded; the message names the array.
    StacbuildError
        As `stacbuild.formats.zarr_errors.read_error`: they cannot be fetched.
    """
    try:
        return np.asarray(array.values)
    except StacbuildError:
        raise
    except Exception as error:  # each codec has its own
        # Imported when used: it needs zarr and botocore, which rasters do not.
        from stacbuild.formats.zarr_errors import read_error

        failure = read_error(error, f"array {name}")
        if isinstance(failure, IntegrityError):
            failure = IntegrityError(_damaged(name, error))
        raise failure from error


def damaged_index(group: zarr.Group) -> str | None:
    """Return the message for the first coordinate that cannot be decoded; None if all can.

    xarray reads them when it opens a group, and its error does not name the coordinate.
    """
    for name, array in group.arrays():
        dims = getattr(array.metadata, "dimension_names", None) or array.attrs.get(DIMENSIONS)
        if array.ndim != 1 or not isinstance(dims, list | tuple) or list(dims) != [name]:
            continue
        try:
            _ = array[...]
        except Exception as error:  # noqa: BLE001 - each codec has its own
            return _damaged(name, error)
    return None


def _damaged(name: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return f"array {name} cannot be decoded ({text}); {REMEDY}"


@contextmanager
def naming(href: str) -> Iterator[None]:
    """Add the href of a store to errors within, which name arrays only."""
    try:
        yield
    except StacbuildError as error:
        if str(error).startswith(href):
            raise
        raise type(error)(f"{href}: {error}") from error
