"""Tables are read as spreadsheets and people write them, or refused with the line at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.config.tables import MAX_BYTES, MAX_ROWS, TableError, read_table
from tests.support.sites import FLUX_TOWERS


def read(directory: Path, content: str | bytes, name: str = "sites.csv"):
    raw = content if isinstance(content, bytes) else content.encode()
    (directory / name).write_bytes(raw)
    return read_table(name, directory)


def test_the_table_of_flux_towers(tmp_path: Path) -> None:
    table = read(tmp_path, FLUX_TOWERS)
    assert table.columns == ("Site ID", "latitude", "longitude", "IGBP")
    assert [row.line for row in table.rows] == [2, 3, 4, 5, 6]
    assert table.rows[0].cells == {
        "Site ID": "AU-Dry",
        "latitude": "-15.2588",
        "longitude": "132.3706",
        "IGBP": "SAV",
    }


@pytest.mark.parametrize(
    "text",
    [
        "id,name\na,Dry River\nb,Hai\n",
        "id;name\na;Dry River\nb;Hai\n",
        "id\tname\na\tDry River\nb\tHai\n",
        "id|name\r\na|Dry River\r\nb|Hai\r\n",
        "\ufeffid,name\na,Dry River\nb,Hai",
        ' id , "name"\n a , "Dry River"\n b , Hai\n',
        '"id","name"\n"a","Dry River"\n"b","Hai"\n',
        "\n\nid,name\n\na,Dry River\n,\nb,Hai\n\n",
        "id,name,,\na,Dry River,,\nb,Hai,,\n",
        ",id,name\n0,a,Dry River\n1,b,Hai\n",  # with the index of pandas
    ],
)
def test_forms_of_one_table(tmp_path: Path, text: str) -> None:
    table = read(tmp_path, text)
    assert table.columns == ("id", "name")
    assert [row.cells for row in table.rows] == [
        {"id": "a", "name": "Dry River"},
        {"id": "b", "name": "Hai"},
    ]


def test_separators_and_line_breaks_within_quotes(tmp_path: Path) -> None:
    table = read(tmp_path, 'id,"name; of site"\na,"Dry, the ""old""\none"\nb,Hai\n')
    assert table.columns == ("id", "name; of site")
    assert table.rows[0].cells["name; of site"] == 'Dry, the "old"\none'
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "sites.csv: is empty"),
        ("\n \n", "sites.csv: is empty"),
        ("id,name\n", "sites.csv: has no rows below the line with the names"),
        ("id,name,id\na,b,c\n", "sites.csv:1: has two columns 'id'"),
        ("id,name\na,b\nc\n", "sites.csv:3: has 1 value, and the header 2 columns"),
        ("id,name\na,b,c\n", "sites.csv:2: has 3 values, and the header 2 columns"),
        ('id,name\na,"b\n', "sites.csv:2: is not valid CSV"),
        ('id,name\na,"b"c\n', "sites.csv:2: is not valid CSV"),
        ("id,name\na,M\xfcnchen\n".encode("latin-1"), "sites.csv:2: is not UTF-8 text"),
        ("id,name\na,b\n".encode("utf-16"), "sites.csv: is UTF-16 text; save it as CSV in UTF-8"),
        (b"PK\x03\x04rest", "sites.csv: is an Excel or zip file"),
        ("id\n" + "a\n" * (MAX_ROWS + 1), "sites.csv: has more than 10,000 rows"),
        (b"id\n" + b"a" * MAX_BYTES, "sites.csv: is larger than 5,000,000 bytes"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(TableError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.csv", "gone.csv: there is no such file"),
        ("folder", "folder: is a folder"),
        ("../sites.csv", "relative to the configuration"),
        ("/etc/passwd", "relative to the configuration"),
        ("~/sites.csv", "relative to the configuration"),
        ("https://example.com/sites.csv", "relative to the configuration"),
        ("link.csv", "is a link out of the folder"),
    ],
)
def test_only_files_beside_the_configuration(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "outside.csv").write_text("id\na\n")
    directory = tmp_path / "in"
    (directory / "folder").mkdir(parents=True)
    (directory / "link.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(TableError) as caught:
        read_table(name, directory)
    assert said in str(caught.value)
