"""Import of eccodes without its libraries' symbols becoming those of the whole process.

Its wheels (eccodeslib, eckitlib) bring PROJ, and findlibs loads them with RTLD_GLOBAL: pyproj and
GDAL, if loaded later, would call that PROJ and crash. Here they are loaded with RTLD_LOCAL; the
linker then finds them as dependencies of libeccodes by their names.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from stacbuild.errors import LocalError

_lock = threading.Lock()


def load_eccodes(name: str) -> Any:
    """Return the module eccodes.

    Parameters
    ----------
    name
        Name of the file that needs it, in messages.

    Raises
    ------
    LocalError
        It is not installed, or cannot be loaded.
    """
    with _lock:
        try:
            if sys.platform == "linux" and "eccodes" not in sys.modules:
                _load_locally()
            return importlib.import_module("eccodes")
        except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: no C library
            raise LocalError(
                f"{name}: reading GRIB needs eccodes: pip install 'stacbuild[grib]'"
            ) from error


def _load_locally() -> None:
    try:
        binary = importlib.import_module("eccodeslib")
    except ImportError:
        # From conda or the system, all of whose packages share one PROJ.
        return
    _load_dependencies(binary)
    # Without them, findlibs loads nothing itself.
    vars(binary)["findlibs_dependencies"] = []


def _load_dependencies(package: ModuleType) -> None:
    for name in getattr(package, "findlibs_dependencies", ()):
        module = importlib.import_module(name)
        _load_dependencies(module)
        folder = Path(str(module.__file__)).parent
        for path in (*folder.glob("lib/*.so"), *folder.glob("lib64/*.so")):
            ctypes.CDLL(str(path), mode=os.RTLD_LOCAL | os.RTLD_NOW)
