"""The catalog that stacbuild wrote, read as a source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from rasterio import Affine

import stacbuild
from stacbuild.building import CubeResult, build
from stacbuild.config import load_config
from stacbuild.sources import harvest
from stacbuild.stac.catalog import Catalog
from tests.support.built import variable_of
from tests.support.cli import Json
from tests.support.stores import store

_GRID = {"identifier": "grid", "crs": "EPSG:32632", "spatial_res": 10}
_GRID |= {"bbox": [600000, 4999800, 600300, 5000000]}
_PROFILE = """\
source: file:maps
data:
  - {match: years.tif, years: {first: 2001, count: 3}, nodata: [7, 9], unit: m}
  - match: classes.tif
    classes: [{value: 1, name: forest}, {value: 2, name: water}, {value: 3, name: n, nodata: true}]
"""


def write(path: Path, values: np.ndarray[Any, Any], **profile: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    transform = Affine(10, 0, 600000, 0, -10, 5000000)
    with rasterio.open(
        path, "w", "GTiff", width, height, count, "EPSG:32632", transform, values.dtype, **profile
    ) as file:
        file.write(values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    write(tmp_path / "maps/years.tif", random.integers(0, 10, (3, 20, 30)).astype("uint8"))
    write(tmp_path / "maps/classes.tif", random.integers(0, 4, (1, 20, 30)).astype("uint8"))
    write(tmp_path / "maps/packed.tif", random.random((1, 20, 30)).astype("float32"), nodata=-1)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yml").write_text(_PROFILE)
    return tmp_path


def build_all(
    folder: Path, name: str, datasets: Sequence[Json], *others: Json, only: Sequence[str] = ()
) -> list[CubeResult]:
    stores = [store("storage", "data"), *others]
    content = {"datasets": datasets, "data_stores": stores, "grid_mappings": [_GRID]}
    (folder / name).write_text(yaml.safe_dump(content))
    return build(load_config(folder / name), folder / "catalogs", datasets=only)


def cube(identifier: str, data_id: str, source: str = "maps", **keys: Any) -> Json:
    return {"identifier": identifier, "grid_mapping": "grid", "store": source} | (
        {"data_id": data_id} | keys
    )


_MAPS, _CATALOG = store("maps", "maps"), store("catalog", "catalogs", "stac")
_NAMES = ("years", "classes", "packed")


def first(folder: Path, **keys: Any) -> list[Json]:
    """Build the cubes that the catalog then has; return their datasets."""
    datasets = [cube(name, f"{name}.tif", **keys) for name in _NAMES]
    results = build_all(folder, "first.yml", datasets, _MAPS)
    assert [each.status for each in results] == ["COMPLETED"] * 3, results
    return datasets


def opened(folder: Path, name: str) -> xr.Dataset:
    engine = "h5netcdf" if name.endswith(".nc") else "zarr"
    with xr.open_dataset(folder / "data" / name, engine=engine, mask_and_scale=False) as ds:
        return ds.load().drop_attrs(deep=False)


@pytest.mark.parametrize(
    "format_id", ["zarr", "netcdf", pytest.param("levels", marks=pytest.mark.slow)]
)
def test_sources_and_cubes_of_it_give_the_same_cubes(folder: Path, format_id: str) -> None:
    first(folder, format_id=format_id)
    again = [cube(f"{name}_of_cube", f"first/{name}", "catalog") for name in _NAMES]
    again += [cube(f"{name}_of_file", f"file-maps/{name}", "catalog") for name in _NAMES]
    results = build_all(folder, "second.yml", again, _CATALOG, _MAPS)
    assert [each.status for each in results] == ["COMPLETED"] * 6, results
    for name in _NAMES:
        inner = {"levels": f"{name}.zarr/0", "netcdf": f"{name}.nc"}
        expected = opened(folder, inner.get(format_id, f"{name}.zarr"))
        for how in ("cube", "file"):
            found = opened(folder, f"{name}_of_{how}.zarr")
            # A file's variable has the name of the dataset, a cube's its own.
            found = found.rename({f"{name}_of_file": name} if how == "file" else {})
            xr.testing.assert_equal(found, expected)
            for variable in expected.data_vars:
                kept = {"_FillValue", "flag_values", "flag_meanings", "units", "long_name"}
                for key in kept:
                    one, other = (each[variable].attrs.get(key) for each in (found, expected))
                    assert str(np.array(one)) == str(np.array(other)), key
    results = build_all(folder, "second.yml", again, _CATALOG, _MAPS)
    assert {each.status for each in results} == {"UP TO DATE"}


def test_harvesting_it_changes_nothing_that_it_reads(folder: Path) -> None:
    first(folder)
    files = list((folder / "catalogs").glob("*/*/*.json"))
    known = {path: path.read_bytes() for path in files}
    datasets = [cube("all", "file-maps?bbox=0,0,20,60", "catalog"), cube("x", "first/packed")]
    datasets[1]["store"] = "catalog"
    build_all(folder, "second.yml", datasets, _CATALOG, _MAPS)
    config = load_config(folder / "second.yml")
    harvest(config, folder / "catalogs")
    count = len(list(Catalog(folder / "catalogs").items()))
    harvest(config, folder / "catalogs")
    assert len(list(Catalog(folder / "catalogs").items())) == count
    assert {path: path.read_bytes() for path in files} == known


def test_files_outside_the_folders_of_the_configuration_are_refused(folder: Path) -> None:
    first(folder)
    [result] = build_all(folder, "second.yml", [cube("x", "file-maps/packed", "catalog")], _CATALOG)
    assert result.status == "FAILED"
    assert "maps/packed.tif' is outside of the folders that the configuration names" in (
        result.message
    )
    assert "a store of kind file" in result.message


def test_a_cube_is_never_made_from_itself(folder: Path) -> None:
    first(folder)
    # Directly, through another cube of its configuration, and of another one.
    [own] = build_all(folder, "first.yml", [cube("packed", "first/packed", "catalog")], _CATALOG)
    assert own.status == "FAILED"
    assert "own source" in own.message
    [other] = build_all(folder, "second.yml", [cube("other", "first/packed", "catalog")], _CATALOG)
    assert other.status == "COMPLETED", other.message
    circle = [cube("packed", "second/other", "catalog")]
    before = (folder / "catalogs/first/packed/packed.json").read_bytes()
    for _ in range(2):
        [result] = build_all(folder, "first.yml", circle, _CATALOG)
        assert result.status == "FAILED"
        assert "was itself made from this cube" in result.message
    assert (folder / "catalogs/first/packed/packed.json").read_bytes() == before


def test_a_change_of_a_cube_reaches_the_cubes_made_from_it(folder: Path) -> None:
    first(folder)
    again = [cube("again", "first/packed", "catalog")]
    [result] = build_all(folder, "second.yml", again, _CATALOG)
    assert result.status == "COMPLETED", result.message
    write(folder / "maps/packed.tif", np.full((1, 20, 30), 5, "float32"), nodata=-1)
    build_all(folder, "first.yml", [cube("packed", "packed.tif")], _MAPS)
    [result] = build_all(folder, "second.yml", again, _CATALOG)
    assert result.status == "COMPLETED", result
    assert (variable_of(opened(folder, "again.zarr")) == 5).all()


def test_a_cube_is_described_without_a_configuration(folder: Path) -> None:
    dataset = {"identifier": "packed", "store": "maps", "data_id": "packed.tif"}
    build_all(folder, "one", [dataset], store("maps", "maps"))
    catalog = str(folder / "catalogs")
    assert stacbuild.describe("stac", catalog, "one/packed")["shape"] == [20, 30]
    # Of another file, the item is no proof.
    path = folder / "data" / "packed.zarr"
    attrs = json.loads((path / "zarr.json").read_text())
    attrs["attributes"]["stacbuild_fingerprint"] = "0" * 64
    (path / "zarr.json").write_text(json.dumps(attrs))
    with pytest.raises(stacbuild.StacbuildError, match=r"outside of the folders .*describe file"):
        stacbuild.describe("stac", catalog, "one/packed")
