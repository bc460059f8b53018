"""``stacbuild describe`` as it is printed."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from stacbuild.cli.output import Settings
from stacbuild.cli.program import cli
from tests.support.own_files import raster


def test_a_size_is_readable_and_in_bytes_as_json(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif")
    words = ["describe", "file", str(tmp_path), "a.tif"]
    lines = CliRunner().invoke(cli, words, obj=Settings()).stdout.splitlines()
    size = (tmp_path / "a.tif").stat().st_size
    assert f"size: {size / 1000:.1f} kB" in lines
    assert "type: GeoTIFF" in lines
    content = json.loads(CliRunner().invoke(cli, [*words, "--json"], obj=Settings()).stdout)
    assert content["size"] == size
