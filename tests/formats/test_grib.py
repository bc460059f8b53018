"""GRIB files: values, coordinates and groups; what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import stacbuild
from stacbuild.errors import IntegrityError, LocalError, MissingError
from stacbuild.formats import eccodes_library
from stacbuild.formats.zarr_store import HIDDEN, group_paths, open_source
from tests.support.file_server import FileServer
from tests.support.grib_files import LAT, LON, decoded, field, message, write_grib

EXAMPLE = Path(xr.__file__).parent / "tests/data/example.grib"
"""Three times, two levels and two members of two variables, by ECMWF's tools."""


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("packing", ["grid_simple", "grid_second_order", "grid_ieee"])
def test_values_are_those_of_eccodes(tmp_path: Path, edition: int, packing: str) -> None:
    if (edition, packing) in ((2, "grid_second_order"), (1, "grid_ieee")):
        packing = "grid_ccsds" if edition == 2 else "grid_simple_matrix"
    keys: dict[str, Any] = {"shortName": "2t"}
    if packing != "grid_simple_matrix":
        keys["packingType"] = packing
    sample = f"regular_ll_sfc_grib{edition}"
    steps = [message(field(n, missing=n > 0), sample, **keys, step=6 * n) for n in range(3)]
    path = write_grib(tmp_path / "a.grib", *steps)
    with open_source(str(path)) as found:
        assert list(found.sizes.items()) == [("time", 3), ("latitude", 20), ("longitude", 30)]
        for number, each in enumerate(steps):
            wanted = decoded(each).astype("f4")
            assert np.array_equal(found["t2m"][number].values, wanted, equal_nan=True)
        assert np.array_equal(found["latitude"].values, LAT)
        assert np.array_equal(found["longitude"].values, LON)
        hours = (found["time"].values - np.datetime64("2020-01-31")) / np.timedelta64(1, "h")
        assert hours.tolist() == [0, 6, 12]
        assert found["t2m"].attrs["units"] == "K"
    assert [each.name for each in tmp_path.iterdir()] == ["a.grib"]


def test_members_and_levels_are_dimensions() -> None:
    with open_source(str(EXAMPLE)) as found:
        assert dict(found["t"].sizes) == {
            "number": 2, "time": 3, "isobaricInhPa": 2, "latitude": 3, "longitude": 4,
        }  # fmt: skip
        assert found["isobaricInhPa"].values.tolist() == [500, 850]
        assert found["isobaricInhPa"].attrs["units"] == "hPa"
        assert found["t"].sel(number=0, isobaricInhPa=850).values[0, 0, 0] == 252


def test_values_of_more_than_24_bits_are_kept(tmp_path: Path) -> None:
    exact = message(field(), shortName="2t", packingType="grid_ieee", precision=2)
    with open_source(str(write_grib(tmp_path / "a.grib", exact))) as found:
        assert np.array_equal(found["t2m"][0].values, field())


@pytest.mark.parametrize(
    ("keys", "latitudes", "longitudes", "turned"),
    [
        (
            {
                "jScansPositively": 1,
                "latitudeOfFirstGridPointInDegrees": 40.5,
                "latitudeOfLastGridPointInDegrees": 59.5,
            },
            LAT[::-1],
            LON,
            False,
        ),
        (
            {
                "longitudeOfFirstGridPointInDegrees": 345.5,
                "longitudeOfLastGridPointInDegrees": 14.5,
            },
            LAT,
            LON + 345,
            False,
        ),
        ({"jPointsAreConsecutive": 1}, LAT, LON, True),
    ],
)
def test_the_order_of_points(
    tmp_path: Path, keys: dict[str, Any], latitudes: Any, longitudes: Any, turned: bool
) -> None:
    one = message(field(), shortName="2t", **keys)
    with open_source(str(write_grib(tmp_path / "a.grib", one))) as found:
        wanted = decoded(one).astype("f4")
        wanted = wanted.reshape(LON.size, LAT.size).T if turned else wanted
        found = found.sortby("latitude", ascending=latitudes[0] < latitudes[-1])
        assert np.array_equal(found["latitude"].values, latitudes)
        assert np.allclose((found["longitude"].values - longitudes) % 360, 0)
        assert np.array_equal(found["t2m"][0].values, wanted)


def test_groups_where_fields_form_no_hypercube(tmp_path: Path) -> None:
    level = "regular_ll_pl_grib2"
    path = write_grib(
        tmp_path / "a.grib",
        message(field(0), shortName="2t"),
        message(field(1), shortName="msl"),
        message(field(2), level, shortName="t", level=850),
        message(field(3), level, shortName="t", level=500),
        message(field(4), shortName="tp", stepType="accum", stepRange="0-6"),
    )
    names = ["heightAboveGround", "isobaricInhPa", "meanSea", "surface"]
    assert group_paths(str(path)) == names
    with pytest.raises(MissingError, match=r"name one of them: a\.grib/heightAboveGround"):
        open_source(str(path))
    with open_source(f"{path}/isobaricInhPa") as found:
        assert found["t"].dims == ("time", "isobaricInhPa", "latitude", "longitude")


def test_other_grids_are_refused_by_name(tmp_path: Path) -> None:
    reduced = "reduced_gg_pl_32_grib2"
    eccodes = eccodes_library.load_eccodes("test")
    handle = eccodes.codes_grib_new_from_samples(reduced)
    other = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    with pytest.raises(IntegrityError, match=r"t cannot be read \(a reduced Gaussian grid; interp"):
        open_source(str(write_grib(tmp_path / "a.grib", other)))
    path = write_grib(tmp_path / "b.grib", other, message(field(), shortName="2t"))
    with open_source(str(path)) as found:
        assert list(found.data_vars) == ["t2m"]
        assert "reduced Gaussian" in str(found.encoding[HIDDEN])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    whole = message(field(), shortName="2t")
    path = tmp_path / "a.grib"
    for content, what in (
        (whole + whole[:-40], "is cut off"),
        (whole[:-4] + b"0000", "is damaged"),
        (whole[:7] + b"\x03" + whole[8:], "is of edition 3"),
    ):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match=rf"a\.grib: the message at byte .* {what}"):
            open_source(str(path))


def test_a_file_on_a_server_is_read_by_ranges(tmp_path: Path) -> None:
    parts = [message(field(n), shortName="2t", step=n, bitsPerValue=24) for n in range(5)]
    content = b"".join(parts)
    with FileServer({"/a.grib2": content}) as server:
        with open_source(f"{server.url}/a.grib2") as found:
            assert np.array_equal(found["t2m"][3].values, decoded(parts[3]).astype("f4"))
        assert all("Range" in each.headers for each in server.asked)
        described = stacbuild.describe("https", server.url, "a.grib2")
    assert described["variables"]["t2m"]["shape"] == [5, 20, 30]


def test_without_eccodes_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "eccodes", None)
    path = tmp_path / "a.grib"
    path.write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(LocalError, match=r"a\.grib: .* pip install 'stacbuild\[grib\]'"):
        open_source(str(path))


def test_a_list_and_a_cube(tmp_path: Path) -> None:
    steps = [message(field(n), shortName="2t", step=6 * n) for n in range(2)]
    (tmp_path / "data").mkdir()
    write_grib(tmp_path / "data/a.grib2", *steps)
    assert [each.data_id for each in stacbuild.list_data("file", str(tmp_path / "data"))] == [
        "a.grib2"
    ]
    (tmp_path / "c.yml").write_text(
        """
data_stores:
  - {identifier: own, store_id: file, store_params: {root: data}}
  - {identifier: storage, store_id: file, store_params: {root: cubes}}
datasets:
  - {identifier: air, store: own, data_id: a.grib2}
"""
    )
    config = stacbuild.load_config(tmp_path / "c.yml")
    stacbuild.harvest(config)
    results = stacbuild.build(config)
    assert all(each.status == "COMPLETED" for each in results), results
    with xr.open_zarr(tmp_path / "cubes/air.zarr") as cube:
        for number, each in enumerate(steps):
            assert np.array_equal(cube["t2m"][number].values, decoded(each).astype("f4"))
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["a.grib2"]
