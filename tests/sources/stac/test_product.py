"""Of a product of many files whose items state their grid and values, a few headers are read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import xarray as xr
import yaml
from rasterio.warp import transform_bounds

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.stac import harvest, one_asset, product
from stacbuild.stac.checksums import keep_version
from stacbuild.stac.extensions import HEADER
from tests.support.stac_documents import Json, store
from tests.support.stac_rasters import catalog, stated

COUNT, SIDE = 8, 20
TOP, LEFT, RES = 3_000_000.0, 4_000_000.0, 10.0


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest, "READ_ALL", 4)
    monkeypatch.setattr(product, "SAMPLES", 2)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened."""
    names: list[str] = []

    class Counted(one_asset.RasterFile):
        def __init__(self, href: str, **options: Any) -> None:
            names.append(Path(href).stem)
            super().__init__(href, **options)

    monkeypatch.setattr(one_asset, "RasterFile", Counted)
    return names


def transform(number: int) -> list[float]:
    return [RES, 0, LEFT + number * SIDE * RES, 0, -RES, TOP]


def tile(folder: Path, number: int, **header: Any) -> None:
    how: dict[str, Any] = {"dtype": "uint8", "nodata": 0, "crs": "EPSG:3035"} | header
    shape = {"width": SIDE, "height": SIDE, "count": 1}
    place = rasterio.Affine(*transform(number))
    with rasterio.open(
        folder / f"{number}.tif", "w", driver="GTiff", transform=place, **shape, **how
    ) as file:
        file.write(np.full((1, SIDE, SIDE), number + 1, how["dtype"]))


def made(folder: Path, changes: dict[int, Json] | None = None, **each: Any) -> None:
    """Write tiles and a catalog that states their grids; *changes* are of single assets."""
    folder.mkdir(exist_ok=True)
    items = []
    for number in range(COUNT):
        tile(folder, number)
        fields = {"proj:code": "EPSG:3035", "proj:shape": [SIDE, SIDE], "data_type": "uint8"}
        fields |= {"proj:transform": transform(number), "nodata": 0}
        fields |= each | (changes or {}).get(number, {})
        known = {key: value for key, value in fields.items() if value is not None}
        one = stated(f"i{number}", f"./{number}.tif", **known)
        one["properties"].pop("proj:epsg")
        corner = LEFT + number * SIDE * RES
        box = corner, TOP - SIDE * RES, corner + SIDE * RES, TOP
        one["bbox"] = list(transform_bounds("EPSG:3035", "OGC:CRS84", *box))
        items.append(one)
    catalog(folder, *items)


def described(folder: Path, **params: Any) -> list[pystac.Item]:
    where = store(root=str(folder), **params)
    found = list(harvest.harvest(where, Wanted(("c",)), Profiles()))
    return [each for group in found for each in group.items]


def content(each: pystac.Item) -> Json:
    each.assets["data"].extra_fields.pop(HEADER, None)
    return each.to_dict(include_self_link=False, transform_hrefs=False)


def test_a_few_headers_are_read_and_items_are_as_by_their_own(
    tmp_path: Path, opened: list[str]
) -> None:
    made(tmp_path)
    found = described(tmp_path)
    assert sorted(opened) == ["0", "7"]
    marked = [HEADER in each.assets["data"].extra_fields for each in found]
    assert marked == [False, *[True] * 6, False]
    opened.clear()
    by_header = described(tmp_path, read_headers=True)
    assert len(opened) == COUNT
    assert [*map(content, found)] == [*map(content, by_header)]


@pytest.mark.parametrize(
    "missing", ["proj:code", "proj:shape", "proj:transform", "data_type", "nodata"]
)
def test_what_an_item_does_not_state_is_read(
    tmp_path: Path, opened: list[str], missing: str
) -> None:
    made(tmp_path, **{missing: None})
    assert len(described(tmp_path)) == COUNT
    assert len(opened) == COUNT


@pytest.mark.parametrize(
    "wrong",
    [
        {"proj:transform": [RES, 0, LEFT + 1e-6, 0, -RES, TOP]},
        {"proj:transform": [RES, 0, LEFT, 0, -RES * 1.0001, TOP]},
        {"proj:shape": [SIDE, SIDE + 1]},
        {"proj:code": "EPSG:3034"},
        {"data_type": "int16"},
        {"nodata": 255},
        {"nodata": "nan"},
    ],
)
def test_if_a_file_is_not_as_stated_every_header_is_read(
    tmp_path: Path, opened: list[str], wrong: Json
) -> None:
    # In an item of which the header is read, or in all: both ways of the items are the files'.
    key, value = next(iter(wrong.items()))
    everywhere = {key: value} if key != "proj:transform" else {}
    made(tmp_path, {0: wrong, 7: wrong} if not everywhere else None, **everywhere)
    found = described(tmp_path)
    assert sorted(opened) == sorted(map(str, range(COUNT)))
    for number, each in enumerate(found):
        assert each.properties["proj:transform"] == transform(number)
        assert each.properties["proj:shape"] == [SIDE, SIDE]
        assert each.assets["data"].extra_fields["nodata"] == 0
        assert HEADER not in each.assets["data"].extra_fields


@pytest.mark.parametrize(
    "wrong",
    [
        {"proj:transform": [RES, 0, float("1e400"), 0, -RES, TOP]},
        {"proj:transform": [0, 0, LEFT, 0, 0, TOP]},
        {"proj:transform": "10"},
        {"proj:transform": [RES, 0, LEFT + 1e5, 0, -RES, TOP]},
        {"proj:shape": [0, SIDE]},
        {"proj:shape": [SIDE, 0.5]},
        {"proj:code": "EPSG:4978"},
        {"proj:code": "EPSG:32632"},
        {"nodata": "none"},
        {"bands": 7, "data_type": None},
        {"bands": [{"data_type": "uint8"}, {"data_type": "int16"}]},
    ],
)
def test_the_header_of_an_item_that_cannot_be_right_is_read(
    tmp_path: Path, opened: list[str], wrong: Json
) -> None:
    made(tmp_path, {3: wrong})
    found = described(tmp_path)
    assert sorted(opened) == ["0", "3", "7"]
    assert found[3].properties["proj:transform"] == transform(3)
    assert found[3].properties["proj:shape"] == [SIDE, SIDE]


def test_files_that_differ_are_all_read(tmp_path: Path, opened: list[str]) -> None:
    made(tmp_path)
    tile(tmp_path, 7, dtype="int16")
    described(tmp_path)
    assert len(opened) == COUNT


def test_items_of_several_products_are_apart(tmp_path: Path, opened: list[str]) -> None:
    made(tmp_path, {number: {"unit": "m"} for number in range(3)})
    found = described(tmp_path)
    # Five of one product, of which two are read, and three of another, too few to leave any out.
    assert len(opened) == 2 + 3
    units = [each.assets["data"].extra_fields.get("unit") for each in found]
    assert units == ["m"] * 3 + [None] * 5


def test_a_gone_file_is_named(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "3.tif").unlink()
    with pytest.raises(Exception, match=r"3\.tif: there is no such file"):
        described(tmp_path)


def config_of(folder: Path, **params: Any) -> Path:
    content = {
        "datasets": [{"identifier": "a", "grid_mapping": "g", "store": "s", "data_id": "c"}],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "cubes"}},
            {"identifier": "s", "store_id": "stac", "store_params": {"root": "src", **params}},
        ],
        "grid_mappings": [
            {
                "identifier": "g",
                # Half a pixel off: each centre lies on an edge.
                "bbox": [LEFT + 5, TOP - 195, LEFT + COUNT * SIDE * RES - 5, TOP - 5],
                "spatial_res": 10,
                "crs": "EPSG:3035",
                "tile_size": 100,
            }
        ],
    }
    path = folder / "a_config.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def cube(folder: Path, **params: Any) -> tuple[str, np.ndarray[Any, Any] | None]:
    [result] = build(load_config(config_of(folder, **params)), folder / "catalogs")
    if result.error is not None:
        return str(result.error), None
    with xr.open_zarr(folder / "cubes" / "a.zarr") as ds:
        return "", ds["a"].values


def test_a_cube_is_the_same_as_by_every_header(tmp_path: Path) -> None:
    made(tmp_path / "src")
    message, values = cube(tmp_path)
    assert message == ""
    assert values is not None
    assert values.shape == (19, COUNT * SIDE - 1)
    expected = 1 + (1 + np.arange(COUNT * SIDE - 1)) // SIDE
    np.testing.assert_array_equal(values, np.tile(expected, (19, 1)))


@pytest.mark.parametrize(
    ("stated_otherwise", "header", "said"),
    [
        ({"proj:transform": [RES, 0, LEFT + 3 * 200 + 1e-6, 0, -RES, TOP]}, {}, "proj:transform"),
        ({"proj:shape": [SIDE, SIDE - 1]}, {}, "proj:shape"),
        ({}, {"dtype": "int16"}, r'header states .*"int16"'),
        ({}, {"nodata": 7}, r'header states .*"nodata": 7'),
        ({}, {"nodata": None}, "header states"),
    ],
)
def test_a_file_that_is_not_as_its_item_states_is_refused_until_headers_are_read(
    tmp_path: Path, stated_otherwise: Json, header: Json, said: str
) -> None:
    made(tmp_path / "src", {3: stated_otherwise})
    tile(tmp_path / "src", 3, **header)
    message, _ = cube(tmp_path)
    assert "3.tif: " in message
    assert re.search(said, message)
    assert "set read_headers: true for its store, then harvest" in message


def test_a_time_that_a_header_states_and_its_item_does_not(tmp_path: Path) -> None:
    made(tmp_path / "src")
    with rasterio.open(tmp_path / "src" / "3.tif", "r+") as file:
        file.update_tags(
            NETCDF_DIM_EXTRA="{time}",
            NETCDF_DIM_time_VALUES="5",
            **{"time#units": "days since 2000-01-01"},
        )
    message, _ = cube(tmp_path)
    assert re.search(r'3\.tif: its header states .*"times": \["2000-01-06', message)


def test_numbers_of_an_item_that_exceed_a_float(tmp_path: Path, opened: list[str]) -> None:
    made(tmp_path, {3: {"nodata": 10**400}, 4: {"proj:transform": [10**400, 0, 0, 0, -RES, TOP]}})
    path = next(path for path in tmp_path.rglob("*.json") if '"i5"' in path.read_text())
    document = json.loads(path.read_text())
    for each in document.get("features", [document]):
        each["bbox"] = [10**400] * 4 if each.get("id") == "i5" else each.get("bbox")
    path.write_text(json.dumps(document))
    assert len(described(tmp_path)) == COUNT
    assert sorted(opened) == ["0", "3", "4", "5", "7"]


def test_reading_every_header_builds_what_the_files_are(tmp_path: Path) -> None:
    wrong = {"proj:transform": [RES, 0, LEFT + 3 * 200 + 4, 0, -RES, TOP]}
    made(tmp_path / "src", {3: wrong})
    message, values = cube(tmp_path, read_headers=True)
    assert message == ""
    assert values is not None
    assert np.unique(values).tolist() == [*range(1, COUNT + 1)]


def test_a_size_that_a_header_gave_is_kept() -> None:
    """Cubes that were made when every header was read stay up to date."""
    before = pystac.Asset("https://example.org/a.tif", extra_fields={"file:size": 7})
    for fields, kept in (({HEADER: "{}"}, 7), ({HEADER: "{}", "file:size": 8}, 8), ({}, None)):
        asset = pystac.Asset("https://example.org/a.tif", extra_fields=dict(fields))
        keep_version(asset, before)
        assert asset.extra_fields.get("file:size") == kept


def test_a_harvest_of_rasters_imports_no_zarr_and_knows_a_crs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys, stacbuild.sources.stac.harvest; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"xarray", "pandas", "zarr", "dask"} & set(done.stdout.split())
    identified: list[str] = []
    known = product.identified

    def counting(crs: pyproj.CRS) -> pyproj.CRS:
        identified.append(crs.name)
        return known(crs)

    monkeypatch.setattr(product, "identified", counting)
    product._text.cache_clear()
    made(tmp_path)
    assert len(described(tmp_path)) == COUNT
    assert len(identified) == 1
