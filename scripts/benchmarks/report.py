"""Results as Markdown tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import rasterio

Row = dict[str, Any]

_VERSIONS = ("stacbuild", "numpy", "rasterio", "pyproj", "zarr", "dask", "xarray", "stackstac")


def machine() -> str:
    """Return a description of the machine and of the software versions."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB; {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, "
        f"GDAL {rasterio.__gdal_version__}, {packages}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def table(rows: Sequence[Row], title: str) -> str:
    """Return the rows of one case as a Markdown table, with ratios to other tools."""
    seconds = {row["tool"]: row["seconds"] for row in rows}
    against = [tool for tool in ("floor", "odc-stac", "stackstac") if tool in seconds]
    heads = ["tool", "seconds", "cpu s", "peak MB", *(f"{tool} = 1" for tool in against), "exact %"]
    lines = [f"\n**{rows[0]['case']}**: {title}\n"]
    lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for row in rows:
        cells = [row["tool"], f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.1f}"]
        cells.append(f"{row['peak_rss_mb']:.0f}")
        cells += [f"{row['seconds'] / seconds[tool]:.2f}" for tool in against]
        cells.append(f"{100 * row['exact']:.4f}" if "exact" in row else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def traffic(row: Row) -> str:
    """Return the traffic of one reading over HTTP as a Markdown table."""
    heads = ("seconds", "peak MB", "requests", "MB", "MB needed", "bytes ratio", "MB twice")
    cells = (
        f"{row['seconds']:.2f}",
        f"{row['peak_rss_mb']:.0f}",
        f"{row['requests']}",
        f"{row['bytes'] / 1e6:.1f}",
        f"{row['needed'] / 1e6:.1f}",
        f"{row['bytes'] / row['needed']:.2f}",
        f"{row['twice'] / 1e6:.1f}",
    )
    return (
        f"\n**{row['case']}**: stacbuild reads one tile in place, 30 ms a request\n\n"
        f"| {' | '.join(heads)} |\n|{'---:|' * len(heads)}\n| {' | '.join(cells)} |"
    )


def save(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows as JSON."""
    path.write_text(json.dumps({"machine": machine(), "rows": list(rows)}, indent=1) + "\n")
