"""What the notebook's tool can do and this one cannot yet.

Such a key is refused with a line of its own rather than ignored. To lift one: give the model its
field, act on it, and remove the row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stacbuild.config.reading import KeyPath, Problem

_SOURCE = ("datasets.*", "datasets.*.variables.*")


@dataclass(frozen=True)
class Refusal:
    """One row: a key, at places where ``*`` stands for any entry, and what to do instead."""

    places: tuple[str, ...]
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
        tuple(f"{place}.open_params" for place in _SOURCE),
        ("spatial_res",),
        "the resolution is that of the grid mapping, or of the source itself",
    ),
    Refusal(
        tuple(f"{place}.open_params" for place in _SOURCE),
        ("tile_size", "chunks"),
        "chunks of the cube are the tile_size of the grid mapping",
    ),
    Refusal(
        tuple(f"{place}.open_params" for place in _SOURCE),
        ("data_type", "overview_level", "consolidated", "decode_cf", "mask_and_scale"),
        "data are read as they are stored, in full resolution; leave it out",
    ),
    Refusal(
        tuple(f"{place}.spatial_resample_params" for place in _SOURCE),
        ("interp_methods",),
        "methods are nearest and bilinear",
        _is("triangular"),
    ),
    Refusal(
        tuple(f"{place}.spatial_resample_params" for place in _SOURCE),
        ("agg_methods",),
        "methods are center, max, mean, median, min, mode and sum",
        _is("count", "first", "last", "prod", "std", "var"),
    ),
    Refusal(
        tuple(f"{place}.spatial_resample_params" for place in _SOURCE),
        ("tile_size",),
        "chunks of the cube are the tile_size of the grid mapping, or chunksize of the dataset",
    ),
    Refusal(
        tuple(f"{place}.spatial_resample_params" for place in _SOURCE),
        ("recover_nans",),
        "pixels of no data never weigh in; leave it out",
        _is(False),
    ),
    Refusal(
        tuple(f"{place}.temporal_resample_params" for place in _SOURCE),
        ("interp_methods",),
        "methods are linear, nearest, slinear and zero",
        _is("cubic", "quadratic", "polynomial"),
    ),
    Refusal(
        tuple(f"{place}.temporal_resample_params" for place in _SOURCE),
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
        "give the address of the running scheduler, tcp://HOST:PORT",
        _is("distributed"),
    ),
)


def unsupported(data: Any) -> Iterator[Problem]:
    """Yield a problem for every key of *data*, as read, that is known but not supported yet."""
    for row in REFUSALS:
        for place in row.places:
            for path, mapping in _at(data, tuple(place.split(".")), ()):
                for key in row.keys:
                    if key in mapping and row.refused(mapping[key]):
                        yield Problem((*path, key), f"is not supported yet; {row.instead}", True)


def _at(
    data: Any, pattern: tuple[str, ...], path: KeyPath
) -> Iterator[tuple[KeyPath, dict[Any, Any]]]:
    if not pattern:
        if isinstance(data, dict):
            yield path, data
    elif pattern[0] == "*":
        if isinstance(data, list | tuple):
            for i, entry in enumerate(data):
                yield from _at(entry, pattern[1:], (*path, i))
    elif isinstance(data, dict) and pattern[0] in data:
        yield from _at(data[pattern[0]], pattern[1:], (*path, pattern[0]))
