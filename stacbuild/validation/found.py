"""What is found of a cube or a source when it is looked at."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.stac.catalog import cube_id
from stacbuild.storage.output import CONFIGURATION

if TYPE_CHECKING:
    import pystac


@dataclass
class Found:
    """What was found of one cube or source.

    Parameters
    ----------
    problems
        One error a problem, each in one line that names the place.
    notes
        What could not be looked at, and why.
    damaged
        Keys of the chunks that are missing or cannot be decoded, by variable.
    chunks, bytes
        How many chunks, and bytes in them, were looked at.
    rebuild
        What to do about damage, see `rebuild_command`.
    """

    problems: list[StacbuildError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: dict[str, list[str]] = field(default_factory=dict)
    chunks: int = 0
    bytes: int = 0
    rebuild: str = "build it again"

    def wrong(self, message: str) -> None:
        """Add a problem of the data."""
        self.problems.append(IntegrityError(message))

    def add(self, other: Found) -> None:
        """Take up what was found of another part of the same."""
        self.problems += other.problems
        self.notes += [note for note in other.notes if note not in self.notes]
        self.damaged |= other.damaged
        self.chunks += other.chunks
        self.bytes += other.bytes


def rebuild_command(item: pystac.Item | None) -> str:
    """Return how to build a damaged cube again.

    Without ``--force`` a cube is up to date whose inputs did not change, whatever its bytes.

    Parameters
    ----------
    item
        Of the cube; None for one in memory, which is built again anyway.
    """
    if item is None:
        return "build it again"
    config = "CONFIG"
    stated = item.properties.get(CONFIGURATION)
    if isinstance(stated, str) and item.self_href:
        # The catalog's folder is that of the collection's folder, in which items have their own.
        path = Path(os.path.normpath(Path(item.self_href).parents[2] / stated))
        config = str(path) if path.is_file() else config
    name = cube_identifier(item)
    return f"build it again: stacbuild cube {shlex.quote(config)} {shlex.quote(name)} --force"


def cube_identifier(item: pystac.Item) -> str:
    """Return the identifier of a cube's dataset, which its id may be made of only."""
    expression: Any = item.properties.get("processing:expression")
    with contextlib.suppress(KeyError, IndexError, TypeError):
        datasets = expression["expression"]["datasets"]
        # A dataset that it takes its grid from may be there too.
        names = (str(each["identifier"]) for each in datasets)
        return next((name for name in names if cube_id(name) == item.id), item.id)
    return item.id
