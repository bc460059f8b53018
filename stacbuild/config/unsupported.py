"""Keys of the notebook's tool that are not supported, and what to do instead.

Such a key is refused with a message of its own, not ignored. To support one, add a field to the
model, implement it, and remove the row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stacbuild.config.reading import KeyPath, Problem


def _of_sources(params: str) -> tuple[str, ...]:
    return f"datasets.*.{params}", f"datasets.*.variables.*.{params}"


@dataclass(frozen=True)
class Refusal:
    """Keys of certain mappings (``*`` is any list item) that are refused, and the alternative."""

    mappings: tuple[str, ...]
    keys: tuple[str, ...]
    instead: str
    refused: Callable[[Any], bool] = lambda _: True


def _is(*values: Any) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        found = value.values() if isinstance(value, dict) else [value]
        return any(entry in values for entry in found if isinstance(entry, str | bool))

    return test


REFUSALS = (
    Refusal(
        _of_sources("open_params"),
        ("tile_size", "chunks"),
        "chunks of the cube are the tile_size of the grid mapping",
    ),
    Refusal(
        _of_sources("open_params"),
        ("data_type", "overview_level", "consolidated", "decode_cf", "mask_and_scale"),
        "data are read as they are stored, in full resolution; leave it out",
    ),
    Refusal(
        _of_sources("open_params"),
        ("variables",),
        "name assets of scenes by asset_names, variables of a file by variable_names",
    ),
    Refusal(
        _of_sources("spatial_resample_params"),
        ("interp_methods",),
        "methods are nearest and bilinear",
        _is("triangular"),
    ),
    Refusal(
        _of_sources("spatial_resample_params"),
        ("agg_methods",),
        "methods are center, max, mean, median, min, mode and sum",
        _is("count", "first", "last", "prod", "std", "var"),
    ),
    Refusal(
        _of_sources("spatial_resample_params"),
        ("tile_size",),
        "chunks of the cube are the tile_size of the grid mapping, or chunksize of the dataset",
    ),
    Refusal(
        _of_sources("spatial_resample_params"),
        ("recover_nans",),
        "pixels of no data never weigh in; leave it out",
        _is(False),
    ),
    Refusal(
        _of_sources("temporal_resample_params"),
        ("interp_methods",),
        "methods are linear, nearest, slinear and zero",
        _is("cubic", "quadratic", "polynomial"),
    ),
    Refusal(
        _of_sources("temporal_resample_params"),
        ("agg_methods",),
        "resample in a custom_processing function",
        _is("all", "any", "cumprod", "cumsum"),
    ),
    Refusal(
        ("preload_datasets.*.preload_params",),
        ("silent", "max_workers", "cleanup", "target_format", "chunks", "tile_size"),
        "files are kept as they were delivered; leave it out",
    ),
    Refusal(
        ("preload_datasets.*.preload_params",),
        ("blocking",),
        "a run waits for what it preloads",
        _is(False),
    ),
    Refusal(
        ("data_stores.*.store_params",),
        ("max_depth", "read_only", "includes", "excludes"),
        "stores are read by data_id only; leave it out",
    ),
    Refusal(
        ("data_stores.*.store_params",),
        ("cache_store_id",),
        "a cache is a folder (file)",
        _is("s3", "memory", "https", "abfs", "ftp"),
    ),
    Refusal(
        ("general",),
        ("gdal_http_params",),
        "GDAL is kept off the network, and failed requests are repeated anyway; leave it out",
    ),
    Refusal(
        ("general",),
        ("dask_scheduler",),
        "write the address of the running scheduler, tcp://HOST:PORT",
        _is("distributed"),
    ),
)


def unsupported(data: Any) -> Iterator[Problem]:
    """Yield a problem for each key of *data*, as read, that is known but not supported."""
    for row in REFUSALS:
        for pattern in row.mappings:
            for path, mapping in _matches(data, tuple(pattern.split(".")), ()):
                for key in row.keys:
                    if key in mapping and row.refused(mapping[key]):
                        yield Problem((*path, key), f"is not supported yet; {row.instead}", True)


def _matches(
    data: Any, pattern: tuple[str, ...], path: KeyPath
) -> Iterator[tuple[KeyPath, dict[Any, Any]]]:
    if not pattern:
        if isinstance(data, dict):
            yield path, data
    elif pattern[0] == "*":
        if isinstance(data, list | tuple):
            for i, entry in enumerate(data):
                yield from _matches(entry, pattern[1:], (*path, i))
    elif isinstance(data, dict) and pattern[0] in data:
        yield from _matches(data[pattern[0]], pattern[1:], (*path, pattern[0]))
