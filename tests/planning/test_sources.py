"""Sources that grew or changed since they were harvested, and others that have nothing to do with
them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from rasterio import Affine

import stacbuild
from tests.support.built import SOURCES, variable_of, zarr_store
from tests.support.cli import NORTH, SOUTH, WEST, Json, ages, configuration, geotiff

MIDDLE = WEST + 0.05


def item(folder: Path, name: str, west: float, width: int, value: int) -> None:
    """Add an item of a raster of one value to the catalog in *folder*."""
    raster = geotiff(
        folder / f"{name}.tif", width=width, transform=Affine(0.001, 0, west, 0, -0.001, NORTH)
    )
    with rasterio.open(raster, "r+") as file:
        file.write(np.full((1, 120, width), value, "uint8"))
    east, south = west + width * 0.001, SOUTH - 0.02
    ring = [[west, south], [east, south], [east, NORTH], [west, NORTH], [west, south]]
    (folder / f"{name}.json").write_text(
        json.dumps(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": name,
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "bbox": [west, south, east, NORTH],
                "properties": {"datetime": "2020-06-01T00:00:00Z"},
                "links": [],
                "assets": {"map": {"href": f"./{name}.tif", "type": pystac.MediaType.GEOTIFF}},
            }
        )
    )
    list_items(folder)


def list_items(folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.json") if path.stem != "collection")
    links = [{"rel": "item", "href": f"./{name}"} for name in names]
    content = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": "tiles",
        "description": "Tiles.",
        "license": "CC-BY-4.0",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2018-01-01T00:00:00Z", None]]},
        },
        "links": links,
    }
    (folder / "collection.json").write_text(json.dumps(content))


def project(directory: Path, data_id: str = "tiles") -> Path:
    item(directory / "theirs", "west", WEST, 50, 3)
    store = {
        "identifier": "theirs",
        "store_id": "stac",
        "store_params": {"root": "theirs/collection.json"},
    }
    datasets = [
        {"identifier": "all", "store": "theirs", "data_id": data_id},
        {"identifier": "west", "store": "theirs", "data_id": "tiles/west"},
    ]
    return configuration(directory, datasets, [store])


def planned(path: Path) -> dict[str, str]:
    return {each.name: each.reason or each.action for each in stacbuild.plan(path)}


def built(path: Path) -> dict[str, str]:
    return {each.name: each.status for each in stacbuild.build(path)}


def values(directory: Path, name: str) -> set[int]:
    with xr.open_zarr(directory / "data" / f"{name}.zarr", mask_and_scale=False) as cube:
        [array] = cube.data_vars.values()
        return {int(each) for each in np.unique(array)}


def add(folder: Path) -> None:
    item(folder, "east", MIDDLE, 100, 7)


@pytest.mark.parametrize("query", ["", "?datetime=2020", "?bbox=9,44,11,46"])
def test_an_item_that_a_local_catalog_got(tmp_path: Path, query: str) -> None:
    path = project(tmp_path, f"tiles{query}")
    assert set(built(path).values()) == {"COMPLETED"}
    assert set(planned(path).values()) == {"up to date"}
    add(tmp_path / "theirs")
    found = planned(path)
    assert "its catalog has 2 items for it now, 1 when it was harvested" in found["all"]
    assert found["west"] == "up to date"
    assert built(path) == {"all": "COMPLETED", "west": "UP TO DATE"}
    assert values(tmp_path, "all") == {3, 7}
    assert set(planned(path).values()) == {"up to date"}


def test_an_item_that_does_not_fit_the_query_is_no_change(tmp_path: Path) -> None:
    path = project(tmp_path, "tiles?datetime=2020")
    built(path)
    add(tmp_path / "theirs")
    other = tmp_path / "theirs" / "east.json"
    other.write_text(other.read_text().replace("2020-06-01", "2011-06-01"))
    assert set(planned(path).values()) == {"up to date"}


def test_an_item_that_a_local_catalog_lost(tmp_path: Path) -> None:
    path = project(tmp_path)
    add(tmp_path / "theirs")
    built(path)
    (tmp_path / "theirs" / "east.json").unlink()
    list_items(tmp_path / "theirs")
    found = planned(path)
    assert "its catalog has 1 items for it now, 2 when it was harvested" in found["all"]
    assert built(path) == {"all": "COMPLETED", "west": "UP TO DATE"}
    assert values(tmp_path, "all") == {3, 255}


def replace_asset(folder: Path) -> None:
    shutil.copy(folder / "west.tif", folder / "new.tif")
    with rasterio.open(folder / "new.tif", "r+") as file:
        file.write(np.full((1, 120, 50), 9, "uint8"))
    text = (folder / "west.json").read_text().replace("./west.tif", "./new.tif")
    (folder / "west.json").write_text(text)


def write_to_asset(folder: Path) -> None:
    with rasterio.open(folder / "west.tif", "r+") as file:
        file.write(np.full((1, 120, 50), 9, "uint8"))


@pytest.mark.parametrize("change", [replace_asset, write_to_asset], ids=lambda each: each.__name__)
def test_an_item_whose_asset_is_another_now(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = project(tmp_path)
    add(tmp_path / "theirs")
    built(path)
    change(tmp_path / "theirs")
    assert "changed since" in planned(path)["all"] or "written to" in planned(path)["all"]
    assert built(path) == {"all": "COMPLETED", "west": "COMPLETED"}
    assert values(tmp_path, "all") == {9, 7}


def test_a_catalog_that_is_gone_leaves_what_was_made_of_it(tmp_path: Path) -> None:
    path = project(tmp_path)
    built(path)
    (tmp_path / "theirs").rename(tmp_path / "away")
    assert set(planned(path).values()) == {"up to date"}


# --- stores that hold what has nothing to do with each other --------------------------------------


def folder_of_two(directory: Path) -> tuple[Path, Path]:
    """Two configurations of one folder, each of a dataset with a title and licence of its own."""
    for name, license_ in (("a", "CC BY 4.0"), ("b", "CC BY-SA 3.0")):
        path = directory / "src" / f"{name}.zarr"
        days = ["2020-01-01", "2020-01-02"]
        zarr_store(path, days, band_data=np.full((2, 120, 120), 5, "uint8"))
        facts = {"title": f"The {name}", "license": license_, "institution": f"Institute {name}"}
        (path / ".zattrs").write_text(json.dumps(facts))
        content = json.loads((path / ".zmetadata").read_text())
        content["metadata"][".zattrs"] = facts
        (path / ".zmetadata").write_text(json.dumps(content))
    paths = []
    for name in "ab":
        dataset: Json = {"identifier": name, "store": "files", "data_id": f"{name}.zarr"}
        made = configuration(directory, [dataset], [SOURCES])
        paths.append(made.rename(made.with_name(f"{name}_config.yml")))
    return paths[0], paths[1]


def test_what_else_is_harvested_from_a_folder_makes_no_cube_stale(tmp_path: Path) -> None:
    first, second = folder_of_two(tmp_path)
    assert built(first) == {"a": "COMPLETED"}
    assert built(second) == {"b": "COMPLETED"}
    assert (planned(first), planned(second)) == ({"a": "up to date"}, {"b": "up to date"})
    stacbuild.harvest(first)
    assert (planned(first), planned(second)) == ({"a": "up to date"}, {"b": "up to date"})


def test_each_cube_states_whose_data_it_is_made_of(tmp_path: Path) -> None:
    first, second = folder_of_two(tmp_path)
    built(first)
    built(second)
    for path, name, license_ in ((first, "a", "CC-BY-4.0"), (second, "b", "CC-BY-SA-3.0")):
        with stacbuild.open_cube(path, name) as cube:
            assert cube.attrs["source"] == f"The {name}"
            assert cube.attrs["license"] == f"The {name}: {license_}"
        content = json.loads((tmp_path / "catalogs" / name / name / f"{name}.json").read_text())
        assert content["properties"]["license"] == license_
        providers = {each["name"] for each in content["properties"]["providers"]}
        assert providers == {f"Institute {name}", "stacbuild"}


@pytest.mark.parametrize("grows", ["time", "variable"])
def test_a_store_in_a_folder_that_grew(tmp_path: Path, grows: str) -> None:
    first, _ = folder_of_two(tmp_path)
    assert built(first) == {"a": "COMPLETED"}
    path = tmp_path / "src" / "a.zarr"
    more = xr.open_zarr(path, mask_and_scale=False).load()
    for array in more.variables.values():
        array.attrs.pop("_FillValue", None)
    if grows == "time":
        day = more.isel(time=[-1]).assign_coords(time=[np.datetime64("2020-01-03", "ns")])
        day.drop_encoding().to_zarr(path, append_dim="time", zarr_format=2)
    else:
        other = variable_of(more).rename("other").drop_encoding().to_dataset()
        other.to_zarr(path, mode="a", zarr_format=2, consolidated=True)
    assert "written to since it was harvested" in planned(first)["a"]
    assert built(first) == {"a": "COMPLETED"}
    with stacbuild.open_cube(first, "a") as cube:
        assert cube.sizes["time"] == (3 if grows == "time" else 2)
        assert ("other" in cube) == (grows == "variable")


SMALLER = {
    "rows": lambda ds: ds.isel(lat=slice(0, 100)),
    "values": lambda ds: ds.assign(age=ds.age.where(ds.lat > (SOUTH + NORTH) / 2)),
    "name": lambda ds: ds.rename(age="years"),
}


@pytest.mark.parametrize("way", SMALLER)
def test_a_store_in_a_folder_that_was_written_anew_with_fewer_chunks(
    tmp_path: Path, way: str
) -> None:
    path = ages(tmp_path / "src" / "a.zarr")
    folder = {"identifier": "mine", "store_id": "file", "store_params": {"root": "src"}}
    config = configuration(
        tmp_path, [{"identifier": "a", "store": "mine", "data_id": "a.zarr"}], [folder]
    )
    assert built(config) == {"a": "COMPLETED"}
    with xr.open_zarr(path, consolidated=False) as opened:
        smaller = SMALLER[way](opened.load()).drop_encoding()
    shutil.rmtree(path)
    encoding = {name: {"chunks": (50, 50)} for name in smaller.data_vars}
    smaller.to_zarr(path, encoding=encoding, zarr_format=3, consolidated=False)
    assert planned(config)["a"] == "source a.zarr: written to since it was harvested"
    assert built(config) == {"a": "COMPLETED"}
    with stacbuild.open_cube(config, "a") as cube:
        found = int(cube["years" if way == "name" else "age"].count())
        assert (found == 100 * 100) == (way == "name")
