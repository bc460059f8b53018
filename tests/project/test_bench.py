"""The bench runs at its smallest size and says what it measured; its figures are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks.remote import Traffic
from tests.support.paths import ROOT


def bench(directory: Path, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    figures = directory / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "--size=tiny", *arguments,
         f"--json={figures}", f"--directory={directory}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(figures.read_text())["rows"]


@pytest.mark.parametrize("layout", ["tiled-band", "striped-pixel"])
@pytest.mark.slow
def test_a_file_by_floor_and_stacbuild(tmp_path: Path, layout: str) -> None:
    text, rows = bench(tmp_path, "--tools=floor,stacbuild", f"--case=prob-{layout}")
    assert [row["tool"] for row in rows] == ["floor", "stacbuild"]
    for row in rows:
        assert row["case"] == f"prob-{layout}"
        assert min(row["seconds"], row["cpu_seconds"], row["peak_rss_mb"]) > 0
        assert row["exact"] == 1.0
    assert "| stacbuild |" in text
    assert not (tmp_path / "run").exists()
    assert (tmp_path / "data/tiny" / f"prob-{layout}.tif").exists()


@pytest.mark.slow
def test_all_cubes_together(tmp_path: Path) -> None:
    _, rows = bench(tmp_path, "--tools=floor,stacbuild", "--case=scs2", "--case=gami")
    assert [(row["case"], row["tool"]) for row in rows] == [
        ("scs2", "floor"), ("scs2", "stacbuild"), ("gami", "floor"), ("gami", "stacbuild"),
    ]  # fmt: skip


@pytest.mark.slow
def test_reading_over_http_is_counted(tmp_path: Path) -> None:
    _, (row,) = bench(tmp_path, "--case=http-tiled-band")
    assert (row["case"], row["tool"]) == ("http-tiled-band", "stacbuild")
    assert row["requests"] > 0
    # What is needed cannot be had for less, and the server saw all of it.
    assert row["bytes"] >= row["needed"] > 0


@pytest.mark.slow
def test_layouts_of_chunks_and_shards_are_compared(tmp_path: Path) -> None:
    text, rows = bench(tmp_path, "--case=shards")
    assert [row["tool"].split()[0] for row in rows] == ["chunks", "chunks", "shards", "shards"]
    assert min(row["patch_kb"] for row in rows) > 0
    assert "| chunks of 150 |" in text


@pytest.mark.slow
def test_a_source_that_waits_beside_another_tool(tmp_path: Path) -> None:
    text, rows = bench(tmp_path, "--case=wait-zarr")
    assert len(rows) == 2 * 4
    ours = [row for row in rows if row["tool"] == "stacbuild"]
    assert [row["latency"] for row in ours] == [0.03, 0.15]
    assert [row["twice"] for row in ours] == [0, 0]
    assert max(row["most"] for row in ours) <= 32
    assert "| xarray, 32 threads |" in text


@pytest.mark.slow
def test_a_mosaic_of_many_files_beside_another_tool(tmp_path: Path) -> None:
    text, rows = bench(tmp_path, "--case=many-files")
    assert [row["tool"].split(",")[0] for row in rows] == [
        "stacbuild harvest", "stacbuild cube", "odc-stac", "odc-stac",
    ]  # fmt: skip
    assert {row["files"] for row in rows} == {16}
    assert "| odc-stac, 16 threads |" in text


@pytest.mark.slow
def test_scenes_beside_another_tool(tmp_path: Path) -> None:
    text, rows = bench(tmp_path, "--case=scenes", "--case=scenes-median")
    assert [row["tool"] for row in rows if row["case"] == "scenes-median"] == [
        "stacbuild", "odc-stac, 2 threads",
    ]  # fmt: skip
    (ours,) = (row for row in rows if (row["case"], row["tool"]) == ("scenes", "stacbuild"))
    assert (ours["scenes"], ours["twice"]) == (4, 0)
    assert 0 < ours["most"] <= 32
    assert "| odc-stac, 32 threads |" in text


def test_bytes_sent_twice_are_found() -> None:
    traffic = Traffic([("a", 0, 100), ("a", 50, 120), ("a", 60, 70), ("b", 0, 100)])
    assert traffic.sent == 280
    assert traffic.twice == 60


@pytest.mark.slow
def test_the_overhead_of_tasks_is_counted(tmp_path: Path) -> None:
    text, (row,) = bench(tmp_path, "--case=overhead")
    assert 0 < row["largest"] <= row["tasks"]
    assert row["graphs"] >= 1
    assert row["overhead"] < 1
    assert "| tasks | graphs |" in text
