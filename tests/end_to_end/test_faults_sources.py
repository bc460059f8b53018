"""Damaged sources: the cube fails and says where, the others are built, and nothing is made up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from stacbuild import cli
from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.formats.geotiff import block_spans
from stacbuild.sources import harvest
from tests.support.cli import NORTH, WEST, Json, ages, check_left, configuration

DAMAGED = 4
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
GOOD = {"identifier": "good", "store": "local", "data_id": "good.tif"}
BANDS = 3


def raster(path: Path, interleave: str = "pixel", compress: str = "zstd") -> Path:
    """Write three bands of noise in blocks of 64 x 64, a little beyond the grid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(5).integers(0, 250, (BANDS, 120, 120), np.uint8)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=120,
        height=120,
        count=BANDS,
        dtype="uint8",
        crs="EPSG:4326",
        nodata=255,
        transform=Affine(0.001, 0, WEST - 0.01, 0, -0.001, NORTH + 0.01),
        tiled=True,
        blockxsize=64,
        blockysize=64,
        compress=compress,
        interleave=interleave,
    ) as file:
        file.write(values)
    return path


Run = Callable[..., str]


@pytest.fixture
def fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Harvest while sources are whole, damage one, build; give the error of the one cube."""

    def run(data_id: str, damage: Callable[[Path], None], **more: Json) -> str:
        raster(tmp_path / "src" / "good.tif")
        bad = {"identifier": "bad", "store": "local", "data_id": data_id, **more}
        config = configuration(tmp_path, [bad, GOOD], [SOURCE])
        for result in harvest(load_config(config), tmp_path / "catalogs"):
            assert result.status == "COMPLETED", result
        damage(tmp_path / "src" / data_id)
        capsys.readouterr()
        assert cli.run(["cube", str(config)]) == DAMAGED
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 1
        assert "Traceback" not in err
        check_left(tmp_path, ["good"], begun=["bad"])
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: bad: {tmp_path / 'src' / data_id}")
        return line

    return run


def spoil(path: Path, band: int, row: int, column: int) -> None:
    """Overwrite the start of one block.

    Not its middle: noise is stored as it is, and TIFF has no checksum of it.
    """
    with rasterio.open(path) as file:
        window = rasterio.windows.Window(column * 64, row * 64, 1, 1)
        ((start, _),) = block_spans(file, window, [band])
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xa5" * 40
    path.write_bytes(content)


@pytest.mark.parametrize("compress", ["zstd", "deflate", "lzw"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_a_tile_of_a_tiff_that_cannot_be_decoded(
    fails: Run, tmp_path: Path, interleave: str, compress: str
) -> None:
    raster(tmp_path / "src" / "bad.tif", interleave, compress)
    line = fails("bad.tif", lambda path: spoil(path, 2, 0, 1))
    assert "cannot be decoded" in line
    assert ", columns " in line
    # Where every block holds all bands, all of them are gone.
    assert (".tif: bands 1 to 3, rows " if interleave == "pixel" else ": band 2, rows ") in line


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_whatever_the_method(fails: Run, tmp_path: Path, method: str) -> None:
    raster(tmp_path / "src" / "bad.tif", "band")
    params = {"interp_methods": method}
    line = fails("bad.tif", lambda path: spoil(path, 3, 1, 1), spatial_resample_params=params)
    assert ": band 3, rows " in line


@pytest.mark.parametrize("left", [0.9, 0.5, 0.001])
def test_a_tiff_that_was_cut_off_since(fails: Run, tmp_path: Path, left: float) -> None:
    path = raster(tmp_path / "src" / "bad.tif", "band")

    def cut(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * left)])

    line = fails("bad.tif", cut)
    assert str(path) in line


def test_a_tiff_full_of_zeros_where_bytes_were(fails: Run, tmp_path: Path) -> None:
    """As a file system leaves it that lost power while writing."""
    raster(tmp_path / "src" / "bad.tif")

    def lose(path: Path) -> None:
        content = path.read_bytes()
        half = len(content) // 2
        path.write_bytes(content[:half] + bytes(len(content) - half))

    assert "cannot be decoded" in fails("bad.tif", lose)


@pytest.mark.parametrize("kind", ["cut", "empty", "noise"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_of_a_zarr_that_cannot_be_decoded(
    fails: Run, tmp_path: Path, zarr_format: int, kind: str
) -> None:
    ages(tmp_path / "src" / "bad.zarr", zarr_format)
    key = "age/c/1/1" if zarr_format == 3 else "age/1.1"

    def damage(path: Path) -> None:
        content = (path / key).read_bytes()
        bad = {"cut": content[:-40], "empty": b"", "noise": b"\xa5" * len(content)}[kind]
        (path / key).write_bytes(bad)

    line = fails("bad.zarr", damage)
    if "decompresses to" in line:
        # The noise is a header of Blosc, too.
        assert (zarr_format, kind) == (2, "noise")
        assert f"bad.zarr/{key}: " in line
    else:
        assert "age cannot be read at" in line
        assert "'lat': (" in line


def test_a_chunk_of_a_zarr_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zarr cannot tell it from one of fill values; what was counted at harvest can."""
    ages(tmp_path / "src" / "bad.zarr")
    bad = {"identifier": "bad", "store": "local", "data_id": "bad.zarr"}
    config = str(configuration(tmp_path, [bad], [SOURCE]))
    assert cli.run(["harvest", config]) == 0
    assert cli.run(["validate", config]) == 0
    (tmp_path / "src" / "bad.zarr" / "age" / "c" / "1" / "1").unlink()
    for words in (["validate", config], ["cube", config]):
        capsys.readouterr()
        assert cli.run(words) == DAMAGED
        lines = capsys.readouterr().err.splitlines()
        (line,) = [line for line in lines if line.startswith("error: ")]
        assert f": {tmp_path / 'src' / 'bad.zarr'}: age has 8 chunks" in line
    check_left(tmp_path, [])
    # As it is now is how it is meant, once it is harvested again.
    assert cli.run(["harvest", config]) == 0
    assert cli.run(["cube", config]) == 0


def test_a_zarr_whose_metadata_are_gone(tmp_path: Path, fails: Run) -> None:
    ages(tmp_path / "src" / "bad.zarr", 2)
    line = fails("bad.zarr", lambda path: (path / ".zmetadata").write_text("<html>"))
    assert "bad.zarr/.zmetadata: is not JSON (" in line


def test_no_fill_values_in_their_place(tmp_path: Path) -> None:
    """What is half damaged is not half built: the cube of before stays as it is."""
    path = raster(tmp_path / "src" / "good.tif")
    config = load_config(configuration(tmp_path, [GOOD], [SOURCE]))
    (result,) = build(config, tmp_path / "catalogs")
    before = shutil.copytree(result.href, tmp_path / "before")
    spoil(path, 1, 1, 1)
    (result,) = build(config, tmp_path / "catalogs")
    assert result.status == "FAILED"
    assert "cannot be decoded" in result.message
    for file in before.rglob("*"):
        if file.is_file():
            now = tmp_path / "data" / "good.zarr" / file.relative_to(before)
            assert now.read_bytes() == file.read_bytes()
