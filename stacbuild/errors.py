"""Exceptions of stacbuild, each with the exit code of the command line.

A message is one line, which names the file, line and key, or the URL, and the next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


class StacbuildError(Exception):
    """Base class of all errors of stacbuild."""

    exit_code = 1


class ConfigError(StacbuildError):
    """The configuration (or the command line) is wrong; nothing was fetched.

    Parameters
    ----------
    problems
        One line per problem, each ``file:line:column: key: what is wrong``.
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class RemoteError(StacbuildError):
    """A server did not respond, or its response was an error or invalid."""

    exit_code = 3


class NotFoundError(RemoteError):
    """The server does not have the requested data."""


class IntegrityError(StacbuildError):
    """Data are damaged: for example, a checksum differs or an archive is malicious."""

    exit_code = 4


class LocalError(StacbuildError):
    """A local problem: for example, a missing file, a full disk or missing permissions."""

    exit_code = 5


class MissingError(LocalError):
    """A local file or folder does not exist."""


class ConflictError(LocalError):
    """A file or folder that stacbuild did not make is at the path of an output."""


class LockedError(StacbuildError):
    """Another run is writing the same output."""

    exit_code = 6


class AuthError(StacbuildError):
    """Credentials are missing, incomplete or refused."""

    exit_code = 7


class NoKeysError(AuthError):
    """There are no credentials at all: what holds for one file holds for all of its store."""


class BuildError(StacbuildError):
    """A cube could not be built from the catalog."""


def prefixed(name: str, message: str) -> str:
    """Return a message that starts with the name of what it is about, once."""
    return message if message.startswith(f"{name}: ") else f"{name}: {message}"


class Failures(StacbuildError):  # noqa: N818 - it is what it says, a list of errors
    """Several independent parts failed; the others are complete.

    Parameters
    ----------
    failures
        What failed (a dataset, a store, a file) and why.
    """

    def __init__(self, failures: Sequence[tuple[str, StacbuildError]]) -> None:
        self.failures = list(failures)
        codes = {error.exit_code for _, error in self.failures}
        # One kind of failure keeps its own exit code; a mixture is "some failed".
        self.exit_code = codes.pop() if len(codes) == 1 else 1
        super().__init__("\n".join(prefixed(name, str(error)) for name, error in self.failures))


def failure_of(error: BaseException, what: str = "") -> StacbuildError:
    """Convert any exception to a `StacbuildError` that names what it belongs to.

    Parameters
    ----------
    error
        A `StacbuildError` is returned unchanged; any other becomes the cause of a new one.
    what
        The dataset, file or URL that it belongs to.
    """
    if isinstance(error, StacbuildError):
        return error
    where = f"{what}: " if what else ""
    text = " ".join(str(error).split())
    failed: StacbuildError
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else where
        failed = LocalError(f"{name}{error.strerror}")
    elif isinstance(error, MemoryError):
        failed = LocalError(f"{where}there is not enough memory ({text or 'MemoryError'})")
    elif type(error).__name__ == "CRSError":
        # Of pyproj or rasterio, compared by name, since both are slow to import.
        failed = BuildError(f"{where}its CRS is not known to PROJ here ({text}); state another one")
    else:
        failed = StacbuildError(
            f"{where}{type(error).__name__}: {text}; if the data are as they should be, please "
            "report it with what stacbuild --debug shows"
        )
    failed.__cause__ = error
    return failed


class Result(Protocol):
    """The outcome of one part of a run: a cube, a collection."""

    @property
    def name(self) -> str:
        """Name of the part."""

    @property
    def error(self) -> StacbuildError | None:
        """Why it failed; None if it did not."""


Failure = tuple[str, StacbuildError]
"""What failed (a dataset, a store, a file), and why."""


def failures_of(results: Iterable[Result]) -> list[Failure]:
    """Return the failures among results, each with its name."""
    return [(each.name, each.error) for each in results if each.error is not None]


def raise_failures(failures: Iterable[Failure]) -> None:
    """Raise one error that lists all failures, if there are any.

    Raises
    ------
    Failures
        The first failure is its cause.
    """
    listed = list(failures)
    if listed:
        raise Failures(listed) from listed[0][1]
