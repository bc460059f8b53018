"""A table of sites as people have it, and a configuration with a template for it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

# The first rows of the table of flux-tower sites in the examples of xcube-multistore (MIT licence),
# https://github.com/xcube-dev/xcube-multistore, as they are there.
FLUX_TOWERS = """\
Site ID,latitude,longitude,IGBP
AU-Dry,-15.2588,132.3706,SAV
AU-How,-12.4943,131.1523,WSA
BE-Lon,50.5516,4.7462,CRO
CD-Ygb,0.8144,24.5025,MF
CH-Dav,46.8153,9.8559,ENF
"""

_CONTENT: dict[str, Any] = {
    "datasets": [
        {
            "for_each": "sites.csv",
            "datasets": [
                {
                    "identifier": "{Site ID}/sen2",
                    "store": "api",
                    "data_id": "sentinel-2-l2a",
                    "open_params": {
                        "time_range": ["2020-01-01", "2020-03-30"],
                        "point": ["{longitude}", "{latitude}"],
                        "bbox_width": 4000,
                    },
                },
                {
                    "identifier": "{Site ID}/biomass",
                    "store": "files",
                    "data_id": "{IGBP}_{time:%Y}.tif",
                    "grid_mapping": "{Site ID}/sen2",
                },
            ],
        }
    ],
    "data_stores": [
        {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
        {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}},
        {
            "identifier": "api",
            "store_id": "stac",
            "store_params": {"root": "https://stac.example.com/v1"},
        },
    ],
}


def content() -> dict[str, Any]:
    """Return the data of a configuration with one template of two datasets."""
    return copy.deepcopy(_CONTENT)


def write_sites(
    directory: Path, data: dict[str, Any] | None = None, table: str | bytes = FLUX_TOWERS
) -> Path:
    """Write a configuration and its table; return the path of the configuration."""
    directory.mkdir(parents=True, exist_ok=True)
    raw = table.encode() if isinstance(table, str) else table
    (directory / "sites.csv").write_bytes(raw)
    path = directory / "c.yml"
    path.write_text(yaml.safe_dump(data or content(), sort_keys=False))
    return path


def site_rows(table: str = FLUX_TOWERS) -> list[tuple[str, float, float]]:
    """Return identifier, longitude and latitude of each site of a table."""
    rows = [line.split(",") for line in table.splitlines()[1:]]
    return [(row[0], float(row[2]), float(row[1])) for row in rows]
