"""Which fields of a GRIB file form one group."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.errors import IntegrityError
from stacbuild.formats.zarr_store import group_paths, open_source
from tests.support.grib_files import field, message, write_grib

PL = "regular_ll_pl_grib2"


def _groups(path: Path, *messages: bytes) -> list[str]:
    return group_paths(str(write_grib(path / "a.grib", *messages)))


def test_runs_that_do_not_overlap_are_one_series(tmp_path: Path) -> None:
    runs = [
        message(field(n), shortName="2t", dataTime=time, step=step)
        for n, (time, step) in enumerate(((0, 0), (0, 6), (1200, 0), (1200, 6)))
    ]
    assert _groups(tmp_path, *runs) == [""]


def test_runs_that_overlap_are_groups(tmp_path: Path) -> None:
    runs = [
        message(field(), shortName="2t", dataTime=time, step=step)
        for time, step in ((0, 0), (0, 12), (1200, 0), (1200, 12))
    ]
    assert _groups(tmp_path, *runs) == ["20200131T0000", "20200131T1200"]


def test_variables_of_other_times_are_groups(tmp_path: Path) -> None:
    instant = [message(field(), shortName="sp", step=step) for step in (0, 6)]
    total = message(field(), shortName="tp", stepType="accum", stepRange="0-6")
    assert _groups(tmp_path, *instant, total) == ["accum", "instant"]


def test_variables_of_other_levels_are_groups(tmp_path: Path) -> None:
    levels = [("t", 500), ("t", 850), ("q", 850), ("q", 1000)]
    found = [message(field(), PL, shortName=name, level=level) for name, level in levels]
    assert _groups(tmp_path, *found) == ["q", "t"]
    with open_source(str(tmp_path / "a.grib/q")) as group:
        assert group["isobaricInhPa"].values.tolist() == [850, 1000]


def test_a_field_that_is_missing_separates_levels(tmp_path: Path) -> None:
    found = [
        message(field(), PL, shortName="t", level=level, step=step)
        for level, step in ((500, 0), (850, 0), (850, 6))
    ]
    assert _groups(tmp_path, *found) == ["level500", "level850"]


def test_the_same_field_twice_is_refused(tmp_path: Path) -> None:
    one = message(field(), shortName="2t")
    with pytest.raises(IntegrityError, match=r"t2m .*several fields of the same time, level and"):
        _groups(tmp_path, one, one)


def test_grids_are_groups(tmp_path: Path) -> None:
    other = message(field(), shortName="2t", longitudeOfFirstGridPointInDegrees=1.5,
                    longitudeOfLastGridPointInDegrees=30.5)  # fmt: skip
    assert _groups(tmp_path, message(field(), shortName="2t"), other) == ["grid1", "grid2"]
