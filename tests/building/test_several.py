"""Cubes that are built at the same time: which, how many, with which memory, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stacbuild import load_config, progress
from stacbuild.building.several import MOST, StoppedError, Together, of_remote_scenes
from stacbuild.config import Config
from stacbuild.planning.job import Job
from stacbuild.planning.planner import resolver_of
from stacbuild.planning.resolve import Resolver
from stacbuild.progress import Silent, SilentTask

GRID = {"identifier": "grid", "crs": "EPSG:4326", "bbox": [0, 0, 1, 1], "spatial_res": 0.1}
STORES = {
    "api": ("stac", {"url": "https://stac.example.com/v1"}),
    "local": ("stac", {"root": "catalog"}),
    "files": ("file", {"root": "src"}),
    "storage": ("file", {"root": "data"}),
}


def configured(directory: Path, *changes: dict[str, Any], **general: Any) -> Config:
    """Return a configuration with a dataset for each of *changes*."""
    (directory / "code.py").write_text("def change(ds):\n    return ds\n")
    kinds = STORES | {
        # Servers of their own.
        f"api{number}": ("stac", {"url": f"https://stac{number}.example.com/v1"})
        for number in range(len(changes))
    }
    datasets = [
        {
            key: value
            for key, value in (
                {
                    "identifier": f"d{number}",
                    "store": f"api{number}",
                    "data_id": f"s{number}",
                    "grid_mapping": "grid",
                }
                | each
            ).items()
            if value is not None
        }
        for number, each in enumerate(changes)
    ]
    stores = [
        {"identifier": name, "store_id": kind, "store_params": params}
        for name, (kind, params) in kinds.items()
    ]
    data = {
        "datasets": datasets,
        "data_stores": stores,
        "grid_mappings": [GRID],
        "general": {"memory": "4 GB", **general},
    }
    return load_config(data, base_dir=directory)


def resolver_for(config: Config, directory: Path) -> Resolver:
    return resolver_of(config, directory / "catalogs", [], None)[0]


def sized(nbytes: int) -> Any:
    return SimpleNamespace(variables=[SimpleNamespace(nbytes=nbytes)])


def test_cubes_of_remote_scenes_are_built_together(tmp_path: Path) -> None:
    custom = {"custom_processing": {"module_path": "code", "function_name": "change"}}
    config = configured(
        tmp_path,
        {},
        {"store": "local"},
        {"store": "files", "data_id": "a.tif", "grid_mapping": None},
        {"format_id": "netcdf"},
        custom,
        {"grid_mapping": "d2"},
        {"grid_mapping": "d0"},
    )
    assert [each.identifier for each in of_remote_scenes(config, config.datasets)] == ["d0", "d6"]
    assert of_remote_scenes(config, config.datasets[:2]) == []
    for scheduler in ("synchronous", "processes", "local"):
        assert of_remote_scenes(config.with_scheduler(scheduler), config.datasets) == []


def run_all(
    directory: Path, config: Config, run: Callable[..., Any], chosen: int | None = None
) -> dict[str, Any]:
    datasets = config.datasets[:chosen]
    return Together(resolver_for(config, directory), run).results(datasets)


def test_a_few_at_a_time_and_results_by_name(tmp_path: Path) -> None:
    config = configured(tmp_path, *[{}] * (3 * MOST))
    full, running, most = threading.Barrier(MOST), 0, 0
    lock = threading.Lock()

    def run(resolver: Resolver, dataset: Any, admit: Any) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(30)
        with lock:
            running -= 1
        return dataset.identifier.upper()

    found = run_all(tmp_path, config, run)
    assert most == MOST
    assert found == {f"d{number}": f"D{number}" for number in range(3 * MOST)}


def test_memory_is_divided_and_a_large_cube_has_all_of_it_alone(tmp_path: Path) -> None:
    config = configured(tmp_path, *[{}] * MOST)
    inside: set[str] = set()
    began = threading.Barrier(MOST)
    seen: dict[str, tuple[int, int]] = {}
    lock = threading.Lock()

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        began.wait(30)
        large = dataset.identifier == "d1"
        nbytes = resolver.memory + 1 if large else resolver.memory
        job = _job_of(resolver)
        with admit(job, sized(nbytes)) as admitted:
            with lock:
                inside.add(dataset.identifier)
                assert not large or inside == {"d1"}
                assert large or "d1" not in inside
                seen[dataset.identifier] = resolver.memory, admitted.memory
            with lock:
                inside.remove(dataset.identifier)

    run_all(tmp_path, config, run)
    share = 4 * 10**9 // MOST
    assert seen.pop("d1") == (share, 4 * 10**9)
    assert set(seen.values()) == {(share, share)}


def _job_of(resolver: Resolver) -> Any:
    job = Job(**dict.fromkeys(Job.__dataclass_fields__))  # type: ignore[arg-type]
    return replace(job, memory=resolver.memory)


def test_datasets_of_one_source_follow_each_other(tmp_path: Path) -> None:
    config = configured(
        tmp_path, {}, {"store": "api0", "data_id": "s0"}, {}, {"grid_mapping": "d2"}
    )
    order: list[str] = []
    ended: set[str] = set()

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        order.append(dataset.identifier)
        if dataset.identifier == "d1":
            assert "d0" in ended
        ended.add(dataset.identifier)

    run_all(tmp_path, config, run)
    assert sorted(order) == ["d0", "d1", "d2", "d3"]


def test_the_first_of_a_server_is_harvested_before_the_others(tmp_path: Path) -> None:
    config = configured(tmp_path, *[{"store": "api"}] * MOST, {"store": "api0"})
    order: list[str] = []
    full = threading.Barrier(MOST)

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        order.append(dataset.identifier)
        if dataset.identifier == f"d{MOST}":
            return
        if dataset.identifier == "d0":
            assert order == ["d0"]
        with admit(_job_of(resolver), sized(1)):
            # From then on, all are built at the same time.
            full.wait(30)

    run_all(tmp_path, config, run)
    assert order[0] == "d0"
    assert len(order) == MOST + 1


def test_each_thread_has_a_reader_of_the_catalog(tmp_path: Path) -> None:
    config = configured(tmp_path, *[{}] * (2 * MOST))
    used: list[Any] = []
    full = threading.Barrier(MOST)

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        used.append(resolver.catalog)
        full.wait(30)

    run_all(tmp_path, config, run)
    assert len({id(each) for each in used}) == MOST
    assert len({id(each.alone()) for each in used}) == 1


class Told(Silent):
    """A reporter that records labels and messages."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.said.append(f"warning: {message}")

    @contextmanager
    def task(self, label: str, *, total: float | None = None, unit: Any = "items") -> Any:
        self.labels.append(label)
        yield SilentTask()


def test_tasks_are_named_by_their_dataset(tmp_path: Path) -> None:
    config, told = configured(tmp_path, {}), Told()

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        with progress.task("api: describe") as task:
            task.advance()
            task.update(done=1)
        with progress.task("d0.zarr"):
            progress.say("said")
            progress.warn("warned")

    with progress.reported_to(told):
        run_all(tmp_path, config, run)
    assert told.labels == ["cubes", "d0: describe", "d0.zarr"]
    assert told.said == ["said", "warning: warned"]


def test_an_interrupt_ends_those_that_run_and_starts_no_other(tmp_path: Path) -> None:
    config = configured(tmp_path, *[{}] * 100)
    full = threading.Barrier(MOST)
    ended: list[str] = []

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        if int(dataset.identifier[1:]) >= MOST:
            return  # the thread of the first one may take another before the others end
        full.wait(30)
        if dataset.identifier == "d0":
            # As if it had come to the thread that waits for all.
            raise KeyboardInterrupt
        try:
            with progress.task("a") as task:
                while True:
                    task.advance()
        except StoppedError:
            ended.append(dataset.identifier)
            raise

    with pytest.raises(KeyboardInterrupt):
        run_all(tmp_path, config, run)
    assert sorted(ended) == [f"d{number}" for number in range(1, MOST)]


def test_a_job_that_waits_for_room_is_not_let_in_after_an_interrupt(tmp_path: Path) -> None:
    config = configured(tmp_path, {}, {})
    full = threading.Barrier(2)
    inside: list[str] = []

    def run(resolver: Resolver, dataset: Any, admit: Any) -> None:
        job = _job_of(resolver)
        if dataset.identifier == "d0":
            with admit(job, sized(1)):
                full.wait(30)
                raise KeyboardInterrupt
        full.wait(30)
        with admit(job, sized(10**12)):
            inside.append(dataset.identifier)

    with pytest.raises(KeyboardInterrupt):
        run_all(tmp_path, config, run)
    assert inside in ([], ["d1"])
