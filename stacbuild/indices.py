"""Spectral indices, as ready functions for ``custom_processing``.

Formulas, constants and references are those of the catalog Awesome Spectral Indices, in the library
`spyndex` (Montero et al. 2023, doi:10.1038/s41597-023-02096-0).
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

MODULE = "stacbuild.indices"
"""The ``module_path`` by which a configuration names this module."""

_KEPT = "with_"
_EXTRA = "pip install 'stacbuild[indices]'"
# Landsat and HLS call their only near infrared band, of 0.86 µm, nir08.
_INSTEAD = {"nir": "nir08"}


class IndexFunctionError(ValueError):
    """An index that does not exist, or cannot be computed from the variables."""


def check(function: str) -> None:
    """Raise `IndexFunctionError` if there is no function of this name.

    Parameters
    ----------
    function
        The name of an index (``ndvi``), or ``with_`` and that (``with_ndvi``).
    """
    _inputs(function)


def definition(function: str) -> str:
    """Return all that the values of a function depend on, as text."""
    index, _, constants = _inputs(function)
    return f"{function}: {index.formula}, {constants}"


def computed(
    dataset: xr.Dataset,
    function: str,
    common_names: Mapping[str, str],
    nodata: Mapping[Hashable, Any],
) -> xr.Dataset:
    """Compute an index.

    Parameters
    ----------
    dataset
        Lazy values: reflectance for indices with constants, such as EVI.
    function
        As for `check`.
    common_names
        Common names (STAC extension eo) of variables that are not named by them.
    nodata
        The nodata value of integers, by variable; NaN is nodata of floats.

    Returns
    -------
    Dataset with one variable, float32, named by the index in lower case; NaN where a band is nodata
    or the formula is not defined. Of ``with_…``, the given variables and this one.

    Raises
    ------
    IndexFunctionError
        If a band is missing, or integers without a scale are given for reflectance.
    """
    # Imported late: the configuration asks for names only.
    import numpy as np
    import xarray as xr

    index, bands, constants = _inputs(function)
    by_name = {common_names.get(str(name), str(name)): array for name, array in dataset.items()}
    arrays = []
    for letter, wanted in bands.items():
        found = by_name.get(wanted, by_name.get(_INSTEAD.get(wanted, "")))
        if found is None:
            raise IndexFunctionError(
                f"{index.short_name} needs {wanted} ({letter}), which no variable is or has as its "
                f"common name; there are: {', '.join(map(str, dataset.data_vars))}"
            )
        if constants and found.dtype.kind != "f":
            raise IndexFunctionError(
                f"{index.short_name} needs reflectance, but {found.name} holds {found.dtype} "
                "without a scale"
            )
        arrays.append(found)
    result: xr.DataArray = xr.apply_ufunc(
        _values, *arrays, kwargs={
            "function": function, "nodata": tuple(nodata.get(each.name) for each in arrays),
        }, dask="parallelized", output_dtypes=[np.float32],
    )  # fmt: skip
    name = str(index.short_name).lower()
    result.attrs = {
        "long_name": index.long_name,
        "units": "1",
        "comment": f"{index.short_name} = {index.formula}",
        "references": index.reference,
    }
    kept = dataset if function.startswith(_KEPT) else dataset.drop_vars(list(dataset.data_vars))
    return kept.assign({name: result})


def _values(*bands: NDArray[Any], function: str, nodata: tuple[Any, ...]) -> NDArray[np.float32]:
    import numpy as np
    import spyndex

    index, letters, constants = _inputs(function)
    params: dict[str, Any] = dict(constants)
    for letter, band, missing in zip(letters, bands, nodata, strict=True):
        values = band.astype(np.float64)
        params[letter] = values if missing is None else np.where(band == missing, np.nan, values)
    with np.errstate(all="ignore"):
        found = np.asarray(spyndex.computeIndex(index.short_name, params))
        return np.where(np.isfinite(found), found, np.nan).astype(np.float32)


@functools.cache
def _inputs(function: str) -> tuple[Any, dict[str, str], dict[str, float]]:
    """Return an index, the common names of its bands, and its constants."""
    try:
        import spyndex
    except ImportError as error:
        raise IndexFunctionError(f"{MODULE} needs an extra: {_EXTRA}") from error
    name = function.removeprefix(_KEPT)
    same = [key for key in spyndex.indices if key == name] or [
        key for key in spyndex.indices if key.lower() == name.lower()
    ]
    if len(same) != 1:
        known = f"it has {' and '.join(same)}" if same else "such as ndvi, nbr, evi, with_ndvi"
        raise IndexFunctionError(f"there is no index {name!r} in {MODULE}; {known}")
    index = spyndex.indices[same[0]]
    bands, constants = {}, {}
    for letter in index.bands:
        if letter in spyndex.bands:
            bands[letter] = spyndex.bands[letter].common_name
        elif letter in spyndex.constants and spyndex.constants[letter].default is not None:
            constants[letter] = float(spyndex.constants[letter].default)
        else:
            raise IndexFunctionError(f"{same[0]} needs {letter}, which is no band of a scene")
    return index, bands, constants
