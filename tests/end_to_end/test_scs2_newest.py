"""The case study's newest configuration: five datasets by the paths of their items' JSON.

A catalog in the layout of EOForestSTAC, served on loopback, and stores as its code writes them:
Zarr v2, consolidated, the CRS in ``spatial_ref`` and as a text of the group. Every pixel of a part
of the grid is compared with its centre taken through PROJ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import xarray as xr
import yaml
from numpy.typing import NDArray

from stacbuild.building import build
from stacbuild.config import load_config
from tests.standins.truth import noise
from tests.support.stac_documents import Json, Told, Web, link, root

Array = NDArray[Any]

# Of the configuration; neither its corner nor its size is a multiple of 30.
LANDES = (3401404, 2346797, 3556068, 2539337)
CORNER = (3401404, 2536337, 3404404, 2539337)
SIZE = 100

# Name of the item: theme, collection, CRS, west, north, pixel, rows and columns of the store.
DEGREES = (4326, -1.9, 45.6, 1 / 1125, 500)
SOURCES: dict[str, tuple[str, str, tuple[int, float, float, float, int]]] = {
    "GAMI_v3.1": ("structure-demography", "GAMI", DEGREES),
    "FORESTPATHS_GENUS_v0.0.1": (
        "structure-demography",
        "FORESTPATHS_GENUS",
        (3035, 3400000, 2541000, 10, 600),
    ),
    "LIU_BIOMASS_v0.1": ("biomass-carbon", "LIU_BIOMASS", (3035, 3399990, 2541000, 30, 300)),
    "EFDA_v2.1.1": ("disturbance-change", "EFDA", (3035, 3399990, 2541000, 30, 300)),
    "CCI_BIOMASS_v6.0": ("biomass-carbon", "CCI_BIOMASS", DEGREES),
}
PATHS = {name: f"{theme}/{what}/{name}/{name}" for name, (theme, what, _) in SOURCES.items()}

FUNCTIONS = """
def members_first(ds):
    return ds.transpose("members", "time", "latitude", "longitude")

def since_2000(ds):
    return ds.sel(time=slice("2000", None))
"""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web(tmp_path / "web") as server:
        yield server


def pixels(seed: int, grid: tuple[int, float, float, float, int], *axes: int) -> Array:
    """Return noise of shape (*axes, rows, columns)."""
    size = grid[4]
    indices = np.indices((*axes, size, size), sparse=True)
    return noise(seed, *indices).astype("int64")


def write(
    path: Path, grid: tuple[int, float, float, float, int], arrays: Json, **more: Any
) -> None:
    """Write a store; *arrays* are dimensions, values and attributes by name."""
    epsg, west, north, step, size = grid
    y, x = ("latitude", "longitude") if epsg == 4326 else ("y", "x")
    centres = (np.arange(size) + 0.5) * step
    ds = xr.Dataset(
        arrays,
        {y: north - centres, x: west + centres, **more.pop("coords", {})},
        {"spatial_ref": f"EPSG:{epsg}"},
    )
    for name in arrays:
        ds[name].attrs["grid_mapping"] = "spatial_ref"
        if "append_dim" in more:
            del ds[name].attrs["_FillValue"]
    ds["spatial_ref"] = ((), 0, pyproj.CRS(epsg).to_cf())
    # As they are: xarray would take the attribute for what is to be masked.
    ds.to_zarr(path, zarr_format=2, consolidated=True, **more)


def put_stores(folder: Path) -> dict[str, Array]:
    """Write the five stores; return what their variables hold, spatial dimensions last."""
    truth: dict[str, Array] = {}

    age = pixels(1, DEGREES, 3, 2) % 300
    truth["forest_age"] = np.where(age < 20, -9999, age).astype("int16")
    last = np.moveaxis(truth["forest_age"], 1, -1)
    years = np.array(["2010-01-01", "2020-01-01"], "datetime64[ns]")
    dims = ("members", "latitude", "longitude", "time")
    coords = {"members": np.arange(3), "time": years}
    attrs = {"_FillValue": -9999, "units": "years"}
    write(folder / "GAMI_v3.1.zarr", DEGREES, {"forest_age": (dims, last, attrs)}, coords=coords)

    grid = SOURCES["FORESTPATHS_GENUS_v0.0.1"][2]
    genus = pixels(2, grid) % 8
    truth["genus"] = np.where(genus == 7, 255, genus).astype("uint8")
    attrs = {"_FillValue": 255}
    write(
        folder / "FORESTPATHS_GENUS_v0.0.1.zarr",
        grid,
        {"genus": (("y", "x"), truth["genus"], attrs)},
    )

    grid = SOURCES["LIU_BIOMASS_v0.1"][2]
    cover = pixels(3, grid) % 102
    truth["canopy_cover"] = np.where(cover == 101, 255, cover).astype("uint8")
    truth["canopy_height"] = (pixels(4, grid) % 4000 / 100).astype("float32")
    liu = {
        "canopy_cover": (("y", "x"), truth["canopy_cover"], {"_FillValue": 255}),
        "canopy_height": (("y", "x"), truth["canopy_height"], {"_FillValue": np.nan}),
    }
    scalar = {"time": np.datetime64("2019-01-01", "ns")}
    write(folder / "LIU_BIOMASS_v0.1.zarr", grid, liu, coords=scalar)

    grid = SOURCES["EFDA_v2.1.1"][2]
    agent = pixels(5, grid, 3) % 5
    truth["disturbance_agent"] = np.where(agent == 4, -9999, agent).astype("int16")
    attrs = {"_FillValue": -9999, "flag_values": [1, 2, 3], "flag_meanings": "wind fire harvest"}
    for index, year in enumerate(("1999", "2000", "2001")):
        one = truth["disturbance_agent"][index : index + 1]
        coords = {"time": np.array([f"{year}-01-01"], "datetime64[ns]")}
        place = {"append_dim": "time"} if index else {}
        arrays = {"disturbance_agent": (("time", "y", "x"), one, attrs)}
        write(folder / "EFDA_v2.1.1.zarr", grid, arrays, coords=coords, **place)

    agb = pixels(6, DEGREES, 2) % 400
    truth["aboveground_biomass"] = np.where(agb == 399, -9999, agb).astype("int32")
    years = np.array(["2021-01-01", "2022-01-01"], "datetime64[ns]")
    values = (
        ("time", "latitude", "longitude"),
        truth["aboveground_biomass"],
        {"_FillValue": -9999},
    )
    arrays = {"aboveground_biomass": values}
    write(folder / "CCI_BIOMASS_v6.0.zarr", DEGREES, arrays, coords={"time": years})
    return truth


BANDS: dict[str, list[Json]] = {
    "GAMI_v3.1": [{"name": "forest_age", "unit": "years", "nodata": -9999}],
    # The store is uint8, whatever its item states, and of LIU only the store knows what is no data.
    "FORESTPATHS_GENUS_v0.0.1": [{"name": "genus", "data_type": "uint16", "nodata": 255}],
    "LIU_BIOMASS_v0.1": [
        {"name": "canopy_cover", "unit": "percent", "nodata": 0},
        {"name": "canopy_height", "unit": "m", "nodata": 0},
    ],
    "EFDA_v2.1.1": [{"name": "disturbance_agent", "unit": "categorical", "nodata": -9999}],
    "CCI_BIOMASS_v6.0": [{"name": "aboveground_biomass", "unit": "Mg ha-1", "nodata": -9999}],
}
GENERA = ["Larix", "Picea", "Pinus", "Fagus", "Quercus", "Other needleleaf", "Other broadleaf"]
WRONG = "https://stac-extensions.github.io/proj/v1.1.0/schema.json"


def put_catalog(web: Web) -> None:
    """Publish a catalog of themes, collections and items, each in a folder of its own."""
    themes: dict[str, list[str]] = {}
    for name, (theme, what, grid) in SOURCES.items():
        if f"./{what}/collection.json" not in themes.setdefault(theme, []):
            themes[theme].append(f"./{what}/collection.json")
        base = f"public/{theme}/{what}"
        summaries: Json = {"proj:epsg": [grid[0]]}
        if what == "FORESTPATHS_GENUS":
            summaries["classes"] = [{"value": n, "name": each} for n, each in enumerate(GENERA)]
        common = {"stac_version": "1.1.0", "stac_extensions": [WRONG]}
        web.documents[f"{base}/collection.json"] = common | {
            "type": "Collection",
            "id": what,
            "title": what.title(),
            "description": "One product.",
            "license": "various",
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["1985-01-01T00:00:00Z", None]]},
            },
            "summaries": summaries,
            "links": [link("item", f"./{name}/{name}.json"), link("parent", "../catalog.json")],
        }
        web.documents[f"{base}/{name}/{name}.json"] = common | {
            "type": "Feature",
            "id": name,
            "geometry": None,
            "properties": {
                "datetime": "2020-12-31T00:00:00Z",
                "start_datetime": "1985-01-01T00:00:00+00:00",
                "end_datetime": "2020-12-31T00:00:00+00:00",
            },
            "links": [
                link("root", "../../../catalog.json"),
                link("collection", "../collection.json"),
                link("self", f"https://example.org/{base}/{name}/{name}.json"),
            ],
            "assets": {
                "zarr": {
                    "href": f"{web.url}/stores/{name}.zarr",
                    "type": "application/vnd.zarr",
                    "roles": ["data"],
                    "raster:bands": BANDS[name],
                }
            },
            "collection": what,
        }
    web.documents["public/catalog.json"] = root(*(f"./{theme}/catalog.json" for theme in themes))
    for theme, hrefs in themes.items():
        web.documents[f"public/{theme}/catalog.json"] = root(*hrefs) | {"id": theme}


def configuration(folder: Path, url: str) -> Path:
    datasets: list[Json] = [
        {"identifier": name, "store": "forest", "data_id": data_id, "grid_mapping": "landes"}
        for name, data_id in {
            "gami": PATHS["GAMI_v3.1"] + ".json",
            "forestpaths_genus": PATHS["FORESTPATHS_GENUS_v0.0.1"] + ".json",
            "liu": PATHS["LIU_BIOMASS_v0.1"] + ".json",
            "efda": PATHS["EFDA_v2.1.1"] + ".json",
            "esa_cci_biomass": PATHS["CCI_BIOMASS_v6.0"],
        }.items()
    ]
    custom = {"gami": "members_first", "efda": "since_2000"}
    for dataset in datasets:
        if function := custom.get(dataset["identifier"]):
            dataset["custom_processing"] = {"module_path": "own", "function_name": function}
    content = {
        "datasets": datasets,
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "forest", "store_id": "stac", "store_params": {"url": url}},
        ],
        "grid_mappings": [
            {"identifier": "landes", "bbox": list(LANDES), "spatial_res": 30, "crs": "EPSG:3035",
             "tile_size": 2048},
        ],
    }  # fmt: skip
    (folder / "own.py").write_text(FUNCTIONS)
    path = folder / "newest_config.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def centres(cube: xr.Dataset, grid: tuple[int, float, float, float, int]) -> tuple[Array, Array]:
    """Return the position of every pixel of a cube in a store, in pixels, through PROJ."""
    epsg, west, north, step, _ = grid
    x, y = np.meshgrid(cube["x"].values, cube["y"].values)
    if epsg != 3035:
        x, y = pyproj.Transformer.from_crs(3035, epsg, always_xy=True).transform(x, y)
    return (north - y) / step, (x - west) / step


def nearest(values: Array, row: Array, column: Array) -> Array:
    return np.asarray(values[..., np.floor(row).astype(int), np.floor(column).astype(int)])


def bilinear(values: Array, row: Array, column: Array) -> Array:
    """Interpolate between the four centres around each position."""
    r, c = row - 0.5, column - 0.5
    top, left = np.floor(r).astype(int), np.floor(c).astype(int)
    v, u = r - top, c - left
    block = values.astype("float64")
    upper = block[top, left] * (1 - u) + block[top, left + 1] * u
    lower = block[top + 1, left] * (1 - u) + block[top + 1, left + 1] * u
    return np.asarray(upper * (1 - v) + lower * v)


def test_the_five_datasets_build_and_every_pixel_is_right(web: Web, tmp_path: Path) -> None:
    truth = put_stores(web.root / "stores")
    put_catalog(web)
    path = configuration(tmp_path, f"{web.url}/public/catalog.json")
    told = Told()
    results = build(load_config(path), tmp_path / "catalogs", bbox=CORNER, reporter=told)
    assert [(each.name, each.status) for each in results] == [
        (name, "COMPLETED")
        for name in ("gami", "forestpaths_genus", "liu", "efda", "esa_cci_biomass")
    ], [each.message for each in results]

    cubes = {
        each.name: xr.open_zarr(tmp_path / "data" / f"{each.name}.zarr", mask_and_scale=False)
        for each in results
    }
    for name, variable, item in (
        ("gami", "forest_age", "GAMI_v3.1"),
        ("forestpaths_genus", "genus", "FORESTPATHS_GENUS_v0.0.1"),
        ("liu", "canopy_cover", "LIU_BIOMASS_v0.1"),
        ("efda", "disturbance_agent", "EFDA_v2.1.1"),
        ("esa_cci_biomass", "aboveground_biomass", "CCI_BIOMASS_v6.0"),
    ):
        cube = cubes[name].load()
        expected = nearest(truth[variable], *centres(cube, SOURCES[item][2]))
        expected = expected[1:] if name == "efda" else expected
        assert cube[variable].shape[-2:] == (SIZE, SIZE)
        assert cube[variable].dtype == truth[variable].dtype
        np.testing.assert_array_equal(cube[variable].values, expected, name)
        assert cube[variable].attrs["_FillValue"] in (-9999, 255)
        assert (expected == cube[variable].attrs["_FillValue"]).any()
    liu = cubes["liu"]
    expected = bilinear(truth["canopy_height"], *centres(liu, SOURCES["LIU_BIOMASS_v0.1"][2]))
    np.testing.assert_allclose(liu["canopy_height"].values, expected, rtol=0, atol=1e-3)

    assert cubes["gami"]["forest_age"].dims == ("members", "time", "y", "x")
    assert cubes["efda"]["time"].dt.year.values.tolist() == [2000, 2001]
    assert cubes["efda"]["disturbance_agent"].attrs["flag_meanings"] == "wind fire harvest"
    genus = cubes["forestpaths_genus"]["genus"].attrs["flag_meanings"].split()
    assert genus == [each.replace(" ", "_") for each in GENERA]
    assert liu["canopy_cover"].attrs["units"] == "percent"
    assert cubes["esa_cci_biomass"]["aboveground_biomass"].attrs["units"] == "Mg ha-1"
    # What an item says otherwise than its store is told of, and nothing else.
    said = "LIU_BIOMASS_v0.1: {}: its item states no data 0, but the file {}, which is used"
    assert sorted(told.warnings) == [
        said.format("canopy_cover", 255),
        said.format("canopy_height", "nan"),
    ]
    collections = json.loads((tmp_path / "catalogs" / "catalog.json").read_text())["links"]
    assert len([each for each in collections if each["rel"] == "child"]) == len(SOURCES) + 1
