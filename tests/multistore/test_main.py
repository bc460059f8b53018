"""The notebook's interface, outside of a notebook."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import stacbuild
from stacbuild import MultiSourceDataStore
from stacbuild.errors import ConfigError, Failures, MissingError
from stacbuild.multistore.geolocations import Drawing, boxes
from stacbuild.multistore.tables import Table

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """Two cubes of Zarr stores in a folder; the second is not there."""
    age = xr.DataArray(
        np.arange(100, dtype="int16").reshape(10, 10),
        dims=("lat", "lon"),
        coords={"lat": 44.95 - 0.1 * np.arange(10), "lon": 0.05 + 0.1 * np.arange(10)},
        attrs={"units": "years", "_FillValue": np.int16(0)},
    )
    age.to_dataset(name="age").to_zarr(tmp_path / "in" / "age.zarr", zarr_format=2)
    dataset = {"grid_mapping": "g", "store": "here"}
    return {
        "datasets": [
            {"identifier": "good", "data_id": "age.zarr", **dataset},
            {"identifier": "bad", "data_id": "gone.zarr", **dataset},
        ],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "here", "store_id": "file", "store_params": {"root": "in"}},
            {
                "identifier": "land",
                "store_id": "clms",
                "store_params": {"credentials": {"private_key": "very-hidden-value"}},
            },
        ],
        "grid_mappings": [
            {"identifier": "g", "crs": "EPSG:4326", "spatial_res": 0.1, "bbox": [0, 44, 1, 45]}
        ],
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_builds_what_it_can_lists_what_failed_and_opens_the_rest(
    content: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = copy.deepcopy(content)
    msds = MultiSourceDataStore(content)
    assert msds.stores.storage.list_data_ids() == []
    with pytest.raises(MissingError, match=r"generate\(\)"):
        msds.stores.storage.open_data("good.zarr")
    with pytest.raises(Failures, match=r"bad: .*gone\.zarr"):
        msds.generate()
    assert content == before
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    assert "Dataset 'good' finished: 0:00:" in printed

    assert msds.stores.storage.list_data_ids() == ["good.zarr"]
    assert msds.stores["storage"].has_data("good.zarr")
    assert not msds.stores.storage.has_data("bad.zarr")
    cube = msds.stores.storage.open_data("good.zarr")
    assert cube.age.chunks is not None
    assert cube.age.dtype.kind == "f"
    assert np.isnan(cube.age.values[0, 0])
    assert cube.age.values[0, 1:].tolist() == list(range(1, 10))
    assert msds.stores.here.list_data_ids() == ["age.zarr"]
    assert msds.stores.here.open_data("age.zarr").age.shape == (10, 10)

    content["datasets"].pop()
    MultiSourceDataStore(content).generate()
    assert "Dataset 'good' is up to date." in capsys.readouterr().out


def test_stores_that_are_not_there_are_named(content: dict[str, Any], folder: Path) -> None:
    stores = MultiSourceDataStore(content).stores
    assert list(stores) == ["storage", "here", "land"]
    assert "storage" in dir(stores)
    with pytest.raises(AttributeError, match="there are: storage"):
        _ = stores.nowhere
    with pytest.raises(ConfigError, match="there are: storage"):
        _ = stores["nowhere"]


def test_the_configuration_is_shown_without_its_secrets(
    content: dict[str, Any], folder: Path
) -> None:
    content["datasets"][1] = {
        "identifier": "bad",
        "grid_mapping": "g",
        "store": "land",
        "data_id": f"product|{HOSTILE}",
    }
    table = MultiSourceDataStore(content).display_config()
    html = table._repr_html_()
    assert table.heads[0] == "User-defined ID"
    assert len(table.rows) == 2
    for text in (html, repr(table)):
        assert "very-hidden-value" not in text
        assert "***" in text
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert max(map(len, repr(table).splitlines())) <= 80


def test_grids_that_are_taken_over_or_the_sources_own(content: dict[str, Any]) -> None:
    one = {"store": "here", "data_id": "one.tif"}
    content["datasets"] = [
        {"identifier": "named", "grid_mapping": "g"} | one,
        {"identifier": "taken", "grid_mapping": "named"} | one,
        {"identifier": "own"} | one,
    ]
    shown = MultiSourceDataStore(content)
    named, taken, own = (row[5] for row in shown.display_config().rows)
    assert named == taken
    assert "spatial_res" in named
    assert own == "that of one.tif"
    assert list(shown.display_geolocations().places) == ["g"]


def test_cells_are_cleaned_and_escaped() -> None:
    table = Table(["a"], [[f"\x1b[2J{HOSTILE}"]])
    assert "\x1b" not in repr(table) + table._repr_html_()
    assert "<script" not in table._repr_html_()


def test_the_schema_unfolds_and_is_a_dict() -> None:
    schema = MultiSourceDataStore.get_config_schema()
    assert "data_stores" in schema["properties"]
    html = schema._repr_html_()
    assert html.count("<details>") == html.count("</details>") > 10
    for name in ("datasets", "grid_mappings", "spatial_res", "zenodo"):
        assert name in html
    schema["description"] = HOSTILE
    assert "<script" not in schema._repr_html_()


def test_the_map_holds_the_boxes_of_the_grids(content: dict[str, Any], folder: Path) -> None:
    msds = MultiSourceDataStore(content)
    shown = msds.display_geolocations()
    assert "[44.0, 0.0], [45.0, 1.0]" in shown.map.get_root().render()
    assert "<iframe" in shown._repr_html_()
    assert "<svg" in shown._repr_html_()
    drawing = Drawing(boxes(msds._config))
    assert repr(drawing) == "g: west 0, south 44, east 1, north 45"
    svg = drawing._repr_html_()
    assert "<svg" in svg
    assert re.search(r">44\.\d+°<", svg)
    assert "<script" not in Drawing({HOSTILE: (0, 0, 1, 1)})._repr_html_()


def test_the_package_stays_light() -> None:
    assert "MultiSourceDataStore" in dir(stacbuild)
    code = (
        "import sys, stacbuild; print('xarray' in sys.modules, 'pydantic' in sys.modules); "
        "from stacbuild import MultiSourceDataStore; print('IPython' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "False"]
