"""The main job through the command line: harvest, cube, and what stands there afterwards."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pystac
import pytest
import xarray as xr

from tests.standins.demo import Endpoints, Servers, demo_config
from tests.standins.truth import LAYERS, layers
from tests.support.cli import stacbuild
from tests.support.reference import compare
from tests.support.stac_schemas import stac_problems

BOX = "-0.70,44.10,-0.58,44.20"
CUBES = ("senf", "gami", "liu", "clms")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _running: Servers) -> Path:
    """The folder of a configuration whose harvest and cubes are done."""
    _running.reset()
    directory = tmp_path_factory.mktemp("scs2")
    config = demo_config(directory, _running.endpoints)
    stacbuild("harvest", config)
    stacbuild("cube", config, "--bbox", BOX)
    return directory


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.variable)
def test_every_pixel_is_what_it_has_to_be(built: Path, layer) -> None:
    found = compare(built / "data" / f"{layer.source}.zarr", layer.variable)
    assert found.pixels > 0
    assert found.unexplained == 0, found
    if found.method == "nearest":
        assert found.share > 0.99999


@pytest.mark.parametrize("cube", CUBES)
def test_a_cube_opens_without_a_warning(built: Path, cube: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(built / "data" / f"{cube}.zarr") as dataset:
            assert dict(dataset.sizes) | {"lat": 400, "lon": 480} == dict(dataset.sizes)
            assert set(dataset.data_vars) == {layer.variable for layer in layers(cube)}
            assert dataset.attrs["Conventions"].startswith("CF-1.")
            assert dataset.attrs["license"]
            assert "stacbuild" in dataset.attrs["history"]
            assert "EPSG" in dataset["spatial_ref"].attrs["crs_wkt"]


def test_types_and_nodata_stay(built: Path) -> None:
    for layer in LAYERS:
        with xr.open_zarr(built / "data" / f"{layer.source}.zarr", mask_and_scale=False) as dataset:
            assert dataset[layer.variable].dtype == layer.dtype, layer.variable
    with xr.open_zarr(built / "data" / "clms.zarr") as dataset:
        for variable in dataset.data_vars:
            assert float(dataset[variable].max()) <= 100, "254 and 255 are no data"


def test_annual_layers_have_a_time_axis_of_year_starts(built: Path) -> None:
    with xr.open_zarr(built / "data" / "senf.zarr") as dataset:
        years = [f"{year}-01-01" for year in range(1985, 2024)]
        np.testing.assert_array_equal(dataset["time"].values, np.array(years, "datetime64[ns]"))
        assert dataset["annual_disturbances"].dims == ("time", "lat", "lon")
        assert dataset["forest_mask"].dims == ("lat", "lon")
        assert dataset["annual_disturbances"].encoding["chunks"] == (1, 400, 480)
        agent = dataset["disturbance_agent"].attrs
        assert agent["flag_meanings"].split() == ["wind_or_bark_beetle", "fire", "harvest"]
        assert list(agent["flag_values"]) == [1, 2, 3]


def test_gami_keeps_members_and_time(built: Path) -> None:
    with xr.open_zarr(built / "data" / "gami.zarr") as dataset:
        age = dataset["forest_age"]
        assert age.dims == ("members", "time", "lat", "lon")
        assert age.encoding["chunks"] == (1, 1, 400, 480)
        assert set(dataset.coords) == {"members", "time", "lat", "lon", "spatial_ref"}
        assert age.attrs["units"]
        assert float(age.min()) >= 1


def test_pixels_are_those_of_the_whole_grid(built: Path) -> None:
    with xr.open_zarr(built / "data" / "liu.zarr") as dataset:
        lat, lon = dataset["lat"].values, dataset["lon"].values
    # Centres of the grid that starts at -1.25, 44.8: the offsets are whole pixels.
    for start, values, sign in ((44.8, lat, -1), (-1.25, lon, 1)):
        offset = (values - start) / (sign * 0.00025) - 0.5
        np.testing.assert_allclose(offset, np.rint(offset), atol=1e-6)
    assert (np.diff(lat) < 0).all()
    assert (np.diff(lon) > 0).all()


def test_the_catalog_reaches_sources_and_cubes(built: Path) -> None:
    catalog = pystac.Catalog.from_file(str(built / "catalogs" / "catalog.json"))
    collections = {child.id for child in catalog.get_children()}
    assert {"scs2", "zenodo-13333034", "zenodo-8154445", "tree-cover-density-2015"} <= collections
    cubes = {item.id: item for item in catalog.get_child("scs2").get_items()}
    assert set(cubes) == set(CUBES)
    sources = [
        link.get_absolute_href() for link in cubes["senf"].links if link.rel == "derived_from"
    ]
    assert len(sources) == 9
    assert all(Path(href).exists() for href in sources)
    properties = cubes["senf"].properties
    assert "stacbuild" in properties["processing:software"]
    assert properties["processing:expression"]["expression"]["datasets"]
    assert properties["cube:dimensions"]["lat"]["type"] == "spatial"


def test_the_catalog_passes_the_official_schemas(built: Path) -> None:
    assert stac_problems(built / "catalogs" / "catalog.json") == []


def test_nothing_of_this_machine_and_no_secret_is_in_the_catalog(built: Path) -> None:
    for path in (built / "catalogs").rglob("*.json"):
        text = path.read_text()
        assert str(built) not in text, path
        assert "PRIVATE KEY" not in text, path


def test_a_second_harvest_changes_no_byte(built: Path) -> None:
    def state() -> dict[Path, tuple[int, bytes]]:
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for path in (built / "catalogs").rglob("*.json")
        }

    before = state()
    stacbuild("harvest", built / "scs2_config.yml")
    assert state() == before


def test_cube_harvests_what_is_missing_and_says_so(tmp_path: Path, endpoints: Endpoints) -> None:
    config = demo_config(tmp_path, endpoints, datasets=("liu",))
    done = stacbuild("cube", config, "liu", "--bbox", BOX)
    assert "harvesting planet_agb_30m_v0.1.tif" in " ".join(done.stderr.split())
    assert str(tmp_path / "data" / "liu.zarr") in done.stdout
    assert compare(tmp_path / "data" / "liu.zarr", "canopy_cover").unexplained == 0


def test_one_cube_that_fails_does_not_stop_the_others(tmp_path: Path, endpoints: Endpoints) -> None:
    config = demo_config(tmp_path, endpoints, datasets=("liu", "gami"))
    text = config.read_text().replace("planet_agb_30m_v0.1.tif", "planet_abg_30m_v0.1.tif")
    config.write_text(text)
    done = stacbuild("cube", config, "--bbox", BOX, code=3)
    assert "planet_abg_30m_v0.1.tif" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "data" / "gami.zarr").is_dir()
    assert not list((tmp_path / "data").glob("*liu*zarr"))
    items = json.loads((tmp_path / "catalogs" / "scs2" / "collection.json").read_text())["links"]
    assert [link["href"] for link in items if link["rel"] == "item"] == ["./gami/gami.json"]


def test_a_box_outside_the_data_is_said_with_both_boxes(
    tmp_path: Path, endpoints: Endpoints
) -> None:
    config = demo_config(tmp_path, endpoints, datasets=("clms",), bbox=(100.0, 10.0, 100.1, 10.1))
    done = stacbuild("cube", config, code=1)
    message = " ".join(done.stderr.split())
    assert "[100.0, 10.0, 100.1, 10.1]" in message
    assert "lies outside the data, which covers" in message
    assert not list((tmp_path / "data").glob("*.zarr"))


def test_a_missing_file_is_an_error_and_never_nodata(tmp_path: Path, endpoints: Endpoints) -> None:
    config = demo_config(tmp_path, endpoints, datasets=("clms",))
    stacbuild("harvest", config)
    tiles = sorted((tmp_path / "clms_cache").rglob("*.tif"))
    for tile in tiles:
        tile.write_bytes(tile.read_bytes()[: tile.stat().st_size // 2])
    done = stacbuild("cube", config, "--bbox", BOX, code=4)
    assert ".tif" in done.stderr
    assert not (tmp_path / "data" / "clms.zarr").exists()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_both_zarr_formats_hold_the_same(
    tmp_path: Path, endpoints: Endpoints, zarr_format: int
) -> None:
    config = demo_config(tmp_path, endpoints, datasets=("gami",))
    config.write_text(config.read_text() + f"\ngeneral:\n  zarr_format: {zarr_format}\n")
    stacbuild("cube", config, "--bbox", BOX)
    marker = ".zgroup" if zarr_format == 2 else "zarr.json"
    assert (tmp_path / "data" / "gami.zarr" / marker).exists()
    assert compare(tmp_path / "data" / "gami.zarr", "forest_age").unexplained == 0
