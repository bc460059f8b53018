"""The public functions of the library: the commands for notebooks and scripts.

Each takes a configuration, the path of its file, or its content, and does not modify it. Functions
have no state between calls, so several may run in threads of one process. A parameter for several
names also accepts a single string. Functions that work on several cubes, collections or sources
finish all of them; then ``errors="raise"`` raises one `Failures` if any failed, and
``errors="collect"`` returns all results, where failed ones hold their error.

>>> import stacbuild  # doctest: +SKIP
>>> stacbuild.build("scs2_config.yml", datasets="senf")  # doctest: +SKIP
>>> cube = stacbuild.open_cube("scs2_config.yml", "senf")  # doctest: +SKIP
"""

from __future__ import annotations

from stacbuild.api.catalog import export, open_catalog, validate
from stacbuild.api.cubes import build, generate, plan, remove
from stacbuild.api.datasets import load, open_cube
from stacbuild.api.sources import describe, harvest, list_data

__all__ = [
    "build",
    "describe",
    "export",
    "generate",
    "harvest",
    "list_data",
    "load",
    "open_catalog",
    "open_cube",
    "plan",
    "remove",
    "validate",
]
