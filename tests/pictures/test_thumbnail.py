"""Pictures in the catalog: of cubes, and of the collections they were made from."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from zarr.storage import LocalStore, WrapperStore

from stacbuild.pictures.coarse import read_plane
from stacbuild.pictures.colors import OTHER, Legend, Scale, colors_of
from stacbuild.pictures.thumbnail import in_proportion, picture
from tests.support.built import variable_of
from tests.support.cli import configuration, geotiff, stacbuild

PROFILE = """\
source: "*"
data:
  - match: codes.tif
    start_datetime: 2019-01-01T00:00:00Z
    classes:
      - {value: 0, name: bare, color_hint: FF0000}
      - {value: 7, name: forest, color_hint: "00FF00"}
  - match: "*.tif"
    start_datetime: 2019-01-01T00:00:00Z
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of two cubes that are built: one with a legend, one without."""
    directory = tmp_path_factory.mktemp("pictures")
    geotiff(directory / "src" / "codes.tif")
    geotiff(directory / "src" / "height.tif", dtype="float32", nodata=5.0)
    (directory / "profiles").mkdir()
    (directory / "profiles" / "p.yml").write_text(PROFILE)
    datasets = [
        {"identifier": name, "grid_mapping": "grid", "store": "src", "data_id": f"{name}.tif"}
        for name in ("codes", "height")
    ]
    store = {"identifier": "src", "store_id": "file", "store_params": {"root": "src"}}
    config = configuration(directory, datasets, [store])
    stacbuild("cube", config)
    return config


def item_of(config: Path, name: str) -> tuple[dict[str, Any], Path]:
    (path,) = config.parent.glob(f"catalogs/c/{name}/{name}.json")
    return json.loads(path.read_text()), path


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.array(image.convert("RGBA"))


def test_a_cube_has_a_picture_in_the_colours_of_its_legend(project: Path) -> None:
    item, path = item_of(project, "codes")
    asset = item["assets"]["thumbnail"]
    assert (asset["href"], asset["type"]) == ("./thumbnail.png", "image/png")
    image = opened((path.parent / "thumbnail.png").read_bytes())
    with xr.open_zarr(project.parent / "data" / "codes.zarr", mask_and_scale=False) as cube:
        codes = variable_of(cube).values
    assert max(image.shape) <= 512
    assert (image[codes == 0] == (255, 0, 0, 255)).all()
    assert (image[codes == 7] == (0, 255, 0, 255)).all()
    # Values without a class are data, so that they do not look like nodata.
    assert (image[(codes != 0) & (codes != 7)] == (*OTHER, 255)).all()


def test_the_item_says_how_to_draw_it_and_what_is_in_it(project: Path) -> None:
    codes, height = (item_of(project, name)[0] for name in ("codes", "height"))
    assert variable_of(codes["properties"]["renders"])["colormap"] == {
        "0": [255, 0, 0, 255],
        "7": [0, 255, 0, 255],
    }
    render = variable_of(height["properties"]["renders"])
    assert render["assets"] == ["data"]
    assert len(render["colormap"]) == 256
    ((low, high),) = render["rescale"]
    found = variable_of(height["properties"]["cube:variables"])["statistics"]
    assert found["minimum"] <= low < high <= found["maximum"]
    assert 0 < found["valid_percent"] < 100
    assert any("/render/v2.0.0/" in uri for uri in height["stac_extensions"])
    classes = variable_of(codes["properties"]["cube:variables"])["classification:classes"]
    assert [entry["color_hint"] for entry in classes] == ["FF0000", "00FF00"]


def test_the_collection_of_the_sources_has_one_too_and_keeps_it(project: Path) -> None:
    (path,) = project.parent.glob("catalogs/file-*/collection.json")
    before = {file: file.read_bytes() for file in project.parent.glob("catalogs/**/*.*")}
    assert json.loads(before[path])["assets"]["thumbnail"]["roles"] == ["thumbnail"]
    assert opened(before[path.with_name("thumbnail.png")]).shape[2] == 4
    stacbuild("harvest", project)
    stacbuild("cube", project, "--force")
    for file in before:
        if file.suffix == ".png" or file.name == "collection.json":
            assert file.read_bytes() == before[file], file


def test_a_picture_that_is_gone_is_found(project: Path) -> None:
    _, path = item_of(project, "height")
    png = path.parent / "thumbnail.png"
    content = png.read_bytes()
    png.unlink()
    try:
        done = stacbuild("validate", project, code=4)
        assert "thumbnail.png" in done.stderr
    finally:
        png.write_bytes(content)
    stacbuild("validate", project)


def test_the_picture_of_a_collection_that_is_gone_is_found_and_made_again(project: Path) -> None:
    for folder in (*project.parent.glob("catalogs/file-*"), project.parent / "catalogs" / "c"):
        png = folder / "thumbnail.png"
        png.unlink()
        done = stacbuild("validate", project, code=4)
        assert f"{png} does not exist; build again (cube --force)" in done.stderr
        stacbuild("cube", project, "--force")
        assert opened(png.read_bytes()).shape[2] == 4
    stacbuild("validate", project)


class Counting(WrapperStore[LocalStore]):
    """A store that knows which keys were read."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self.keys: list[str] = []

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        self.keys.append(key)
        return await super().get(key, *args, **options)


@pytest.mark.parametrize(
    ("ratio", "shape"),
    [
        (1.0, (120, 160)),
        (1.1, (120, 160)),
        (1 / 3, (120, 480)),
        (2.0, (240, 160)),
        (8.0, (512, 85)),
        (1000.0, (512, 43)),
    ],
)
def test_pixels_that_are_not_square_are_in_proportion(ratio: float, shape: tuple[int, int]) -> None:
    rgba = np.arange(120 * 160 * 4, dtype=np.uint32).astype(np.uint8).reshape(120, 160, 4)
    drawn = in_proportion(rgba, ratio)
    assert drawn.shape[:2] == shape
    np.testing.assert_array_equal(drawn[0, 0], rgba[0, 0])


def test_a_cube_of_oblong_pixels_has_an_oblong_picture() -> None:
    coords = {"y": np.arange(10.0, 0, -1), "x": np.arange(0, 60.0, 3)}
    cube = xr.Dataset({"a": (("y", "x"), np.arange(200.0).reshape(10, 20))}, coords)
    assert opened(picture(cube).pngs["a"]).shape[:2] == (10, 60)


def test_one_plane_is_read_and_not_the_whole_array(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 99, (20, 1200, 1000), np.uint8)
    coords = {"time": np.arange(20), "lat": np.arange(1200)[::-1], "lon": np.arange(1000)}
    cube = xr.Dataset({"codes": (("time", "lat", "lon"), values)}, coords)
    encoding = {"codes": {"chunks": (1, 400, 500), "compressors": None}}
    cube.to_zarr(tmp_path / "cube.zarr", encoding=encoding, zarr_format=3, consolidated=False)
    store = Counting(LocalStore(tmp_path / "cube.zarr", read_only=True))
    with xr.open_zarr(store, chunks=None, mask_and_scale=False, consolidated=False) as opened_cube:
        found = picture(opened_cube)
    chunks = [key for key in store.keys if key.startswith("codes/c/")]
    assert sorted(chunks) == sorted(f"codes/c/19/{row}/{col}" for row in range(3) for col in (0, 1))
    assert found.statistics["codes"]["stacbuild:sample"] == "1 of 3 rows and columns, time 19"
    assert max(opened(found.pngs["codes"]).shape) <= 512


def plane_of(values: np.ndarray, **attrs: Any) -> Any:
    dims = ("time", "lat", "lon")[3 - values.ndim :]
    coords = {dims[-2]: np.arange(values.shape[-2])[::-1], dims[-1]: np.arange(values.shape[-1])}
    return read_plane(xr.DataArray(values, dims=dims, coords=coords, attrs=attrs))


def test_the_last_time_is_drawn_and_every_nth_pixel_of_it() -> None:
    values = np.arange(2 * 1100 * 700).reshape(2, 1100, 700)
    plane = plane_of(values)
    assert plane.place == {"time": 1}
    assert plane.values.shape == (367, 233)
    np.testing.assert_array_equal(plane.values, values[1, 1::3, 1::3])
    assert plane.extent == (-0.5, 699.5, -0.5, 1099.5)


def test_what_takes_too_long_to_read_is_not_drawn() -> None:
    array = xr.DataArray(
        np.broadcast_to(np.uint8(0), (60_000, 60_000)),
        dims=("y", "x"),
        coords={"y": np.arange(60_000), "x": np.arange(60_000)},
    )
    assert read_plane(array) is None


def test_colours() -> None:
    flags = {"flag_values": [1, 2], "flag_meanings": "a b"}
    legend = colors_of(plane_of(np.array([[1, 2]], np.uint8), **flags))
    assert isinstance(legend, Legend)
    assert len({color for *_, color in legend.classes}) == 2
    odd = colors_of(plane_of(np.array([[1, 2]], np.uint8), **flags, flag_colors="#12 no"))
    assert odd == legend
    scale = colors_of(plane_of(np.array([[1.0, np.nan], [3.0, 3.0]])))
    assert isinstance(scale, Scale)
    assert scale.rgba(plane_of(np.array([[1.0, np.nan]])))[0, 1].tolist() == [0, 0, 0, 0]
    empty = colors_of(plane_of(np.array([[np.nan]])))
    assert empty == Scale(0.0, 1.0)


@pytest.mark.parametrize(("dtype", "fill"), [("int64", 2**53 + 1), ("uint64", 2**64 - 1)])
def test_no_data_of_64_bits_is_exact(dtype: str, fill: int) -> None:
    values = np.arange(12, dtype=dtype).reshape(3, 4)
    values[0] = fill
    array = xr.DataArray(values, dims=("lat", "lon"), attrs={"_FillValue": values[0, 0]})
    [render] = picture(xr.Dataset({"big": array})).renders.values()
    assert render["nodata"] == fill
    assert isinstance(render["nodata"], int)
