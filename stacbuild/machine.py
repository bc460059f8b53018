"""Resources of this machine: processors, free disk space, memory allocation, the user's cache."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from stacbuild.errors import LocalError

# Constants of <malloc.h> of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Configure the C library to keep the memory of freed chunks for the next ones.

    By default it returns large blocks at once, and the kernel has to find and clear every page for
    the next array: a fifth of the time of a build. All threads share one arena, since each arena
    retains memory. Call it before threads are started. It does nothing with another C library, or
    if the environment configures malloc (``MALLOC_…``).
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # its maximum
    mallopt(_M_TRIM_THRESHOLD, 512 * 2**20)


def processors() -> int:
    """Return the number of processors that this process may run on, at least 1."""
    # Python 3.13 has a function for this on all systems; before, only Linux has one.
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_files_allowed() -> int:
    """Return the number of files that the system lets this process open; 256 if not known."""
    try:
        import resource  # Unix only
    except ImportError:
        return 256
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else int(soft)


def memory_bytes() -> int:
    """Return the memory of this machine in bytes, or of the control group if that is less.

    4 GB if the system states neither.
    """
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        found = [4 * 10**9]
    # Within a container, its control group is the root of this file system; version 2, then 1.
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            stated = Path("/sys/fs/cgroup", name).read_text().strip()
        except OSError:
            continue
        if stated.isdecimal():  # otherwise "max"
            found.append(int(stated))
    return min(each for each in found if each > 0)


def free_bytes(path: Path) -> int:
    """Return the free disk space in bytes for a folder, which may not exist yet."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def user_cache() -> Path:
    """Return this package's folder in the user's cache; it may not exist.

    It is ``$XDG_CACHE_HOME/stacbuild`` or ``~/.cache/stacbuild`` on every system. A relative
    ``$XDG_CACHE_HOME`` is ignored (XDG Base Directory Specification).

    Raises
    ------
    RuntimeError
        If the user has no home.
    """
    stated = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(stated) if Path(stated).is_absolute() else Path.home() / ".cache") / "stacbuild"


def check_space(folder: Path, needed: int, purpose: str, *, spare: int = 0) -> None:
    """Raise a LocalError if a folder has no room for *needed* plus *spare* bytes.

    Parameters
    ----------
    purpose
        What the bytes are needed for, such as ``to unpack a.zip``.
    """
    free = free_bytes(folder)
    if needed and needed + spare > free:
        # Imported when used: `stacbuild --help` needs click alone.
        from rich.filesize import decimal

        raise LocalError(
            f"{folder}: needs {decimal(needed)} {purpose}, but only {decimal(free)} are free"
        )
