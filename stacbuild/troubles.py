"""Failures of many files: all are found, unless a server fails again and again."""

from __future__ import annotations

import threading

from stacbuild.errors import (
    AuthError,
    IntegrityError,
    LocalError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)

UNREADABLE = (RemoteError, IntegrityError, LocalError, AuthError)
"""Errors of a file that cannot be read, or is not as its item states."""

# Each comes after several attempts, with pauses.
_MOST = 8


class Troubles:
    """Counts the failures of servers, as opposed to those of single files.

    Parameters
    ----------
    most
        Failures after which it is of no use to go on.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._left = most
        self._lock = threading.Lock()

    @property
    def too_many(self) -> bool:
        """Whether servers failed too often."""
        return self._left < 0

    def add(self, error: StacbuildError) -> None:
        """Count an error, if a server failed."""
        if isinstance(error, RemoteError) and not isinstance(error, NotFoundError):
            with self._lock:
                self._left -= 1
