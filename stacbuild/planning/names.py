"""Check that the dimensions and variables that a dataset names exist in its cube."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from stacbuild.config import MultiDataset
from stacbuild.errors import ConfigError

if TYPE_CHECKING:
    from stacbuild.config import Dataset


def check_planned(dataset: Dataset, variables: Mapping[str, Sequence[str]]) -> None:
    """Check the names against the planned dimensions of each variable of a cube.

    Nothing is checked if there is a custom function, which may rename and add anything.

    Raises
    ------
    ConfigError
        If there is no such dimension or variable; the message lists those that exist.
    """
    if any(variable.custom_processing for variable in dataset.variables):
        return
    check_chunksize(dataset, [dim for dims in variables.values() for dim in dims])
    if isinstance(dataset, MultiDataset):
        values = dataset.xr_merge_params.fill_value
        wanted = values if isinstance(values, dict) else ()
        _check(dataset, "xr_merge_params.fill_value", wanted, ("variable of the cube", variables))


def check_chunksize(dataset: Dataset, dims: Iterable[str]) -> None:
    """Raise a `ConfigError` if ``chunksize`` names a dimension that the cube does not have."""
    _check(dataset, "chunksize", dataset.chunksize, ("dimension of the cube", dims))


def _check(
    dataset: Dataset, key: str, wanted: Iterable[str], known: tuple[str, Iterable[str]]
) -> None:
    what, names = known[0], list(dict.fromkeys(known[1]))
    for name in wanted:
        if name not in names:
            raise ConfigError(
                f"{dataset.identifier}: {key} names {name!r}, which is not a {what}; there are: "
                f"{', '.join(names)}"
            )
