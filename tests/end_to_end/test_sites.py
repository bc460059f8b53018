"""Cubes of many sites from one template, through a STAC API: built several at a time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from stacbuild import build, harvest, load_config, plan
from stacbuild.building.several import MOST
from stacbuild.geo.utm import utm_crs
from tests.support.cli import errors, stacbuild
from tests.support.scenes.pixels import Scene, classes, digital
from tests.support.scenes.providers import EarthSearch
from tests.support.sites import FLUX_TOWERS, site_rows, write_sites

SIDE = 60


@pytest.fixture
def api(tmp_path: Path) -> Iterator[EarthSearch]:
    with EarthSearch(tmp_path / "api") as running:
        yield running


def publish(api: EarthSearch, table: str, days: Sequence[int]) -> dict[str, list[Scene]]:
    """Publish scenes of 600 m around each site, one for each day; return them by site."""
    found: dict[str, list[Scene]] = {}
    for number, (name, lon, lat) in enumerate(site_rows(table)):
        epsg = int(utm_crs(lon, lat).removeprefix("EPSG:"))
        x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
        left, top = round(x, -1) - 300, round(y, -1) + 300
        for day in days:
            when = dt.datetime(2020, 1, 1, 10, tzinfo=dt.UTC) + dt.timedelta(days=day)
            seed = 100 * number + day
            scene = Scene(
                f"{name}_{day}",
                {"red": digital(seed, (SIDE, SIDE)), "scl": classes(seed, (SIDE // 2, SIDE // 2))},
                when=f"{when:%Y-%m-%dT%H:%M:%SZ}",
                epsg=epsg,
                left=left,
                top=top,
            )
            api.add(scene)
            found.setdefault(name, []).append(scene)
    return found


def template(api: EarthSearch, **changes: Any) -> dict[str, Any]:
    params = {
        "time_range": ["2020-01-01", "2020-03-30"],
        "asset_names": ["red", "scl"],
        "point": ["{longitude}", "{latitude}"],
        "bbox_width": 400,
        "spatial_res": 10,
        "apply_scaling": False,
    }
    dataset = {
        "for_each": "sites.csv",
        "identifier": "{Site ID}/sen2",
        "store": "api",
        "data_id": "sentinel-2-l2a",
        "open_params": params | changes,
    }
    storage = {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}}
    source = {"identifier": "api", "store_id": "stac", "store_params": {"url": api.root}}
    return {"datasets": [dataset], "data_stores": [storage, source]}


def check_pixels(directory: Path, name: str, scenes: Sequence[Scene]) -> None:
    """Check that a cube has the pixels of its scenes, as they are."""
    with xr.open_zarr(directory / "data" / name / "sen2.zarr", mask_and_scale=False) as cube:
        assert cube["red"].shape == (len(scenes), 40, 40)
        left = round((cube["x"].values[0] - 5 - scenes[0].left) / 10)
        up = round((scenes[0].top - cube["y"].values[0] - 5) / 10)
        window = slice(up, up + 40), slice(left, left + 40)
        for index, scene in enumerate(scenes):
            np.testing.assert_array_equal(cube["red"][index], scene.values["red"][window])


def test_each_site_is_a_cube_of_its_own_and_a_failing_one_stops_no_other(
    tmp_path: Path, api: EarthSearch
) -> None:
    table = "\n".join(FLUX_TOWERS.splitlines()[:5])
    scenes = publish(api, table, [0, 5])
    path = write_sites(tmp_path, template(api), table)
    broken = next((tmp_path / "api").glob("**/BE-Lon_5/B04.tif"))
    content = broken.read_bytes()
    broken.unlink()

    done = stacbuild("cube", path, code=3)

    assert len(done.stdout.splitlines()) == 3
    assert "BE-Lon/sen2" in done.stderr
    assert len(errors(done)) == 1
    assert "BE-Lon_5" in errors(done)[0]
    # A search of each site, with the page that has no more.
    assert len({json.dumps(asked["bbox"]) for asked in api.searches}) == 4
    for name, _, _ in site_rows(table):
        if name != "BE-Lon":
            check_pixels(tmp_path, name, scenes[name])
    assert "cubes: begins" in done.stderr

    broken.write_bytes(content)
    config = load_config(path)
    searched = len(api.searches)
    results = build(config)
    assert [result.name for result in results] == [each.identifier for each in config.datasets]
    assert [result.status for result in results] == [
        "UP TO DATE",
        "UP TO DATE",
        "COMPLETED",
        "UP TO DATE",
    ]
    check_pixels(tmp_path, "BE-Lon", scenes["BE-Lon"])
    assert {json.dumps(asked["bbox"]) for asked in api.searches[searched:]} <= {
        json.dumps(api.searches[searched]["bbox"])
    }


def test_other_rows_leave_a_cube_up_to_date(tmp_path: Path, api: EarthSearch) -> None:
    table = "\n".join(FLUX_TOWERS.splitlines()[:3])
    publish(api, table, [0])
    path = write_sites(tmp_path, template(api), table)
    built = build(load_config(path))
    lines = table.splitlines()
    changed = "\n".join([lines[0], "XX-New,50,10,ENF", lines[2].replace("WSA", "SAV"), lines[1]])
    config = load_config(write_sites(tmp_path, template(api), changed))
    assert {each.name: each.action for each in plan(config)} == {
        "XX-New/sen2": "create",
        "AU-How/sen2": "up to date",
        "AU-Dry/sen2": "up to date",
    }
    assert built[0].item is not None
    item = json.loads(Path(built[0].item).read_text())
    (recorded,) = item["properties"]["processing:expression"]["expression"]["datasets"]
    assert recorded["identifier"] == "AU-Dry/sen2"
    assert recorded["open_params"]["point"] == [132.3706, -15.2588]
    assert "for_each" not in recorded


def test_sites_that_share_scenes_have_items_of_their_own(tmp_path: Path, api: EarthSearch) -> None:
    # As US-UMB and US-UMd, which are in the same tile.
    table = "Site ID,latitude,longitude,IGBP\na,50.5516,4.7462,CRO\nb,50.552,4.747,CRO\n"
    scenes = publish(api, table.rpartition("b,")[0], [0, 5, 10])
    results = build(load_config(write_sites(tmp_path, template(api, bbox_width=300), table)))
    assert [result.status for result in results] == ["COMPLETED"] * 2
    found = list((tmp_path / "catalogs").glob("*sentinel*/*/*.json"))
    assert len({path.stem for path in found}) == len(found) == 6
    for name in "ab":
        with xr.open_zarr(tmp_path / "data" / name / "sen2.zarr") as cube:
            assert cube.sizes["time"] == len(scenes["a"])


def test_a_harvest_searches_once_a_site(tmp_path: Path, api: EarthSearch) -> None:
    publish(api, FLUX_TOWERS, [0])
    config = load_config(write_sites(tmp_path, template(api)))
    (result,) = harvest(config)
    assert result.items == 5
    assert len({json.dumps(asked["bbox"]) for asked in api.searches}) == 5


@pytest.mark.slow
def test_twenty_sites_of_ninety_days(tmp_path: Path, api: EarthSearch) -> None:
    # In all parts of the world; each has a scene every five days.
    rows = [
        f"S{number},{-60 + 6.3 * number:.4f},{-175 + 17.4 * number:.4f},X" for number in range(20)
    ]
    table = "\n".join([FLUX_TOWERS.splitlines()[0], *rows])
    scenes = publish(api, table, range(0, 90, 5))
    results = build(load_config(write_sites(tmp_path, template(api), table)))
    assert [result.status for result in results] == ["COMPLETED"] * 20
    for name, found in scenes.items():
        check_pixels(tmp_path, name, found)
    assert len(results) > MOST
