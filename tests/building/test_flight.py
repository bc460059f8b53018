"""Several regions in flight: bounds, order of failures, and requests of a real build."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

import stacbuild
from stacbuild.building.flight import Flight, LandedError
from stacbuild.config import load_config
from tests.support.cli import configuration
from tests.support.file_server import FileServer


class Counter:
    """Counts how many calls run at the same time; each waits until *enough* do."""

    def __init__(self, enough: int) -> None:
        self.running = self.most = 0
        self._changed = threading.Condition()
        self._enough = enough

    def __call__(self) -> None:
        with self._changed:
            self.running += 1
            self.most = max(self.most, self.running)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._enough, timeout=20)
            self.running -= 1


def test_as_many_as_have_room_run_at_the_same_time() -> None:
    count = Counter(enough=3)
    with Flight(lambda: 7) as flight:
        for _ in range(12):
            flight.submit(count, tasks=2)
    assert count.most == 3


def test_a_region_with_more_tasks_than_have_room_runs_alone() -> None:
    count = Counter(enough=1)
    with Flight(lambda: 4) as flight:
        for _ in range(3):
            flight.submit(count, tasks=39)
    assert count.most == 1


def test_without_room_for_tasks_the_calling_thread_runs_them() -> None:
    names = []
    with Flight(lambda: 0) as flight:
        flight.submit(lambda: names.append(threading.current_thread().name), tasks=1)
    assert names == [threading.current_thread().name]


def test_the_first_failure_is_raised_and_ends_the_others() -> None:
    ended, begun = [], threading.Event()

    def fails() -> None:
        begun.wait(20)
        raise ValueError("first")

    flight = Flight(lambda: 2)

    def goes_on() -> None:
        begun.set()
        try:
            while True:
                flight.check()
                time.sleep(0.001)
        except LandedError:
            ended.append(True)
            raise

    flight.submit(goes_on, tasks=1)
    flight.submit(fails, tasks=1)
    with pytest.raises(ValueError, match="first"), flight:
        pass
    assert ended == [True]


def raster(path: Path) -> bytes:
    values = np.random.default_rng(1).integers(0, 250, (2048, 2048), "uint8")
    with rasterio.open(
        path, "w", driver="GTiff", width=2048, height=2048, count=1, dtype="uint8",
        crs="EPSG:32632", transform=from_origin(400_000, 5_800_000, 20, 20),
        tiled=True, blockxsize=256, blockysize=256, nodata=255,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return path.read_bytes()


def test_a_remote_file_has_many_requests_in_flight(tmp_path: Path) -> None:
    """As many as the limit for a host allows, and no byte is fetched twice."""
    content = raster(tmp_path / "a.tif")
    waiting = most = 0
    changed = threading.Condition()

    def slow(_: object) -> bool:
        nonlocal waiting, most
        with changed:
            waiting += 1
            most = max(most, waiting)
            changed.notify_all()
            # Those of the header come alone.
            changed.wait_for(lambda: most >= 8, timeout=0.3)
            waiting -= 1
        return False

    (tmp_path / "test/profiles").mkdir(parents=True)
    (tmp_path / "test/profiles/dates.yml").write_text(
        'source: "*"\ndata: [{match: "*.tif", start_datetime: 2019-01-01}]'
    )
    with FileServer({"/a.tif": content}, faults=[slow] * 2000) as server:
        config = load_config(
            configuration(
                tmp_path / "test",
                data_stores=[
                    {
                        "identifier": "web",
                        "store_id": "https",
                        "store_params": {"root": server.url},
                    },
                    {
                        "identifier": "storage",
                        "store_id": "file",
                        "store_params": {"root": str(tmp_path / "out")},
                    },
                ],
                grid_mappings=[
                    {
                        "identifier": "grid",
                        "crs": "EPSG:32632",
                        "bbox": [400_000, 5_759_040, 440_960, 5_800_000],
                        "spatial_res": 10,
                        "tile_size": 2048,
                    }
                ],
                datasets=[
                    {
                        "identifier": "cube",
                        "store": "web",
                        "data_id": "a.tif",
                        "grid_mapping": "grid",
                    }
                ],
            )
        )
        stacbuild.build(config)
        sent = server.body_bytes
    with rasterio.open(tmp_path / "a.tif") as file:
        expected = file.read(1)
    opened = stacbuild.open_cube(config, "cube")
    values = opened[next(iter(opened.data_vars))].values
    np.testing.assert_array_equal(values, expected.repeat(2, 0).repeat(2, 1))
    assert 8 <= most <= 32
    assert sent <= 1.2 * len(content)
