"""Benchmark cases: the cubes to build, and the tools that build them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks import data
from scripts.benchmarks.data import File, Size
from scripts.benchmarks.job import Layer

Cubes = dict[str, list[Layer]]


@dataclass(frozen=True)
class Case:
    """Some cubes on one grid.

    Parameters
    ----------
    size
        Of the grid.
    cubes
        Makes their files, if need be.
    tools
        Those that can do it, in the order of running.
    """

    name: str
    title: str
    size: Size
    cubes: Callable[[Path, Size], Cubes]
    tools: tuple[str, ...]


FLOORS = ("floor", "floor-lz4")
PEERS = ("gdal", "odc-stac", "stackstac")
HEADLINE = "prob-tiled-band"


def cases(size: Size) -> dict[str, Case]:
    """Return all cases of a size by name."""
    found = [_annual(size, "prob", layout) for layout in data.LAYOUTS]
    found.append(_annual(size, "annual", "tiled-pixel"))
    ours = (*FLOORS, "stacbuild")
    found.append(Case("gami", "GAMI, selected along its axes", size, _gami, ours))
    found.append(Case("scs2", "senf, liu, clms and gami", size, _scs2, ours))
    larger = size.times(2)
    found.append(
        Case(
            "scs2-x4", "the same, a box four times as large", larger, _scs2, ("floor", "stacbuild")
        )
    )
    return {case.name: case for case in found}


def _annual(size: Size, values: str, layout: str) -> Case:
    file = data.annual(size, values, layout)

    def cubes(root: Path, size: Size) -> Cubes:
        return {"cube": [_layer(root, size, file)]}

    title = f"one file of {size.bands} bands, {values}, {layout.replace('-', ', ')}-interleaved"
    return Case(file.name, title, size, cubes, (*FLOORS, "stacbuild", *PEERS))


def _layer(root: Path, size: Size, file: File) -> Layer:
    method = "bilinear" if file.dtype.startswith("float") else "nearest"
    name = file.name.replace("-", "_")
    return Layer(name, (str(data.geotiff(root, size, file)),), method)


def _gami(root: Path, size: Size) -> Cubes:
    return {"gami": [Layer("forest_age", (str(data.gami(root, size)),))]}


def _scs2(root: Path, size: Size) -> Cubes:
    return {
        "senf": [_layer(root, size, file) for file in data.senf(size)],
        "liu": [_layer(root, size, file) for file in data.liu()],
        "clms": [
            Layer(product, tuple(map(str, data.clms(root, size, product)))) for product in data.CLMS
        ],
        **_gami(root, size),
    }
