"""Check that the times of the variables of a cube can be merged, as far as items state them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from stacbuild.config import MultiDataset
from stacbuild.errors import BuildError

if TYPE_CHECKING:
    from stacbuild.config import Dataset

Values = tuple[Sequence[str], "pd.Index[Any]"]
"""Names of variables, and their values along a dimension."""


def check_times(dataset: Dataset, times: Mapping[str, pd.DatetimeIndex]) -> None:
    """Check the known times of variables of a cube against ``xr_merge_params.join``.

    Raises
    ------
    BuildError
        They differ, and ``join`` is ``exact``.
    """
    if not isinstance(dataset, MultiDataset) or dataset.xr_merge_params.join != "exact":
        return
    if why := differing("time", [((name,), index) for name, index in times.items()]):
        raise BuildError(f"{dataset.identifier}: {why}")


def differing(dim: str, stated: Sequence[Values]) -> str:
    """Return a message on values of a dimension that differ; empty if they do not."""
    if all(index.equals(stated[0][1]) for _, index in stated):
        return ""
    # Variables with the same values together.
    alike: list[tuple[list[str], pd.Index[Any]]] = []
    for names, index in stated:
        known = next((found for found, other in alike if other.equals(index)), None)
        if known is None:
            alike.append((list(names), index))
        else:
            known += names
    texts = [f"{', '.join(names)} has {_values_text(index)}" for names, index in alike]
    return (
        f"the {'times' if dim == 'time' else f'values of {dim}'} of its variables differ: "
        f"{'; '.join(texts)}; set xr_merge_params: {{join: outer}} for all of them, filled with "
        "nodata where a variable has none (or join: inner for the common ones)"
    )


def _values_text(index: pd.Index[Any]) -> str:
    ends = [
        str(value).removesuffix(" 00:00:00") if isinstance(index, pd.DatetimeIndex) else str(value)
        for value in index[[0, -1][: len(index)]]
    ]
    return f"{len(index)} ({' to '.join(dict.fromkeys(ends))})"
