"""What files beside a GeoTIFF say otherwise is told; the file itself counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from stacbuild.formats.geotiff_sidecars import georeference_hint, sidecar_notes
from tests.support.cli import geotiff


def notes(path: Path, aux: str = "") -> str:
    with rasterio.open(path) as dataset:
        # GDAL has read it by now; ours is written after that.
        if aux:
            Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{aux}</PAMDataset>")
        return "\n".join(sidecar_notes(path, dataset))


def band(content: str) -> str:
    return f'<PAMRasterBand band="1">{content}</PAMRasterBand>'


def test_nothing_beside_it_is_nothing_told(tmp_path: Path) -> None:
    assert notes(geotiff(tmp_path / "a.tif")) == ""


def test_a_mask_beside_it_is_told(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif")
    (tmp_path / "a.tif.msk").write_text("")
    assert "a.tif.msk" in notes(path)


@pytest.mark.parametrize(
    ("aux", "said"),
    [
        (band("<NoDataValue>7</NoDataValue>"), "no data 7"),
        (band("<Scale>0.5</Scale><Offset>0</Offset>"), "a scale of 0.5"),
        (band("<UnitType>m</UnitType>"), "the unit m"),
        ("<GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>", "another place"),
        ("<SRS>EPSG:3035</SRS>", "another CRS"),
    ],
)
def test_what_it_says_otherwise(tmp_path: Path, aux: str, said: str) -> None:
    assert said in notes(geotiff(tmp_path / "a.tif"), aux)


@pytest.mark.parametrize(
    "aux",
    [
        band("<Scale>1</Scale><Offset>0</Offset><NoDataValue>none</NoDataValue>"),
        '<PAMRasterBand band="9"><Scale>2</Scale></PAMRasterBand>',
        "<SRS>EPSG:4326</SRS><GeoTransform>1, 2</GeoTransform>",
        "<SRS>nobody knows</SRS>",
    ],
)
def test_what_says_the_same_or_nothing(tmp_path: Path, aux: str) -> None:
    assert notes(geotiff(tmp_path / "a.tif"), aux) == ""


def test_a_hint_where_only_a_file_beside_it_has_a_place(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    assert georeference_hint(str(path)) == ""
    (tmp_path / "a.tfw").write_text("")
    (tmp_path / "a.tif.aux.xml").write_text("<SRS>EPSG:4326</SRS>")
    assert "(a.tfw, a.tif.aux.xml)" in georeference_hint(str(path))
    assert georeference_hint("https://host.example/a.tif") == ""
