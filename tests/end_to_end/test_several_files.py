"""Several files as one data id, of a folder."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

import stacbuild
from stacbuild.stac.catalog import Catalog
from tests.support.zenodo import Told

MONTHLY = "ndvi_{time:%Y_%m}.tif"


class Folder:
    """A folder of small rasters, and one configuration that reads from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told = Told()

    def tif(self, name: str, value: int, *, column: int = 0, **changes: Any) -> Path:
        """Write a raster of 4 x 4 pixels of one value, at a column of such rasters."""
        tags = changes.pop("tags", {})
        nothing = changes.pop("nothing", 0)
        path = self.path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {
            "driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "int16",
            "crs": "EPSG:32632", "nodata": -1,
            "transform": from_origin(500_000 + 40 * column, 5_000_040, 10, 10),
        } | changes  # fmt: skip
        values = np.full((4, 4), value, profile["dtype"])
        values[:, :nothing] = profile["nodata"]
        with rasterio.open(path, "w", **profile) as file:
            file.write(values, 1)
            file.update_tags(**tags)
        return path

    def config(self, data_id: str | list[str], **source: Any) -> stacbuild.Config:
        """Return a configuration of one cube, on the grid of its files."""
        stores = {"storage": "data", "own": "src"}
        return stacbuild.load_config(
            {
                "datasets": [{"identifier": "c", "store": "own", "data_id": data_id, **source}],
                "data_stores": [
                    {"identifier": key, "store_id": "file", "store_params": {"root": root}}
                    for key, root in stores.items()
                ],
            },
            base_dir=self.path,
        )

    def cube(self, data_id: str | list[str], **source: Any) -> xr.Dataset:
        """Build a cube, and open it."""
        config = self.config(data_id, **source)
        [built] = stacbuild.build(config, self.path / "catalogs", reporter=self.told)
        with xr.open_zarr(str(built.href), mask_and_scale=False) as dataset:
            return dataset.load()

    def row(self, data_id: str | list[str], **source: Any) -> list[Any]:
        """Return every fourth value of the first row (of each time) of a cube."""
        [array] = self.cube(data_id, **source).data_vars.values()
        found: list[Any] = array.values[..., 0, ::4].tolist()
        return found

    def reason(self, data_id: str | list[str]) -> str:
        """Return why a cube would be built."""
        [planned] = stacbuild.plan(self.config(data_id), self.path / "catalogs")
        return planned.reason if planned.error is None else str(planned.error)

    def periods(self, data_id: str) -> list[tuple[str, str]]:
        """Return the first and last day of the items of a data id, in order."""
        items = Catalog(self.path / "catalogs").find("file:src", data_id)
        return [
            (item.properties["start_datetime"][:10], item.properties["end_datetime"][:10])
            for item in items
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_files_of_several_months_become_time(folder: Folder) -> None:
    for month in (3, 1, 2):
        folder.tif(f"ndvi_2020_{month:02d}.tif", month)
    cube = folder.cube(MONTHLY)
    assert [str(time)[:10] for time in cube["time"].values] == [
        "2020-01-01", "2020-02-01", "2020-03-01",
    ]  # fmt: skip
    assert folder.row(MONTHLY) == [[1], [2], [3]]
    assert folder.periods(MONTHLY)[1] == ("2020-02-01", "2020-02-29")
    assert folder.reason(MONTHLY) == ""
    assert folder.told.warned == []


def test_tiles_of_one_time_are_mosaicked_in_the_order_of_names(folder: Folder) -> None:
    folder.tif("b/dem_ü 1.tif", 1, nothing=2)
    folder.tif("b/dem_2.TIF", 2, column=1)
    folder.tif("dem_0.tif", 9, width=8)
    folder.tif("other.tif", 5)
    cube = folder.cube("**/dem_*.tif")
    assert "time" not in cube.dims
    # dem_0 comes last: b/... is before it.
    [array] = cube.data_vars.values()
    assert array.values[0].tolist() == [9, 9, 1, 1, 2, 2, 2, 2]


def test_a_list_states_the_order(folder: Folder) -> None:
    folder.tif("a.tif", 1)
    folder.tif("z.tif", 2)
    assert folder.row(["z.tif", "a.tif"]) == [2]
    assert folder.row(["a.tif", "z.tif"]) == [1]
    assert folder.row(["z.tif", "*.tif"]) == [2]
    assert "z.tif and a.tif have the same pixels and have no time" in folder.told.warned[0]


def test_tiles_at_several_times(folder: Folder) -> None:
    for tile in (0, 1):
        for year in (2019, 2020):
            folder.tif(f"t{tile}/x_{year}.tif", 10 * tile + year - 2000, column=tile)
    assert folder.row("{tile}/x_{time:%Y}.tif") == [[19, 29], [20, 30]]
    assert folder.row("{tile}/x_{time:%Y}.tif", open_params={"time_range": ["2020", None]}) == [
        [20, 30]
    ]


def test_tiles_of_two_crs_are_one_cube_on_a_stated_grid(folder: Folder) -> None:
    folder.tif("a.tif", 1)
    far = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_040, 10, 10)}
    folder.tif("b.tif", 2, **far)
    with pytest.raises(stacbuild.StacbuildError, match="differ in CRS"):
        folder.cube("*.tif")


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"dtype": "uint8", "nodata": 255}, "data type"), ({"nodata": 0}, "no data")],
)
def test_files_that_are_not_alike_are_refused(
    folder: Folder, changes: dict[str, Any], message: str
) -> None:
    folder.tif("a.tif", 1)
    folder.tif("b.tif", 1, column=1, **changes)
    with pytest.raises(stacbuild.StacbuildError, match=rf"\*\.tif: its files differ in {message}"):
        folder.cube("*.tif")


def test_a_plan_notices_files_that_come_change_and_go(folder: Folder) -> None:
    first = folder.tif("ndvi_2020_01.tif", 1)
    folder.cube(MONTHLY)
    second = folder.tif("ndvi_2020_02.tif", 2)
    assert "ndvi_2020_02.tif added" in folder.reason(MONTHLY)
    assert folder.row(MONTHLY) == [[1], [2]]
    folder.tif("ndvi_2020_02.tif", 3)
    os.utime(second, (1e9, 1e9))
    assert "ndvi_2020_02.tif was written to" in folder.reason(MONTHLY)
    assert folder.row(MONTHLY) == [[1], [3]]
    first.unlink()
    assert "ndvi_2020_01.tif removed" in folder.reason(MONTHLY)
    assert folder.row(MONTHLY) == [3]
    assert folder.reason(MONTHLY) == ""
    second.unlink()
    assert "matches no file" in folder.reason(MONTHLY)


def test_names_that_do_not_fit_the_format_are_left_out_with_a_warning(folder: Folder) -> None:
    for name in ("ndvi_2020_01.tif", "ndvi_2020_13.tif", "ndvi_mean.tif", "ndvi_2020_02.tif.txt"):
        folder.tif(name, 1)
    assert folder.row(MONTHLY) == [1]
    [line] = folder.told.warned
    assert "ndvi_2020_13.tif (month must be in 1..12), ndvi_mean.tif: left out" in line


def test_what_another_pattern_of_a_list_matches_is_not_called_left_out(folder: Folder) -> None:
    folder.tif("a_2020.tif", 1)
    folder.tif("a_2021_03.tif", 2)
    assert folder.row(["a_{time:%Y}.tif", "a_{time:%Y_%m}.tif"]) == [[1], [2]]
    assert not folder.told.warned


def test_files_of_one_day_are_warned_of_with_a_way_to_part_them(folder: Folder) -> None:
    for hour in (10, 11):
        folder.tif(f"a_20200131_{hour}0000.tif", hour)
    assert folder.row("a_*.tif") == [10]
    assert "name the time in the pattern" in folder.told.warned[0]
    assert folder.row("a_{time:%Y%m%d_%H%M%S}.tif") == [[10], [11]]


def test_an_umlaut_matches_in_both_spellings_of_unicode(folder: Folder) -> None:
    folder.tif(unicodedata.normalize("NFD", "höhe_2020_01.tif"), 1)
    folder.tif(unicodedata.normalize("NFC", "höhe_2020_02.tif"), 2)
    assert folder.row("höhe_{time:%Y_%m}.tif") == [[1], [2]]
    assert folder.row(unicodedata.normalize("NFD", "höhe_{time:%Y_%m}.tif")) == [[1], [2]]


@pytest.mark.parametrize(
    ("data_id", "message"),
    [
        ("**/dem_*.tif", "**/dem_*.tif matches no file; did you mean a/dem.tif"),
        (["dem_1.tif", "b.tif"], "there is no dem_1.tif, named in the list"),
        ("*.txt", "*.txt matches notes.txt only, of a format that is not read"),
        ("x/*.tif", "x/*.tif matches no file; there are no files in there; **/x/*.tif looks"),
        ("a/{time:%Y}.tif", "fields do not fit the names of a/0000.tif (year 0 is out of range)"),
    ],
)
def test_what_matches_nothing_is_refused(
    folder: Folder, data_id: str | list[str], message: str
) -> None:
    for name in ("a/dem.tif", "a/0000.tif", "b.tif"):
        folder.tif(name, 1)
    (folder.path / "src" / "notes.txt").write_text("x")
    with pytest.raises(stacbuild.StacbuildError) as raised:
        folder.cube(data_id)
    assert message in str(raised.value)


def test_a_damaged_file_among_the_matches_is_named(folder: Folder) -> None:
    folder.tif("a.tif", 1)
    (folder.path / "src" / "b.tif").write_bytes(b"no raster")
    with pytest.raises(stacbuild.StacbuildError, match=r"b\.tif"):
        folder.cube("*.tif")


def test_a_file_that_has_the_name_of_a_pattern_is_that_file(folder: Folder) -> None:
    folder.tif("x_{tile}.tif", 1)
    folder.tif("x_2.tif", 2, column=1)
    assert folder.row("x_{tile}.tif") == [1]


def test_names_whose_ids_are_alike(folder: Folder) -> None:
    for number, name in enumerate(("ä.tif", "ö.tif", "a b.tif", "a-b.tif", "A-B.tiff")):
        folder.tif(name, number, column=number)
    assert sorted(folder.row("*.tif*")) == [0, 1, 2, 3, 4]


def test_dates_without_a_pattern(folder: Folder) -> None:
    folder.tif("a_20200131.tif", 1, tags={"TIFFTAG_DATETIME": "2021:05:05 10:00:00"})
    folder.tif("a_20200201.tif", 2)
    assert folder.row("a_*.tif") == [[1], [2]]
    assert folder.periods("a_*.tif")[0] == ("2020-01-31", "2020-01-31")
    [line] = folder.told.warned
    assert "its name states the time 2020-01-31, but its TIFFTAG_DATETIME states 2021-05-05" in line


def test_tiles_whose_times_are_those_of_their_production(folder: Folder) -> None:
    for tile in range(3):
        tags = {"TIFFTAG_DATETIME": f"2021:05:05 10:00:0{tile}"}
        folder.tif(f"t_{tile}.tif", tile, column=tile, tags=tags)
    assert folder.row("t_*.tif") == [0, 1, 2]
    assert "taken as tiles of one time" in folder.told.warned[0]


def test_dates_of_some_files_only_are_refused(folder: Folder) -> None:
    folder.tif("a_20200131.tif", 1)
    folder.tif("a_mean.tif", 2)
    with pytest.raises(
        stacbuild.StacbuildError, match=r"nothing states the time of a_mean\.tif, but"
    ):
        folder.cube("a_*.tif")


def test_the_time_of_the_last_change_is_published_nowhere(folder: Folder) -> None:
    folder.tif("a.tif", 1)
    cube = folder.cube("a.tif")
    assert "time" not in cube.coords
    items = list(Catalog(folder.path / "catalogs").items())
    assert len(items) == 2
    for item in items:
        assert item.datetime is None
        assert item.properties["start_datetime"] == "0001-01-01T00:00:00Z"


def test_a_cube_does_not_match_the_pattern_that_it_is_made_of(folder: Folder) -> None:
    stores = [
        {"identifier": name, "store_id": "file", "store_params": {"root": "."}}
        for name in ("storage", "own")
    ]
    with pytest.raises(stacbuild.ConfigError, match="is its own source"):
        stacbuild.load_config(
            {
                "datasets": [{"identifier": "c", "store": "own", "data_id": "**/*.zarr"}],
                "data_stores": stores,
            },
            base_dir=folder.path,
        )


def test_a_profile_is_for_a_file_or_for_the_data_id(folder: Folder) -> None:
    for month in (1, 2):
        folder.tif(f"ndvi_2020_{month:02d}.tif", month)
    profiles = folder.path / "profiles"
    profiles.mkdir()
    (profiles / "own.yml").write_text(
        'source: "file:src"\ndata:\n'
        '  - match: "ndvi_{time:%Y_%m}.tif"\n    unit: "1"\n'
        "  - match: ndvi_2020_02.tif\n    start_datetime: 2021-02-01\n"
    )
    cube = folder.cube(MONTHLY)
    assert [str(time)[:10] for time in cube["time"].values] == ["2020-01-01", "2021-02-01"]
    assert next(iter(cube.data_vars.values())).attrs["units"] == "1"
    assert "its profile states the time 2021-02-01" in folder.told.warned[0]
    assert folder.reason(MONTHLY) == ""


def test_describe_shows_files_and_times(folder: Folder) -> None:
    for month in (1, 2):
        folder.tif(f"ndvi_2020_{month:02d}.tif", month)
    found = stacbuild.describe("file", str(folder.path / "src"), MONTHLY)
    assert found["files"] == [
        "ndvi_2020_01.tif (2020-01-01T00:00:00Z to 2020-01-31T23:59:59Z)",
        "ndvi_2020_02.tif (2020-02-01T00:00:00Z to 2020-02-29T23:59:59Z)",
    ]
    assert found["times"] == ["2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z"]


def test_a_list_is_published_as_a_list(folder: Folder) -> None:
    shown = folder.config(["a.tif", "b.tif"]).resolved()
    assert shown["datasets"][0]["data_id"] == ["a.tif", "b.tif"]
    assert folder.config(["a.tif"]).resolved()["datasets"][0]["data_id"] == "a.tif"


def test_touching_files_rebuilds_nothing(folder: Folder) -> None:
    paths = [folder.tif(f"ndvi_2020_{month:02d}.tif", month) for month in (1, 2)]
    folder.cube(MONTHLY)
    for path in paths:
        os.utime(path, (1e9, 1e9))
    assert folder.reason(MONTHLY) == ""
    config, catalog = folder.config(MONTHLY), folder.path / "catalogs"
    stacbuild.harvest(config, catalog)
    assert folder.reason(MONTHLY) == ""
    # The same size, and other bytes.
    size = paths[0].stat().st_size
    folder.tif("ndvi_2020_01.tif", 7)
    assert paths[0].stat().st_size == size
    assert "ndvi_2020_01.tif was written to" in folder.reason(MONTHLY)
    assert folder.row(MONTHLY) == [[7], [2]]
    os.utime(paths[0], (2e9, 2e9))
    assert folder.reason(MONTHLY) == ""
