"""Files beside a raster as foreign programs write them: read, or refused with the reason."""

from __future__ import annotations

import pytest

from stacbuild.formats.class_tables import TableError, read_aux, read_clr, read_dbf, read_qml


def test_an_aux_without_classes_has_none() -> None:
    assert list(read_aux(b"<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>", "a")) == []


def test_text_is_utf_8_or_windows_1252() -> None:
    text = (
        '\ufeff<?xml version="1.0" encoding="latin-1"?><PAMDataset><PAMRasterBand band="2">'
        "<CategoryNames><Category>Öd</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    for content in (text.encode(), text[1:].encode("cp1252")):
        [found] = read_aux(content, "a")
        assert (found.band, found.names) == (2, {0: "Öd"})


def test_colours_are_numbers_up_to_255_or_fractions() -> None:
    [found] = read_clr(b"1 0 1 1\n2 0.0 0.5 1.0\n3 256 0 0\n4 1 2", "a")
    assert found.colors == {1: "000101", 2: "0080FF"}


def test_a_style_of_quantities_has_no_classes() -> None:
    style = b'<qgis><rasterrenderer type="singlebandpseudocolor"/></qgis>'
    assert list(read_qml(style, "a")) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"\3" + b"\0" * 100])
def test_a_damaged_table_is_refused(content: bytes) -> None:
    with pytest.raises(TableError):
        list(read_dbf(content, "a"))


def test_deep_and_wide_xml_is_read_or_refused() -> None:
    depth = 100_000
    assert list(read_aux(b"<a>" * depth + b"</a>" * depth, "a")) == []
