"""How many blocks of a source are held for one block of a cube that is resampled in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from stacbuild.config.time_resampling import MEDOID, By
from stacbuild.loading.metadata import data_bands
from stacbuild.loading.select import band_times, by_time
from stacbuild.loading.time_steps import step_sizes
from stacbuild.stac.scenes import DATA

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import SourceVariable
    from stacbuild.config.time_resampling import TemporalResampleParams


def held_blocks(variable: SourceVariable, items: Sequence[pystac.Item], variables: int) -> int:
    """Return the most blocks that a block of the result is computed from, as far as known.

    These are the times of the longest step; of all variables, if they are taken from one
    observation, or a custom function may combine them.

    Parameters
    ----------
    items
        Of the source.
    variables
        Number of variables of the source; 0 if they are those of a single asset.
    """
    params = variable.temporal_resample_params
    if params is None or params.interp_methods is not None:
        return 1
    together = variable.custom_processing is not None or _are_together(params)
    several = max(1, variables or _of_asset(variable, items)) if together else 1
    return _longest_step(items, params) * several


def _of_asset(variable: SourceVariable, items: Sequence[pystac.Item]) -> int:
    """Return the number of variables that a single asset may have."""
    if variable.open_params.variable_names:
        return len(variable.open_params.variable_names)
    if "cube:variables" in items[0].properties:
        return len(items[0].properties["cube:variables"])
    return len(data_bands(items[0])) if variable.open_params.band_as_variable else 1


def _are_together(params: TemporalResampleParams) -> bool:
    stated = params.agg_methods
    methods = stated.values() if isinstance(stated, dict) else (stated,)
    return any(isinstance(each, By) or each == MEDOID for each in methods)


def _longest_step(items: Sequence[pystac.Item], params: TemporalResampleParams) -> int:
    """Return the most times in a step; 1 if the times are not known before they are read."""
    times = pd.DatetimeIndex(by_time(items))
    if (
        len(times) == 1
        and DATA in items[0].assets
        and (of_bands := band_times(items[0])) is not None
    ):
        times = of_bands
    return max(1, int(step_sizes(times.sort_values(), params).max()))
