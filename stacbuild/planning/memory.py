"""Estimate what the tasks of a planned cube need, before anything is opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stacbuild.loading.held import held_blocks
from stacbuild.loading.memory import Source, Work, unit_side, work
from stacbuild.loading.methods import wrapped_grids
from stacbuild.loading.select import band_times, by_time, has_time
from stacbuild.loading.units import work_unit
from stacbuild.planning.sizes import length_of

if TYPE_CHECKING:
    import pystac

    from stacbuild.config import SourceVariable
    from stacbuild.geo.grid import Grid


class Planned(Protocol):
    """A variable of a planned cube; ``shape`` is in the order of ``dims``."""

    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def dims(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102


def work_of(
    variable: SourceVariable,
    planned: Sequence[Planned],
    items: Sequence[pystac.Item],
    grid: Grid,
    budget: int,
) -> Work:
    """Return what the tasks of a source's variables need, at most, with so many bytes.

    What a custom function needs is not known before it is called.
    """
    source = Source.of(wrapped_grids(items[:1], grid), grid)
    inputs = held_blocks(variable, items, len(planned))
    if variable.temporal_resample_params is not None and not variable.custom_processing:
        inputs = max(inputs, _times_per_step(planned, items))
    is_raster = "cube:variables" not in items[0].properties
    of_items = {"time"} if is_raster and has_time(items) else set()
    needed = []
    for each in planned:
        itemsize = np.dtype(each.dtype).itemsize
        most = unit_side(source, itemsize, budget, inputs)
        unit = math.prod(work_unit(grid, itemsize, most=most))
        # All bands, in case the file is pixel-interleaved. Times of items are other files.
        lead = dict(zip(each.dims, each.shape, strict=True))
        bands = math.prod(n for dim, n in list(lead.items())[:-2] if dim not in of_items)
        shared = unit * itemsize * bands if bands > 1 else 0
        needed.append(replace(work(source, unit, itemsize, inputs=inputs), shared=shared))
    return max(needed, key=lambda each: each.total, default=Work(0))


def _times_per_step(planned: Sequence[Planned], items: Sequence[pystac.Item]) -> int:
    """Return the mean number of times of a source that are aggregated to one."""
    times = len(by_time(items))
    if times == 1 and (of_bands := band_times(items[0])) is not None:
        times = len(of_bands)
    if times == 1 and "time" in (dims := items[0].properties.get("cube:dimensions", {})):
        times = length_of(dims["time"])
    steps = [dict(zip(each.dims, each.shape, strict=True)).get("time", 1) for each in planned]
    return math.ceil(times / max(1, min(steps, default=1)))
