"""Classes in a GeoTIFF and beside it: in item and cube, or told why not; no pixel is masked."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml

from stacbuild.formats.geotiff import open_raster
from stacbuild.formats.geotiff_classes import FileClasses, file_classes
from tests.support.rasters import build_raster, noise, write

COLORS = {1: (255, 0, 0, 255), 2: (0, 160, 0, 255), 3: (0, 0, 255, 255)}


GRID = "coarse"

QML = (
    "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'><qgis><pipe>"
    '<rasterrenderer type="paletted" band="1"><colorPalette>'
    '<paletteEntry value="1" color="#ff0001" label="Forest"/>'
    '<paletteEntry value="3" color="#0000ff" label="Water &amp; ice"/>'
    '<paletteEntry value="2" color="#0000ff" label="2"/>'
    "</colorPalette></rasterrenderer></pipe></qgis>"
)


def raster(folder: Path, dtype: str = "uint8", bands: int = 1, **changes: Any) -> Path:
    return write(folder / "one.tif", noise(dtype, bands, 1, 4), **changes)


def painted(folder: Path, colors: Mapping[int, tuple[int, ...]] = COLORS, **changes: Any) -> Path:
    path = raster(folder, **changes)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, colors)
    return path


def beside(path: Path, content: str | bytes, end: str = ".aux.xml") -> None:
    data = content.encode() if isinstance(content, str) else content
    path.with_name(f"{path.name}{end}").write_bytes(data)


def pam(content: str, band: int = 1) -> str:
    return f'<PAMDataset><PAMRasterBand band="{band}">{content}</PAMRasterBand></PAMDataset>'


def categories(*names: str) -> str:
    listed = "".join(f"<Category>{name}</Category>" for name in names)
    return f"<CategoryNames>{listed}</CategoryNames>"


def table(columns: Sequence[tuple[str, str, str]], *rows: Sequence[object]) -> str:
    """Return an attribute table of GDAL; a column is its name, type and usage."""
    head = "".join(
        f'<FieldDefn index="{at}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage>'
        "</FieldDefn>"
        for at, (name, kind, usage) in enumerate(columns)
    )
    body = "".join(
        f'<Row index="{at}">{"".join(f"<F>{cell}</F>" for cell in row)}</Row>'
        for at, row in enumerate(rows)
    )
    return f"<GDALRasterAttributeTable>{head}{body}</GDALRasterAttributeTable>"


def dbf(
    columns: Sequence[tuple[str, str, int]], *rows: Sequence[object], deleted: int = 0
) -> bytes:
    """Return a dBASE III table; a column is its name, type and width."""
    fields = b"".join(
        struct.pack("<11sc4xBB14x", name.encode(), kind.encode(), width, 0)
        for name, kind, width in columns
    )
    length = 1 + sum(width for *_, width in columns)
    lines = [
        b" "
        + b"".join(
            str(cell).encode().ljust(width)[:width]
            for cell, (*_, width) in zip(row, columns, strict=True)
        )
        for row in rows
    ]
    head = struct.pack("<B3xIHH20x", 3, len(rows), 32 + len(fields) + 1, length)
    return head + fields + b"\r" + b"".join(lines) + b"\x1a"


def found(path: Path) -> FileClasses:
    with open_raster(path) as dataset:
        return file_classes(dataset, path)


def named(path: Path, band: int = 1) -> dict[int, tuple[str | None, str | None]]:
    """Return title and colour of the classes of a band, by value."""
    classes = found(path).by_band.get(band, ())
    return {each.value: (each.title, each.color_hint) for each in classes}


def only_cube(folder: Path) -> xr.DataArray:
    with xr.open_zarr(folder / "data" / "cube.zarr", mask_and_scale=False) as cube:
        [name] = cube.data_vars
        return cube[name].load()


def test_colours_without_names_are_classes(tmp_path: Path) -> None:
    assert named(painted(tmp_path)) == {
        0: (None, "000000"), 1: (None, "FF0000"), 2: (None, "00A000"), 3: (None, "0000FF"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (pam(categories("", "Forest", "", "Water &amp; ice")), ".aux.xml"),
        (
            pam(table([("V", "0", "5"), ("N", "2", "2")], (1, "Forest"), (3, "Water &amp; ice"))),
            ".aux.xml",
        ),
        (
            pam(
                table(
                    [("OID", "0", "0"), ("Value", "0", "0"), ("Class_Name", "2", "0")],
                    (0, 1, "Forest"),
                    (1, 3, "Water &amp; ice"),
                )
            ),
            ".aux.xml",
        ),
        (
            pam(
                table(
                    [("Low", "1", "3"), ("High", "1", "4"), ("N", "2", "2")],
                    ("1.0", "1.0", "Forest"),
                    ("3.0", "3.0", "Water &amp; ice"),
                )
            ),
            ".aux.xml",
        ),
        (
            dbf(
                [("VALUE", "N", 9), ("COUNT", "N", 19), ("LABEL", "C", 20)],
                (1, 9, "Forest"),
                (3, 9, "Water & ice"),
            ),
            ".vat.dbf",
        ),
        (
            QML,
            ".qml",
        ),
    ],
)
def test_names_beside_a_file_are_classes_with_the_colours_in_it(
    tmp_path: Path, content: str | bytes, end: str
) -> None:
    path = painted(tmp_path)
    beside(path, content, end)
    assert named(path) == {1: ("Forest", "FF0000"), 3: ("Water & ice", "0000FF")}
    assert found(path).notes == ()


def test_colours_of_files_beside_it(tmp_path: Path) -> None:
    path = raster(tmp_path)
    beside(path, "1 255 0 0\r\n 3,0,0,255\nnothing\n2 300 0 0\n", ".clr")
    assert named(path) == {1: (None, "FF0000"), 3: (None, "0000FF")}
    columns = [("VALUE", "N", 9), ("Red", "N", 9), ("Green", "N", 9), ("Blue", "N", 9)]
    beside(path, dbf(columns, (1, "1.00", "0.50", "0"), (2, "0.0", "1.0", "0.0")), ".vat.dbf")
    assert named(path) == {1: (None, "FF8000"), 2: (None, "00FF00"), 3: (None, "0000FF")}


def test_the_cube_of_classes_has_flags_and_nearest_values(tmp_path: Path) -> None:
    path = painted(tmp_path / "src", nodata=2)
    beside(path, pam(categories("", "Laubwälder", "none", "Straße (Kies)")))
    result, told = build_raster(tmp_path, GRID)
    assert result.error is None, result.message
    assert [line for line in told.warnings if "one.tif: " in line and "time" not in line] == []
    cube = only_cube(tmp_path)
    assert cube.attrs["flag_values"] == [1, 3]
    assert cube.attrs["flag_meanings"] == "Laubwalder Strasse_Kies"
    assert cube.attrs["flag_colors"] == "#ff0000 #0000ff"
    assert set(np.unique(cube)) == {1, 2, 3}
    assert cube.attrs["_FillValue"] == 2


def test_a_class_named_nodata_and_a_transparent_colour_mask_nothing(tmp_path: Path) -> None:
    path = raster(tmp_path / "src")
    entry = '<Entry c1="{}" c2="0" c3="0" c4="{}"/>'
    colors = "".join(entry.format(10 * at, 0 if at == 1 else 255) for at in range(4))
    beside(path, pam(categories("", "No data", "x", "y") + f"<ColorTable>{colors}</ColorTable>"))
    result, _ = build_raster(tmp_path)
    assert result.error is None, result.message
    cube = only_cube(tmp_path)
    assert list(cube.attrs["flag_values"]) == [1, 2, 3]
    assert "_FillValue" not in cube.attrs
    assert (cube == 1).any()
    assert "flag_colors" not in cube.attrs  # CF has no flag without a colour beside others


def test_floats_with_classes_are_not_averaged(tmp_path: Path) -> None:
    path = raster(tmp_path / "src", "float32")
    beside(path, pam(table([("V", "1", "5"), ("N", "2", "2")], ("1.0", "a"), ("3", "b"))))
    result, _ = build_raster(tmp_path, GRID)
    assert result.error is None, result.message
    cube = only_cube(tmp_path)
    assert set(np.unique(cube)) <= {1, 2, 3}
    assert list(cube.attrs["flag_values"]) == [1.0, 3.0]


def test_bands_have_classes_of_their_own(tmp_path: Path) -> None:
    path = raster(tmp_path / "src", "float32", 2)
    one, two = pam(categories("", "a")), pam(categories("", "b"), 2)
    beside(path, one.replace("</PAMDataset>", two.removeprefix("<PAMDataset>")))
    result, told = build_raster(tmp_path, GRID)
    assert result.error is None, result.message
    assert any("differ in classes" in line for line in told.warnings)
    assert set(np.unique(only_cube(tmp_path))) <= {1, 2, 3}
    build_raster(tmp_path, GRID, open_params={"band_as_variable": True})
    with xr.open_zarr(tmp_path / "data" / "cube.zarr") as cube:
        assert [cube[name].attrs["flag_meanings"] for name in cube.data_vars] == ["a", "b"]


def test_a_profile_counts_and_a_difference_is_told(tmp_path: Path) -> None:
    path = painted(tmp_path / "src")
    beside(path, pam(categories("", "Forest", "Water")))
    classes = [{"value": 1, "name": "forest"}, {"value": 2, "name": "lake", "title": "Lake"}]
    content = {"source": "file:src", "data": [{"match": "*", "classes": classes}]}
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yml").write_text(yaml.safe_dump(content))
    _, told = build_raster(tmp_path)
    [line] = [each for each in told.warnings if "but its profile" in each]
    assert "calls the value 2 'Water' (one.tif.aux.xml), but its profile has 'Lake'" in line
    cube = only_cube(tmp_path)
    assert cube.attrs["flag_meanings"] == "forest lake"
    assert cube.attrs["flag_colors"] == "#ff0000 #00a000"


def test_a_class_beyond_the_type_is_left_out_and_told(tmp_path: Path) -> None:
    raster(tmp_path / "src")
    classes = [{"value": 1, "name": "forest"}, {"value": 300, "name": "lake", "title": "Lake"}]
    content = {"source": "file:src", "data": [{"match": "*", "classes": classes}]}
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yml").write_text(yaml.safe_dump(content))
    _, told = build_raster(tmp_path)
    [line] = [each for each in told.warnings if "300" in each]
    assert "the class 300 (Lake) is left out, since the data are uint8" in line
    assert only_cube(tmp_path).attrs["flag_meanings"] == "forest"


@pytest.mark.parametrize(
    ("content", "end", "said"),
    [
        (pam(table([("Low", "1", "3"), ("High", "1", "4")], (0, 1), (1, 2))), ".aux.xml", "ranges"),
        (pam(table([("V", "1", "5")], ("1.5",))), ".aux.xml", "fractions"),
        (pam(table([("N", "2", "2")], ("a",))), ".aux.xml", "without a column of values"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', ".aux.xml", "entities"),
        ("<PAMDataset>", ".aux.xml", "is no XML"),
        (b"\xff\xfe<\x00a\x00", ".aux.xml", "is no XML"),
        (" " * (5 << 20), ".aux.xml", "larger than 4 MB"),
        (b"dbf", ".vat.dbf", "is not a dBASE table"),
        (dbf([("VALUE", "N", 9)], (1,), (2,))[:70], ".vat.dbf", "is damaged"),
        (b"\xff" * 200, ".vat.dbf", "is damaged"),
        ("a b c", ".clr", "no lines"),
    ],
)
def test_what_is_no_table_of_classes_is_told(
    tmp_path: Path, content: str | bytes, end: str, said: str
) -> None:
    path = raster(tmp_path)
    beside(path, content, end)
    [note] = found(path).notes
    assert f"one.tif{end}" in note
    assert said in note
    assert found(path).by_band == {}


def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    path = raster(tmp_path / "src")
    secret = tmp_path / "secret.xml"
    secret.write_text(pam(categories("a", "b")))
    path.with_name("one.tif.aux.xml").symlink_to(secret)
    assert "is a link to another folder" in found(path).notes[0]
    # A link to the data takes what is beside them.
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "two.tif"
    link.symlink_to(path)
    (tmp_path / "src" / "own.xml").write_text(pam(categories("a", "b")))
    link.with_name("two.tif.aux.xml").symlink_to(tmp_path / "src" / "own.xml")
    assert [title for title, _ in named(link).values()] == ["a", "b"]


def test_classes_that_the_values_cannot_be(tmp_path: Path) -> None:
    path = raster(tmp_path)
    beside(path, pam(table([("V", "0", "5"), ("N", "2", "2")], (1, "a"), (-3, "b"), (300, "c"))))
    assert list(named(path)) == [1]
    assert "has a class -3, which is not a value of uint8" in found(path).notes[0]


def test_a_palette_of_65536_colours_is_a_ramp(tmp_path: Path) -> None:
    path = raster(tmp_path, "uint16")
    ramp = {at: (at // 256, at % 256, 7, 255) for at in range(65536)}
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, ramp)
    assert found(path).by_band == {}
    assert "65536 values, too many for classes" in found(path).notes[0]
    beside(path, pam(categories("", "a")))
    assert named(path) == {1: ("a", "000107")}


def test_colours_of_a_quantity_are_not_classes(tmp_path: Path) -> None:
    path = painted(tmp_path / "src")
    with rasterio.open(path, "r+") as file:
        file.units = ("m",)
    result, _ = build_raster(tmp_path)
    assert result.error is None
    assert "flag_values" not in only_cube(tmp_path).attrs


def test_two_names_of_a_value_are_told(tmp_path: Path) -> None:
    path = raster(tmp_path)
    beside(path, pam(categories("", "Forest", "Sea")))
    columns = [("Value", "N", 9), ("Name", "C", 9)]
    beside(path, dbf(columns, (1, "FOREST"), (2, "Ocean")), ".vat.dbf")
    [note] = found(path).notes
    assert "'Sea' and 'Ocean' (one.tif.vat.dbf)" in note
    assert [title for title, _ in named(path).values()] == ["Forest", "Sea"]


RAT = [("V", "0", "5"), ("N", "2", "2"), ("R", "0", "6"), ("G", "0", "7"), ("B", "0", "8")]


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (pam(table(RAT, (1, "a", 9, 9, 9), (2, "b", 1, 1, 1), (1, "c", 9, 9, 9))), ".aux.xml"),
        (
            dbf([("VALUE", "N", 9), ("CLASS", "C", 9)], (1, "a"), (2, "b"), (2, "b"), (1, "c")),
            ".vat.dbf",
        ),
        ("1 9 9 9\n2 1 1 1\n1 8 8 8\n", ".clr"),
        (QML.replace('value="3"', 'value="1"'), ".qml"),
    ],
)
def test_of_two_rows_of_a_value_the_first_counts(
    tmp_path: Path, content: str | bytes, end: str
) -> None:
    path = raster(tmp_path)
    beside(path, content, end)
    [note] = found(path).notes
    assert f"(one.tif{end}) with rows that differ for the value 1; the first row" in note
    assert named(path)[1][0] in ("a", None, "Forest")
    assert named(path)[1][1] in ("090909", None, "FF0001")


def test_names_of_classes_are_unique(tmp_path: Path) -> None:
    path = raster(tmp_path)
    beside(path, pam(categories("森林", "Ice", "ice", "y" * 300)))
    classes = found(path).by_band[1]
    assert [each.name for each in classes] == ["class_0", "Ice", "ice_2", "y" * 80]
    assert classes[0].title == "森林"
    assert len(str(classes[3].title)) == 200
