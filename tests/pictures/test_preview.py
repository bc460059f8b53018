"""stacbuild preview: a PNG of one variable, found by path, item or name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from PIL import Image
from zarr.storage import LocalStore

from stacbuild.building.zarr_metadata import consolidate
from stacbuild.cli import run
from stacbuild.errors import ConfigError, ConflictError
from stacbuild.pictures import preview as pictures
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
        (["a", "--var", "nope"], 2, "there are: a"),
        (["a", "--time", "2001"], 2, "has no time"),
        (["b"], 5, "its cubes are a"),
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


@pytest.mark.parametrize("name", ["x.jpg", "x.webp", "x.pdf", "x.PNG.tif"])
def test_other_formats_are_refused_before_the_cube_is_read(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["preview", "no.zarr", "-o", str(tmp_path / name)]) == 2
    png = str(Path(name).with_suffix(".png"))
    assert f"{name}: previews are PNG files; name it {png}" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_a_new_folder_needs_no_slash(project: Path, tmp_path: Path) -> None:
    cube = str(project / "data" / "a.zarr")
    assert run(["preview", cube, "-o", str(tmp_path / "new")]) == 0
    assert size(tmp_path / "new" / "a.png")
    assert run(["preview", cube, "-o", str(tmp_path / "x.PNG")]) == 0
    assert size(tmp_path / "x.PNG")
    (tmp_path / "file").write_text("mine")
    assert run(["preview", cube, "-o", str(tmp_path / "file")]) == 2
    assert (tmp_path / "file").read_text() == "mine"


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
        preview(cube, str(name), {}, tmp_path / f"{name}.png")
        assert min(size(tmp_path / f"{name}.png")) > 400
    pictures = [tmp_path / f"{year}.png" for year in (2001, 2002)]
    for path in pictures:
        preview(cube, "codes", {"time": path.stem}, path)
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


def cube_of_everything() -> xr.Dataset:
    """Return two variables, of which one has members, bands and times."""
    dims = ("time", "member", "band", "y", "x")
    coords = {
        "time": np.array(["2019-01-01", "2020-01-01", "2020-06-01"], "datetime64[ns]"),
        "member": [0.5, 7],
        "y": [20.0, 10.0],
        "x": [0.0, 10.0],
    }
    values = np.arange(3 * 2 * 4 * 4, dtype="float32").reshape(3, 2, 4, 2, 2)
    return xr.Dataset({"a": (dims, values), "b": (("y", "x"), values[0, 0, 0])}, coords)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray[Any, Any]]:
    """Keep the values of what is drawn."""
    planes: list[np.ndarray[Any, Any]] = []
    draw = pictures._draw
    monkeypatch.setattr(
        pictures, "_draw", lambda plane: planes.append(plane.values.copy()) or draw(plane)
    )
    return planes


@pytest.mark.parametrize(
    ("select", "index"),
    [
        ({}, (2, 0, 0)),
        ({"time": "2020"}, (1, 0, 0)),
        ({"time": "2020-06", "member": "7"}, (2, 1, 0)),
        ({"time": "2019-01-01T00:00:00.000000000"}, (0, 0, 0)),
        ({"time": "2019-01-01 00:00:00Z"}, (0, 0, 0)),
        ({"member": "0.50", "band": "3"}, (2, 0, 3)),
    ],
)
def test_the_selected_plane(
    tmp_path: Path,
    drawn: list[np.ndarray[Any, Any]],
    select: dict[str, str],
    index: tuple[int, ...],
) -> None:
    cube = cube_of_everything()
    preview(cube, "a", select, tmp_path / "a.png")
    np.testing.assert_array_equal(drawn[0], cube["a"].values[index])


@pytest.mark.parametrize(
    ("variable", "select", "said"),
    [
        ("a", {"member": "3"}, "a has no member '3'; there are: 0.5, 7.0"),
        ("a", {"membr": "7"}, "a has no dimension 'membr'; there are: time, member, band"),
        ("a", {"time": "2021"}, "its 3 times are from 2019-01-01 to 2020-06-01"),
        ("a", {"band": "4"}, "a: band has no coordinate; choose a position from 0 to 3, not '4'"),
        ("a", {"x": "0"}, "x is an axis of the picture"),
        ("b", {"time": "2020"}, "b has no time"),
        ("c", {}, "there is no variable 'c' to draw; there are: a, b"),
    ],
)
def test_a_selection_of_what_is_not_there(
    tmp_path: Path, variable: str, select: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        preview(cube_of_everything(), variable, select, tmp_path / "a.png")
    assert said in str(raised.value)


def test_each_variable_has_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    cube_of_everything().to_zarr("cube.zarr", zarr_format=2, consolidated=True)
    (tmp_path / "out").mkdir()
    for words, written in [
        (["cube.zarr"], ["cube_a.png", "cube_b.png"]),
        (["./cube.zarr/", "--var", "b"], ["cube_b.png"]),
        (["cube.zarr", "--sel", "band=2", "member=7", "time=2020"], ["cube_a.png", "cube_b.png"]),
        (["--sel", "band=2 member=7", "--time", "2020", "cube.zarr"], ["cube_a.png", "cube_b.png"]),
        ([str(tmp_path / "cube.zarr"), "-o", "out"], ["out/cube_a.png", "out/cube_b.png"]),
        (["cube.zarr", "-o", "x.png"], ["x.png"]),
    ]:
        assert run(["preview", *words]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out.splitlines() == written
    for words, said in [
        (["cube.zarr", "--sel", "band"], "--sel band: has to be DIM=VALUE, such as band=2"),
        (["cube.zarr", "band=1", "--sel", "band=2"], "band is selected twice"),
        (["cube.zarr", "other.zarr"], "Name one CUBE; got cube.zarr, other.zarr"),
        (["cube.zarr", "--var", "a", "--var", "b", "-o", "x.png"], "x.png is one file"),
        (["cube.zarr", "depth=1"], "has no dimension 'depth'; there are: time, member, band"),
    ]:
        assert run(["preview", *words]) == 2
        assert said in capsys.readouterr().err


def test_what_cannot_be_drawn_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    cube_of_everything().to_zarr("cube.zarr", zarr_format=2, consolidated=True)
    Path("cube_a.png").write_text("mine")
    assert run(["preview", "cube.zarr"]) == ConflictError.exit_code
    out, err = capsys.readouterr()
    assert out == "cube_b.png\n"
    assert err.count("cube_a.png: is not a picture that stacbuild drew") == 1


def test_a_pyramid_is_drawn_from_a_coarse_level_and_has_the_cubes_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[np.ndarray[Any, Any]]
) -> None:
    monkeypatch.chdir(tmp_path)
    levels = [{"asset": "0"}, {"asset": "1"}, {"asset": "2"}]
    zarr.open_group("cube.zarr", mode="w").attrs["multiscales"] = {"layout": levels}
    for number, length in enumerate((2400, 1200, 600)):
        values = np.full((1, length), number, "uint8")
        coords = {"y": [0.0], "x": np.arange(length, dtype=float)}
        level = xr.Dataset({"v": (("y", "x"), values)}, coords)
        level.to_zarr(f"cube.zarr/{number}", consolidated=False)
    consolidate(LocalStore("cube.zarr"), 3)
    assert run(["preview", "cube.zarr"]) == 0
    assert set(np.unique(drawn[0])) == {1}
    assert Path("cube.png").exists()


def test_legends_of_long_names_are_whole(tmp_path: Path) -> None:
    names = " ".join(f"{number:02d}{'_' * (number % 2)}{'W' * 78}" for number in range(30))
    flags = {"flag_values": np.arange(30, dtype=np.uint8), "flag_meanings": names}
    coords = {"y": [20.0, 10.0], "x": np.arange(30.0)}
    values = np.tile(np.arange(30, dtype=np.uint8), (2, 1))
    cube = xr.Dataset({"v": (("y", "x"), values, flags)}, coords)
    preview(cube, None, {}, tmp_path / "v.png")
    with Image.open(tmp_path / "v.png") as image:
        pixels = np.asarray(image.convert("L"))
    # Nothing reaches the edges, and the map is not squeezed by the legend.
    for edge in (pixels[:9], pixels[-9:], pixels[:, :9], pixels[:, -9:]):
        assert (edge == 255).all()
    assert pixels.shape[1] > 1.6 * 8 * 150


@pytest.mark.parametrize("rows", [2, 1])
def test_packed_values_are_drawn_in_their_unit(tmp_path: Path, rows: int) -> None:
    stored = np.array([[[14000, 15000], [-1, 16000]], [[14500, -1], [15500, 16500]]], np.int16)
    # One pixel alone is drawn along time.
    stored = stored[:, :rows, :rows]
    packing = {"scale_factor": -0.02, "add_offset": 273.15}
    decoded = np.where(stored == -1, np.nan, stored * -0.02 + 273.15)
    coords = {
        "time": np.array(["2020-01-01", "2020-02-01"], "datetime64[ns]"),
        "y": [1.0, 0.0][:rows],
        "x": [0.0, 1.0][:rows],
    }
    pngs = []
    for name, values, attrs in (
        ("packed", stored, packing | {"_FillValue": np.int16(-1)}),
        ("decoded", decoded, {}),
    ):
        variable = (("time", "y", "x"), values, attrs | {"units": "degC"})
        preview(xr.Dataset({"t": variable}, coords), None, {}, tmp_path / f"{name}.png")
        pngs.append((tmp_path / f"{name}.png").read_bytes())
    assert pngs[0] == pngs[1]


def test_values_without_a_class_have_a_colour_and_an_entry_of_their_own(tmp_path: Path) -> None:
    values = np.array([[1, 2], [7, 255]], np.uint8)
    pngs = []
    for flags, meanings, colors in (
        ([1, 2], "a b", "#ff0000 #00ff00"),
        ([1, 2, 7], "a b other_(7)", "#ff0000 #00ff00 #aaaaaa"),
    ):
        attrs = {
            "flag_values": np.array(flags, np.uint8), "flag_meanings": meanings,
            "flag_colors": colors, "_FillValue": np.uint8(255),
        }  # fmt: skip
        cube = xr.Dataset({"v": (("y", "x"), values, attrs)}, {"y": [1.0, 0.0], "x": [0.0, 1.0]})
        preview(cube, None, {}, tmp_path / f"{len(flags)}.png")
        pngs.append((tmp_path / f"{len(flags)}.png").read_bytes())
    assert pngs[0] == pngs[1]


@pytest.mark.parametrize(
    ("times", "title"),
    [
        (["2020-06-01", "2020-07-01"], "rain, 2020-07"),
        (["2019-01-01", "2020-01-01"], "rain, 2020"),
        (["2020-06-01", "2020-06-02"], "rain, 2020-06-02"),
        (["2020-06-01"], "rain, 2020-06-01"),
    ],
)
def test_titles_name_months_and_no_suffix_and_ticks_of_integers_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: list[str], title: str
) -> None:
    figures = []
    draw = pictures._draw
    monkeypatch.setattr(pictures, "_draw", lambda plane: figures.append(draw(plane)) or figures[-1])
    values = np.resize(np.arange(4, dtype=np.uint8), (len(times), 2, 2))
    coords = {"time": np.array(times, "datetime64[ns]"), "y": [1.0, 0.0], "x": [0.0, 1.0]}
    attrs = {"long_name": "rain.TIF"}
    preview(
        xr.Dataset({"v": (("time", "y", "x"), values, attrs)}, coords), None, {}, tmp_path / "v.png"
    )
    plot, bar = figures[0].axes
    assert (plot.get_title(), bar.get_ylabel()) == (title, "rain")
    assert all(float(tick).is_integer() for tick in bar.get_yticks())


def test_one_pixel_is_drawn_along_time_unless_a_time_is_chosen(
    tmp_path: Path, drawn: list[np.ndarray[Any, Any]]
) -> None:
    cube = cube_of_everything().isel(y=[0], x=[1])
    preview(cube, "a", {"member": "7"}, tmp_path / "series.png")
    assert not drawn
    assert min(size(tmp_path / "series.png")) > 400
    preview(cube, "a", {"time": "2019"}, tmp_path / "pixel.png")
    assert drawn[0].shape == (1, 1)


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
    with pytest.raises(ConflictError, match=r"v\.png: is not a picture that stacbuild drew"):
        preview(cube, None, {}, png)
    assert before == (other.read_bytes(), png.is_symlink(), png.exists() and png.read_bytes())
    assert not (tmp_path / "nowhere").exists()
    preview(cube, None, {}, tmp_path / "new.png")
    preview(cube, None, {}, tmp_path / "new.png")
