"""Several files of a record, or members of its archives, as one data id."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import stacbuild
from stacbuild.sources.describe import describe
from stacbuild.stac.catalog import Catalog
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.own_files import raster
from tests.support.zenodo import Told, contents, harvested, store_of

YEARLY = "x_{time:%Y}.tif"


class Published:
    """A record of small rasters, and one configuration that reads from it."""

    def __init__(self, server: ZenodoServer, path: Path) -> None:
        self.server = server
        self.path = path
        self.files: dict[str, Path] = {}
        self.told = Told()
        server.records["7"] = Record("7", "Seven", self.files)

    def tif(self, name: str, value: int, *, column: int = 0) -> None:
        """Add a raster whose values follow from *value*."""
        self.files[name] = self._raster(name, value, column)

    def archive(self, name: str, members: Mapping[str, int]) -> None:
        """Add an archive of rasters by name, with their values."""
        path = self.files[name] = self.path / "made" / name
        made = {member: self._raster(member, value, 0) for member, value in members.items()}
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as packed:
                for member, file in made.items():
                    packed.write(file, member)
        else:
            with tarfile.open(path, "w") as packed_tar:
                for member, file in made.items():
                    packed_tar.add(file, member)

    def _raster(self, name: str, value: int, column: int) -> Path:
        path = self.path / "made" / f"{value}" / name
        raster(path, seed=value, column=column)
        return path

    def config(self, data_id: str | list[str], *preload: str, **source: Any) -> stacbuild.Config:
        """Return a configuration of one cube, on the grid of its files."""
        zenodo = {
            "root": "7",
            "endpoint_url": self.server.api,
            "cache_store_params": {"root": "cache"},
        }
        stores = [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}},
            {"identifier": "z", "store_id": "zenodo", "store_params": zenodo},
        ]
        content: dict[str, Any] = {
            "datasets": [{"identifier": "c", "store": "z", "data_id": data_id, **source}],
            "data_stores": stores,
        }
        if preload:
            content["preload_datasets"] = [{"store": "z", "data_ids": list(preload)}]
        return stacbuild.load_config(content, base_dir=self.path)

    def harvest(self, data_id: str | list[str], *preload: str) -> None:
        """Harvest the configuration."""
        config = self.config(data_id, *preload)
        stacbuild.harvest(config, self.path / "catalogs", reporter=self.told)

    def cube(self, data_id: str | list[str], *preload: str) -> xr.DataArray:
        """Build a cube, and return its only variable."""
        config = self.config(data_id, *preload)
        [built] = stacbuild.build(config, self.path / "catalogs", reporter=self.told)
        with xr.open_zarr(str(built.href), mask_and_scale=False) as dataset:
            [array] = dataset.data_vars.values()
            return array.load()

    def items(self, data_id: str) -> list[tuple[str, str | None]]:
        """Return path and start of the items of a data id."""
        return [
            (item.properties["stacbuild:file"], item.properties["start_datetime"][:10])
            for item in Catalog(self.path / "catalogs").find("zenodo:7", data_id)
        ]

    def values(self, value: int) -> list[Any]:
        """Return the values of a raster."""
        found: list[Any] = raster(self.path / "again.tif", seed=value).tolist()
        return found


@pytest.fixture
def published(zenodo_server: ZenodoServer, tmp_path: Path) -> Published:
    return Published(zenodo_server, tmp_path)


def years(array: xr.DataArray) -> list[str]:
    return [str(time)[:4] for time in array["time"].values]


def test_files_of_a_record_become_time_in_place(published: Published) -> None:
    for year in (2021, 2019, 2020):
        published.tif(f"x_{year}.tif", year)
    published.tif("y_2019.tif", 1)
    cube = published.cube(YEARLY)
    assert years(cube) == ["2019", "2020", "2021"]
    assert cube.values.tolist() == [published.values(year) for year in (2019, 2020, 2021)]
    assert not (published.path / "cache").exists()
    assert published.told.warned == []
    [planned] = stacbuild.plan(published.config(YEARLY), published.path / "catalogs")
    assert planned.reason == ""


def test_tiles_of_one_time_are_mosaicked_in_order(published: Published) -> None:
    published.tif("dem_2.tif", 2, column=1)
    published.tif("dem_1.tif", 1)
    cube = published.cube("dem_*.tif")
    assert "time" not in cube.dims
    assert cube.shape == (20, 60)
    assert cube.values[:, :30].tolist() == published.values(1)
    assert published.told.warned == []


def test_a_list_states_the_order(published: Published) -> None:
    published.tif("a.tif", 1)
    published.tif("z.tif", 2)
    first, second = published.values(2), published.values(1)
    cube = published.cube(["z.tif", "a.tif"])
    assert cube.values.tolist() == [
        [one if one >= 0 else other for one, other in zip(*rows, strict=True)]
        for rows in zip(first, second, strict=True)
    ]
    assert "z.tif and a.tif have the same pixels and have no time" in published.told.warned[0]


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("inner", ["", "old/"])
def test_members_of_an_archive_are_preloaded_for_a_cube(
    published: Published, suffix: str, inner: str
) -> None:
    members = {f"{inner}deep/x_{year}.tif": year for year in (2020, 2019)}
    published.archive(f"old.{suffix}", {**members, f"{inner}deep/other.tif": 5})
    published.tif("x_2018.tif", 1)
    data_id = f"old/**/{YEARLY}"
    published.harvest(data_id)
    listed = [("old/deep/x_2019.tif", "2019-01-01"), ("old/deep/x_2020.tif", "2020-01-01")]
    assert published.items(data_id) == (listed if suffix == "zip" else [])
    assert not (published.path / "cache").exists()
    cube = published.cube(data_id)
    assert years(cube) == ["2019", "2020"]
    assert cube.values[1].tolist() == published.values(2020)
    assert published.items(data_id) == listed
    published.server.reset()
    assert years(published.cube(data_id)) == ["2019", "2020"]
    assert contents(published.server) == []


def test_only_archives_that_match_are_preloaded(published: Published) -> None:
    published.archive("a.zip", {"x_2019.tif": 1})
    published.archive("b.zip", {"x_2020.tif": 2})
    published.archive("c.zip", {"y_2020.tif": 2})
    assert years(published.cube(f"**/{YEARLY}", f"**/{YEARLY}")) == ["2019", "2020"]
    cache = published.path / "cache" / "7"
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == ["a", "b"]


def test_a_build_fetches_only_what_is_in_archives(published: Published) -> None:
    published.archive("a.zip", {"x_2019.tif": 1})
    published.tif("x_2020.tif", 2)
    cube = published.cube(f"**/{YEARLY}")
    assert cube.values.tolist() == [published.values(1), published.values(2)]
    cache = published.path / "cache" / "7"
    assert sorted(path.name for path in cache.rglob("*.tif")) == ["x_2019.tif"]
    published.harvest(f"**/{YEARLY}", f"**/{YEARLY}")
    assert sorted(path.name for path in cache.rglob("*.tif")) == ["x_2019.tif", "x_2020.tif"]


def test_a_table_of_contents_is_read_once(published: Published) -> None:
    published.archive("a.zip", {"x_2019.tif": 1, "x_2020.tif": 2})
    published.harvest("a/x_2019.tif")
    alone = len(published.server.log)
    published.server.reset()
    store = store_of(published.server, "7", published.path / "cache")
    found = describe(store, f"a/{YEARLY}")
    assert len(published.server.log) == alone
    assert [file.split()[0] for file in found["files"]] == ["a/x_2019.tif", "a/x_2020.tif"]
    assert "once that is preloaded" in found["note"]


def test_a_single_file_keeps_its_item_beside_a_pattern(published: Published) -> None:
    published.tif("x_2019.tif", 1)
    published.harvest("x_2019.tif")
    published.harvest(YEARLY)
    catalog = Catalog(published.path / "catalogs")
    [single] = catalog.find("zenodo:7", "x_2019.tif")
    assert single.properties["datetime"] == "2024-01-01T00:00:00Z"
    assert published.items(YEARLY) == [("x_2019.tif", "2019-01-01")]


def test_the_date_of_publication_is_no_time_of_several_files(published: Published) -> None:
    published.tif("a.tif", 1)
    published.tif("b.tif", 2, column=1)
    published.harvest("*.tif")
    assert published.items("*.tif") == [("a.tif", "0001-01-01"), ("b.tif", "0001-01-01")]


def test_some_files_without_a_time_are_refused(published: Published) -> None:
    published.tif("x_20190101.tif", 1)
    published.tif("x_b.tif", 2)
    with pytest.raises(stacbuild.StacbuildError, match=r"nothing states the time of x_b\.tif, but"):
        published.harvest("*.tif")


@pytest.mark.parametrize(
    ("data_id", "message"),
    [
        ("y_*.tif", r"zenodo 7: y_\*\.tif matches no file; did you mean x_2019\.tif\?"),
        ("y_*.tif", r"\?; files in a\.zip are below a/$"),
        ("a.zip/*.tif", r"a\.zip/\*\.tif matches no file; .*; files in a\.zip are below a/$"),
        ("a/y_*.tif", r"a/y_\*\.tif matches no file; did you mean a/x_1\.tif\?$"),
        ("*.txt", r"\*\.txt matches read\.txt only, of a format that is not read"),
        (["x_2019.tif", "x_2018.tif"], r"there is no x_2018\.tif, named in the list; did you mean"),
        (["x_2019.tif", "a/x_2.tif"], r"there is no a/x_2\.tif, named in the list; did you mean"),
    ],
)
def test_what_is_not_there_is_named(
    published: Published, data_id: str | list[str], message: str
) -> None:
    published.tif("x_2019.tif", 1)
    published.files["read.txt"] = published.files["x_2019.tif"]
    published.archive("a.zip", {"x_1.tif": 1})
    with pytest.raises(stacbuild.StacbuildError, match=message):
        published.harvest(data_id)
    if isinstance(data_id, str):
        with pytest.raises(stacbuild.StacbuildError, match=message):
            published.harvest(data_id, data_id)


def test_an_archive_is_fetched_once_more_by_force(published: Published) -> None:
    published.archive("a.zip", {"x_2019.tif": 1, "x_2020.tif": 2})
    store = store_of(published.server, "7", published.path / "cache")
    harvested(store, preload=("a/x_2019.tif",))
    published.server.reset()
    preload = ("a.zip", f"a/{YEARLY}", "a/*_2020.tif")
    found = harvested(store, f"a/{YEARLY}", preload=preload, force=True)
    assert len(contents(published.server)) == 1
    assert len(found.items) == 2 + 2 + 1


def test_a_wrong_field_is_a_mistake_of_the_configuration(published: Published) -> None:
    with pytest.raises(stacbuild.ConfigError, match="needs a year"):
        published.config("x_{time:%m}.tif")
