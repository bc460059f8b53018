"""How the program asks the system for memory."""

from __future__ import annotations

import ctypes
import os

# Of <malloc.h> of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Let the C library keep the memory of a freed chunk for the next one.

    By itself it gives large blocks back at once, and the kernel has to find and clear every page
    again for the next array: a fifth of the time of a build. One arena for all threads, because
    each would keep its own. To be called before threads are started; does nothing with another C
    library, and nothing where the environment already says how (``MALLOC_…``).
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the most that it takes
    mallopt(_M_TRIM_THRESHOLD, 512 * 2**20)
