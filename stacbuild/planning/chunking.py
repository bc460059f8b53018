"""How the variables of a cube are cut into chunks and shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from stacbuild.config.shards import inner_length
from stacbuild.errors import ConfigError

if TYPE_CHECKING:
    from stacbuild.config import Dataset
    from stacbuild.geo.grid import Grid


@dataclass(frozen=True)
class Chunking:
    """The chunks of an array, and its shards if it has any.

    Parameters
    ----------
    chunks
        Shape of a chunk, the smallest part that is decoded.
    shards
        Shape of a shard, a whole number of chunks along each dimension; None if each chunk is
        stored for itself. The last shards may extend beyond the array.
    """

    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None = None

    @property
    def stored(self) -> tuple[int, ...]:
        """Shape of what one key of a store holds: a shard, or a chunk."""
        return self.shards or self.chunks

    @property
    def encoding(self) -> dict[str, tuple[int, ...]]:
        """The fields of xarray's ``encoding``."""
        return {"chunks": self.chunks} | ({"shards": self.shards} if self.shards else {})

    @classmethod
    def of(cls, encoding: Mapping[Any, Any]) -> Self:
        """Return the chunking in xarray's ``encoding``."""
        shards = encoding.get("shards")
        return cls(tuple(encoding["chunks"]), tuple(shards) if shards else None)

    def within(self, shape: Sequence[int]) -> Chunking:
        """Return the chunking of an array of another shape, with no more or longer chunks."""
        chunks = tuple(map(min, self.chunks, shape))
        if self.shards is None:
            return Chunking(chunks)
        shards = tuple(
            min(shard, -(-length // chunk) * chunk)
            for shard, length, chunk in zip(self.shards, shape, chunks, strict=True)
        )
        return Chunking(chunks, shards if shards != chunks else None)


def chunking(sizes: Mapping[str, int], grid: Grid, chunksize: Mapping[str, int]) -> Chunking:
    """Return the chunking of a variable of a cube.

    What is stored is the grid's tiles, with length 1 along other dimensions, unless overridden by
    *chunksize*. If the grid has shards, each of them is a shard, of chunks that are shorter along
    the grid's dimensions only.

    Parameters
    ----------
    sizes
        Length of each dimension of the variable, in order.

    Raises
    ------
    ValueError
        If a tile cannot be divided into chunks.
    """
    tile = dict(zip(grid.dims, grid.tile, strict=True))
    asked = tile | dict(chunksize)
    stored = tuple(min(asked.get(dim, 1), length) for dim, length in sizes.items())
    if not grid.shards:
        return Chunking(stored)
    lengths = (None, None) if isinstance(grid.shards, bool) else grid.shards
    inner = dict(zip(grid.dims, lengths, strict=True))
    chunks, shards = [], []
    for (dim, length), whole in zip(sizes.items(), stored, strict=True):
        single = whole >= length
        chunk = inner_length(whole, inner[dim], single=single) if dim in inner else whole
        chunks.append(chunk)
        # A shard is a whole number of chunks, and may extend beyond a single tile.
        shards.append(-(-whole // chunk) * chunk)
    return Chunking(tuple(chunks), tuple(shards) if shards != chunks else None)


def check_shards(dataset: Dataset, grid: Grid) -> None:
    """Check that the tiles of a cube can be divided into chunks.

    Raises
    ------
    ConfigError
        If they cannot.
    """
    try:
        chunking(dict(zip(grid.dims, grid.shape, strict=True)), grid, dataset.chunksize)
    except ValueError as error:
        raise ConfigError(f"{dataset.identifier}: shards: {error}") from None
