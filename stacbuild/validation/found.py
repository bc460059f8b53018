"""Collect what validation finds for a cube or a source."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import IntegrityError, LocalError, StacbuildError
from stacbuild.stac.catalog import cube_id
from stacbuild.stac.extensions import CONFIGURATION

if TYPE_CHECKING:
    import pystac


@dataclass
class Found:
    """Problems and notes of one cube or source.

    Parameters
    ----------
    problems
        One error per problem, each a line that names the path or URL.
    notes
        What could not be checked, and why.
    damaged
        Keys of the chunks that are missing or cannot be decoded, by variable.
    chunks, bytes
        Number of checked chunks, and their bytes.
    rebuild
        How to repair damage, see `rebuild_command`.
    """

    problems: list[StacbuildError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: dict[str, list[str]] = field(default_factory=dict)
    chunks: int = 0
    bytes: int = 0
    rebuild: str = "build it again"

    @property
    def is_unread(self) -> bool:
        """Whether a file could not be read, so that nothing is known of what it refers to."""
        return any(isinstance(problem, LocalError) for problem in self.problems)

    def wrong(self, message: str) -> None:
        """Add a problem with the data."""
        self.problems.append(IntegrityError(message))

    def add(self, other: Found) -> None:
        """Add the results of another part of the same cube."""
        self.problems += other.problems
        self.notes += [note for note in other.notes if note not in self.notes]
        self.damaged |= other.damaged
        self.chunks += other.chunks
        self.bytes += other.bytes


def rebuild_command(item: pystac.Item | None) -> str:
    """Return how to rebuild a damaged cube.

    With ``--force``, since a cube whose inputs did not change is up to date, even if it is damaged.

    Parameters
    ----------
    item
        The item of the cube; None for a cube in memory, which is always rebuilt.
    """
    if item is None:
        return "build it again"
    config = "CONFIG"
    stated = item.properties.get(CONFIGURATION)
    if isinstance(stated, str) and item.self_href:
        # <catalog>/<collection>/<item>/<item>.json
        path = Path(os.path.normpath(Path(item.self_href).parents[2] / stated))
        config = str(path) if path.is_file() else config
    name = cube_identifier(item)
    return f"build it again: stacbuild cube {shlex.quote(config)} {shlex.quote(name)} --force"


def cube_identifier(item: pystac.Item) -> str:
    """Return the identifier of a cube's dataset; the item's id may be a slug of it."""
    expression: Any = item.properties.get("processing:expression")
    with contextlib.suppress(KeyError, IndexError, TypeError):
        datasets = expression["expression"]["datasets"]
        # There may be another dataset, whose grid it uses.
        names = (str(each["identifier"]) for each in datasets)
        return next((name for name in names if cube_id(name) == item.id), item.id)
    return item.id
