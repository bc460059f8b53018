"""A first configuration: asked for or by options, and it builds."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
import xarray as xr
from rasterio import Affine

from stacbuild.config import load_config
from stacbuild.errors import ConfigError, LocalError
from stacbuild.sources.listing import Choice, first_configuration, write_configuration
from tests.support.cli import BOX, command, errors, geotiff, stacbuild
from tests.support.own_files import raster

WORDS = ("--bbox", ",".join(map(str, BOX)), "--res", "0.001")


def answered(answers: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("init", *words),
        input=answers,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_by_options_it_builds(tmp_path: Path) -> None:
    geotiff(tmp_path / "maps" / "one.tif")
    file = tmp_path / "first.yml"
    sources = [("--source", "file", "maps", "one.tif")] * 2
    done = stacbuild("init", file, *WORDS, *(word for each in sources for word in each))
    assert done.stdout == f"{file}\n"
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=./stacbuild.schema.json\n")
    schema = json.loads((tmp_path / "stacbuild.schema.json").read_text())
    assert "datasets" in schema["properties"]
    # One store for both, and a name for each.
    config = load_config(file)
    assert [store.identifier for store in config.data_stores] == ["storage", "file"]
    assert [each.identifier for each in config.datasets[0].variables] == ["one", "one_2"]
    stacbuild("cube", file)
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert set(cube.data_vars) - {"spatial_ref"} == {"one", "one_2"}
        assert cube["one"].shape == (100, 100)


def test_a_folder_becomes_cubes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = raster(tmp_path / "maps" / "one.tif")
    (tmp_path / "maps" / "bad.tif").write_text("bad")
    rotated = Affine.translation(600000, 5000000) * Affine.rotation(20) * Affine.scale(10, -10)
    raster(tmp_path / "maps" / "rotated.tif", transform=rotated)
    monkeypatch.chdir(tmp_path)
    done = stacbuild("init", "maps")
    assert done.stdout == "stacbuild.yml\n"
    assert "warning: bad.tif: is not a TIFF" in done.stderr
    assert (
        "warning: rotated: its grid is rotated or skewed; its pixels are resampled" in done.stderr
    )
    assert "one: 1 file; EPSG:32632, pixels of 10" in done.stderr
    stacbuild("cube")
    with xr.open_zarr("cubes/one.zarr", mask_and_scale=False) as cube:
        [name] = set(cube.data_vars) - {"spatial_ref"}
        assert (cube[name].squeeze() == values).all()
    # Neither the configuration nor data are replaced; and each mistake is one line.
    text = Path("stacbuild.yml").read_text()
    assert "exists already" in errors(stacbuild("init", "maps", code=5))[0]
    assert "no such folder" in errors(stacbuild("init", "gone", "x.yml", code=5))[0]
    assert "no data" in errors(stacbuild("init", "maps/bad.tif", "x.yml", code=5))[0]
    assert (
        "not both" in stacbuild("init", "maps", "x.yml", "--source", "s3", "a", "b", code=2).stderr
    )
    assert "several" in stacbuild("init", "maps", "x.yml", "y.yml", code=2).stderr
    assert Path("stacbuild.yml").read_text() == text
    assert not Path("x.yml").exists()
    stacbuild("init", "maps", "x.yml", "--bbox", "600000,4999900,600100,5000000")
    assert load_config("x.yml").grid_mappings[0].spatial_res == 10


def test_on_a_terminal_it_asks_for_the_grid_only(tmp_path: Path) -> None:
    raster(tmp_path / "maps" / "one.tif")
    raster(tmp_path / "maps" / "two.tif", crs="EPSG:32633")
    answers = b"three\ntwo\n5,5,1,1\n600000,4999900,600100,5000000\n-1\n20\n"
    terminal, stdin = pty.openpty()
    os.write(terminal, answers)
    done = subprocess.run(
        command("init", tmp_path / "maps", tmp_path / "c.yml"),
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(terminal)
    os.close(stdin)
    assert done.returncode == 0, done.stderr
    assert "'three' is not one of" in done.stderr
    assert "is empty" in done.stderr
    [grid] = load_config(tmp_path / "c.yml").grid_mappings
    assert (grid.crs, grid.spatial_res) == ("EPSG:32633", 20)
    assert grid.bbox == (600000, 4999900, 600100, 5000000)


def test_it_asks_for_what_no_option_says(tmp_path: Path) -> None:
    file = tmp_path / "asked.yml"
    answers = (
        "EPSG:3035\n1,2\n3401400,2346780,3556080,2539350\n30\nzenodo\n8154445\nx.tif\ny\n"
        "clms\nforest-type-2015|FTY\nn\n"
    )
    done = answered(answers, file)
    assert done.returncode == 0, done.stderr
    assert "has to be four numbers" in done.stderr
    config = load_config(file)
    grid = config.grid_mappings[0]
    assert (grid.crs, grid.spatial_res) == ("EPSG:3035", 30)
    assert [store.store_id for store in config.data_stores] == ["file", "zenodo", "clms"]


def test_where_nobody_answers_it_says_what_to_give(tmp_path: Path) -> None:
    done = answered("", tmp_path / "x.yml")
    assert done.returncode == 2
    assert "give --bbox, --res and --source" in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "there.yml"
    file.write_text("mine")
    words = ("init", file, *WORDS, "--source", "stac", "https://example.org", "forest")
    (line,) = errors(stacbuild(*words, code=5))
    assert "exists already" in line
    assert file.read_text() == "mine"
    stacbuild(*words, "--force")
    assert load_config(file)
    with pytest.raises(LocalError):
        write_configuration(file, "other")


def test_what_would_be_refused_later_is_refused_now(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    for words in (
        ("--bbox", "0,0,1,1", "--res", "-1", "--source", "file", "maps", "one.tif"),
        (*WORDS, "--source", "zenodo", "atlas", "one.tif"),
        (*WORDS, "--source", "file", "maps", "/etc/passwd"),
        (*WORDS, "--source", "nothing", "maps", "one.tif"),
        (*WORDS, "--crs", "EPSG:0", "--source", "file", "maps", "one.tif"),
    ):
        assert errors(stacbuild("init", file, *words, code=2))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data_id", ["a: b # c", "'\"{[", "ä/ö.tif", "- x", "null", "1e3", "a?x=1"])
def test_any_data_id_comes_through(tmp_path: Path, data_id: str) -> None:
    text = first_configuration(BOX, 0.001, [Choice("file", "maps", data_id)])
    path = tmp_path / "c.yml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path).datasets[0].variables[0].data_id == data_id


def test_no_choice_is_a_mistake() -> None:
    with pytest.raises(ConfigError):
        first_configuration(BOX, 0.001, [])
