"""stacbuild preview: a PNG of one variable, found by path, item or name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from stacbuild.errors import ConflictError
from stacbuild.pictures.preview import preview
from tests.support.cli import configuration, errors, geotiff, stacbuild


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("preview")
    geotiff(directory / "src" / "a.tif")
    dataset = {"identifier": "a", "store": "src", "data_id": "a.tif"}
    store = {"identifier": "src", "store_id": "file", "store_params": {"root": "src"}}
    stacbuild("cube", configuration(directory, [dataset], [store]))
    return directory


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


def test_by_path_by_item_and_by_name_it_is_the_same_picture(project: Path, tmp_path: Path) -> None:
    catalog = project / "catalogs"
    pngs = []
    for number, cube in enumerate(
        [project / "data" / "a.zarr", catalog / "c" / "a" / "a.json", "a"]
    ):
        png = tmp_path / f"{number}.png"
        done = stacbuild("preview", cube, "--catalog", catalog, "-o", png)
        assert done.stdout == f"{png}\n"
        assert min(size(png)) > 400
        pngs.append(png.read_bytes())
    assert pngs[0] == pngs[1] == pngs[2]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["a", "--var", "nope"], 2, "there are: band_data"),
        (["a", "--time", "2001"], 2, "has no time"),
        (["b"], 5, "the catalog has a"),
        (["b.zarr"], 5, "no Zarr store"),
    ],
)
def test_what_is_not_there(
    project: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    png = tmp_path / "none.png"
    catalog = project / "catalogs"
    done = stacbuild("preview", *words, "--catalog", catalog, "-o", png, code=code)
    assert said in errors(done)[0]
    assert not png.exists()


def test_every_shape_can_be_drawn(tmp_path: Path) -> None:
    times = np.array(["2001-01-01", "2002-01-01"], "datetime64[ns]")
    coords = {"time": times, "y": [20.0, 10.0], "x": np.arange(300.0)}
    names = " ".join(f"a_class_with_a_name_that_is_long_{number}" for number in range(40))
    flags = {"flag_values": np.arange(40, dtype=np.uint8), "flag_meanings": names}
    values = np.arange(2 * 2 * 300).reshape(2, 2, 300)
    cube = xr.Dataset(
        {
            "codes": (("time", "y", "x"), (values % 40).astype(np.uint8), flags),
            "height": (("y", "x"), values[0].astype(np.float32), {"units": "m"}),
            "empty": (("y", "x"), np.full((2, 300), np.nan)),
        },
        coords,
    )
    for name in cube.data_vars:
        preview(cube, str(name), None, tmp_path / f"{name}.png")
        assert min(size(tmp_path / f"{name}.png")) > 400
    pictures = [tmp_path / f"{year}.png" for year in (2001, 2002)]
    for path in pictures:
        preview(cube, "codes", path.stem, path)
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


@pytest.mark.parametrize("kind", ["picture", "text", "link", "dangling link"])
def test_what_preview_did_not_draw_stays(tmp_path: Path, kind: str) -> None:
    cube = xr.Dataset(
        {"v": (("y", "x"), np.arange(4.0).reshape(2, 2))}, {"y": [1.0, 0.0], "x": [0.0, 1.0]}
    )
    png, other = tmp_path / "v.png", tmp_path / "other.png"
    Image.new("L", (3, 3)).save(other)
    if kind == "text":
        png.write_text("mine")
    elif kind == "picture":
        png.write_bytes(other.read_bytes())
    else:
        png.symlink_to(other if kind == "link" else tmp_path / "nowhere")
    before = other.read_bytes(), png.is_symlink(), png.exists() and png.read_bytes()
    with pytest.raises(ConflictError, match=r"v\.png: is no picture that stacbuild drew"):
        preview(cube, None, None, png)
    assert before == (other.read_bytes(), png.is_symlink(), png.exists() and png.read_bytes())
    assert not (tmp_path / "nowhere").exists()
    preview(cube, None, None, tmp_path / "new.png")
    preview(cube, None, None, tmp_path / "new.png")
