"""What is found of a cube or a source when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from stacbuild.errors import IntegrityError, StacbuildError


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
    """

    problems: list[StacbuildError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: dict[str, list[str]] = field(default_factory=dict)
    chunks: int = 0
    bytes: int = 0

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
