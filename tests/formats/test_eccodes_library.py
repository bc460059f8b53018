"""eccodes does not change which PROJ other libraries call."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from stacbuild.formats.eccodes_library import load_eccodes
eccodes = load_eccodes("a.grib")
import pyproj, pyogrio, rasterio
print(pyproj.CRS(3035).to_epsg(), rasterio.crs.CRS.from_epsg(3035).to_epsg())
print(eccodes.codes_get_api_version() > "2")
"""


def test_libraries_that_are_loaded_later_use_their_own_proj() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "3035 3035\nTrue\n", "")
