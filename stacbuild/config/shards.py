"""Chunks within shards: what a configuration asks for, and the length of a chunk in a tile.

A shard is one file or object of a store, with many chunks that are read separately, and an index of
them (https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from stacbuild.config.reading import KeyPath, Problem
from stacbuild.config.types import Count

SHORTEST, LONGEST = 256, 512
"""Pixels along a side of a chunk in a shard, unless the configuration has a length."""


def _shards(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, list | tuple):
        if len(value) != 2:
            msg = "has to be true, false, one whole number, or two: [x, y]"
            raise ValueError(msg)
        return value
    return (value, value)


Shards = Annotated[
    bool | tuple[Count, Count],
    BeforeValidator(_shards),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "integer", "minimum": 1},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": 2,
                    "maxItems": 2,
                },
            ],
        }
    ),
]
"""Whether tiles are shards, or width and height of the chunks in them."""


def inner_length(tile: int, asked: int | None = None, *, single: bool = False) -> int:
    """Return the length of the chunks in a shard along one side.

    Parameters
    ----------
    tile
        Pixels along the side of a shard.
    asked
        The length in the configuration; None for the longest from 256 to 512 that divides *tile*.
    single
        Whether there is no other tile along this side. Its shard may then extend beyond the grid,
        and any length will do.

    Raises
    ------
    ValueError
        If no length divides the tile.
    """
    if asked is not None:
        if single:
            return min(asked, tile)
        if tile % asked:
            msg = f"chunks of {asked} pixels do not divide a tile of {tile}"
            raise ValueError(msg)
        return asked
    if tile <= LONGEST:
        return tile
    dividing = (length for length in range(LONGEST, SHORTEST - 1, -1) if tile % length == 0)
    found = next(dividing, LONGEST if single else None)
    if found is None:
        msg = (
            f"no length from {SHORTEST} to {LONGEST} divides a tile of {tile} pixels; use another "
            "tile_size, such as a multiple of 500 or 512, or a length that divides it"
        )
        raise ValueError(msg)
    return found


def problems(
    data: dict[Any, Any], grids: list[tuple[KeyPath, dict[Any, Any]]]
) -> Iterator[Problem]:
    """Yield the problems of shards in the mapping of a whole configuration.

    Parameters
    ----------
    grids
        Its grid mappings, and where they are.
    """
    general = data.get("general")
    general = general if isinstance(general, dict) else {}
    wanted: list[tuple[KeyPath, Any]] = [(("general", "shards"), general.get("shards", False))]
    wanted += [((*path, "shards"), grid["shards"]) for path, grid in grids if "shards" in grid]
    if general.get("zarr_format") == 2:
        for path, value in wanted:
            if value not in (False, None):
                yield Problem(
                    path, "Zarr format 2 has no shards; use zarr_format 3, or leave shards out"
                )
        return
    for path, grid in grids:
        where = (*path, "shards") if "shards" in grid else (*path, "tile_size")
        value = grid.get("shards")
        yield from _undivided(general.get("shards") if value is None else value, grid, where)


def _undivided(value: Any, grid: dict[Any, Any], path: KeyPath) -> Iterator[Problem]:
    if value is False or value is None:
        return
    tiles = _pair(grid.get("tile_size", 1024))
    lengths = (None, None) if value is True else _pair(value)
    # The models report what is no length.
    if tiles is None or lengths is None:
        return
    for tile, length in dict.fromkeys(zip(tiles, lengths, strict=True)):
        try:
            inner_length(tile, length)
        except ValueError as error:
            yield Problem(path, str(error))


def _pair(value: Any) -> tuple[int, int] | None:
    pair = value if isinstance(value, list | tuple) else (value, value)
    whole = all(type(each) is int and each > 0 for each in pair)
    return (pair[0], pair[1]) if len(pair) == 2 and whole else None
