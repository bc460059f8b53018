"""A life of cubes: edits, runs, kills and losses in any order, and what holds at every moment.

Four invariants, after every step:

- the catalog is valid JSON and every link in it leads somewhere;
- every cube that its item names opens, is whole, holds what its sources held when it was built, and
  bears the fingerprint of its item; only a kill may leave that to the next run;
- what the plan says is what the build does;
- what somebody else put where a build writes is there, byte by byte.

Runs are processes of their own, killed for real, as children of one that has imported all
(`tests.support.forked`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from rasterio import Affine

from stacbuild.config import load_config
from stacbuild.planning.planner import CubePlan, plan
from stacbuild.stac.extensions import FINGERPRINT
from stacbuild.storage.output import ATTRIBUTE
from tests.support.forked import Ended, Runs

SIDE, WEST, NORTH, RES = 64, 10.0, 46.0, 0.01
CUBES = {"one": ("a.tif",), "two": ("a.tif", "b.tif"), "three": ("c.zarr",)}
KILLED, DAMAGED, REFUSED = -9, 4, 5
FOREIGN = b"somebody else's\n"
# Where a build writes, and names like those.
HARMLESS = (".old", ".owner", ".staging", ".tmp", ".holder", "notes.txt")
PLACES = (
    "data/{name}.zarr",
    "data/.{name}.zarr.lock",
    "data/.{name}.zarr.journal",
    "data/.{name}.zarr.holder",
    "data/.{name}.zarr.old",
    "data/.{name}.zarr.journal.tmp",
    "data/.{name}.zarr.0123abcd.old",
    "data/.{name}.zarr.0123abcd.staging",
    "data/.{name}.zarr.0123abcd.owner",
    "catalogs/c/{name}/{name}.json",
    "catalogs/c/{name}/thumbnail.png",
    "catalogs/c/{name}/.{name}.json.1.tmp",
    "catalogs/c/{name}/notes.txt",
)

cubes = st.lists(st.sampled_from(sorted(CUBES)), unique=True, max_size=2).map(tuple)


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 99, (SIDE, SIDE), dtype=np.uint8)


@dataclass
class World:
    """What stands in the configuration and the sources, and what was made of it."""

    tile: int = 32
    columns: int = SIDE
    zarr_format: int = 3
    method: str | None = None
    added: int = 0
    title: str | None = None
    # Of no consequence for what is written.
    scheduler: str = "threads"
    order: bool = False
    # Of each source how often it was written, and from what.
    seeds: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"a.tif": (0, 1), "b.tif": (0, 2), "c.zarr": (0, 3)}
    )

    def state(self, cube: str) -> tuple[Any, ...]:
        """All that a cube depends on: equal states need no new build."""
        own = (self.added, self.method) if cube == "one" else ()
        title = self.title if "a.tif" in CUBES[cube] else None
        sources = tuple(self.seeds[source] for source in CUBES[cube])
        return (self.tile, self.columns, self.zarr_format, title, own, sources)

    def content(self, cube: str) -> list[np.ndarray]:
        """What its variables have to hold."""
        added = self.added if cube == "one" else 0
        return [values(self.seeds[source][1])[:, : self.columns] + added for source in CUBES[cube]]


class Life(RuleBasedStateMachine):
    runs: Runs

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.config = self.folder / "c_config.yml"
        self.catalog = self.folder / "catalogs"
        self.world = World()
        # Of each cube the state and content that its last whole build was made from.
        self.built: dict[str, tuple[Any, ...]] = {}
        self.held: dict[str, list[np.ndarray]] = {}
        # What was begun since, by a run that was killed: that may stand there as well.
        self.begun: dict[str, list[list[np.ndarray]]] = {}
        self.unsure: set[str] = set()
        self.lost: set[str] = set()
        self.itemless: set[str] = set()
        # What somebody else put somewhere, and of which cube that is the place.
        self.foreign: dict[Path, str] = {}
        # Sources that were written to since they were harvested, or may not have been described.
        self.stale: set[str] = set(self.world.seeds)
        self.of_fingerprint: dict[str, list[np.ndarray]] = {}
        for source in self.world.seeds:
            self._write_source(source)
        self._write_config()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # --- edits ---

    @rule(
        key=st.sampled_from(["tile", "columns", "zarr_format", "method", "added"]),
        which=st.integers(0, 1),
    )
    def edit_config(self, key: str, which: int) -> None:
        choices: dict[str, tuple[Any, Any]] = {
            "tile": (32, 48),
            "columns": (SIDE, 40),
            "zarr_format": (3, 2),
            "method": (None, "nearest"),
            "added": (0, 100),
        }
        setattr(self.world, key, choices[key][which])
        self._write_config()

    @rule(scheduler=st.sampled_from(["threads", "single-threaded"]), order=st.booleans())
    def edit_config_without_consequence(self, scheduler: str, order: bool) -> None:
        self.world.scheduler, self.world.order = scheduler, order
        self._write_config()

    @rule(source=st.sampled_from(["a.tif", "b.tif", "c.zarr"]), seed=st.integers(4, 9))
    def edit_source(self, source: str, seed: int) -> None:
        self.world.seeds[source] = (self.world.seeds[source][0] + 1, seed)
        self._write_source(source)
        self.stale.add(source)

    @rule(title=st.sampled_from([None, "A", "B"]))
    def edit_profile(self, title: str | None) -> None:
        self.world.title = title
        path = self.folder / "profiles" / "mine.yml"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if title:
            entry = {"match": "a.tif", "title": title}
            path.write_text(yaml.safe_dump({"source": "file:*", "data": [entry]}))

    # --- runs ---

    @rule()
    def harvest(self) -> None:
        done = self.runs("harvest", self.config)
        assert done.code == 0, done.stderr
        self.stale.clear()

    @rule(names=cubes)
    def build(self, names: tuple[str, ...]) -> None:
        planned = self._plan(names)
        before = {name: self._made(name) for name in CUBES}
        done = self.runs("cube", self.config, *names)
        refused = any(each.action == "conflict" for each in planned)
        assert done.code == (REFUSED if refused else 0), done.stderr
        self._built(planned, before)

    @rule(name=st.sampled_from(sorted(CUBES)))
    def remove(self, name: str) -> None:
        blocked = self._is_blocked(name)
        done = self.runs("remove", self.config, name, "--yes")
        assert done.code == 0 or (done.code == REFUSED and blocked), done.stderr
        if done.code:
            return
        assert not self._item(name).exists()
        left = self._cube(name).exists()
        assert not left or blocked, name
        for known in (self.begun, self.unsure, self.lost, self.itemless):
            known.pop(name, None) if isinstance(known, dict) else known.discard(name)
        self.built.pop(name, None)
        if left and self._cube(name) not in self.foreign:
            self.itemless.add(name)
        else:
            self.held.pop(name, None)

    @rule(names=cubes, at=st.integers(1, 14), late=st.booleans())
    def kill_at_a_renaming(self, names: tuple[str, ...], at: int, late: bool) -> None:
        self._kill(names, kill_at=at, late=late)

    @rule(names=cubes, after=st.floats(0.02, 0.8))
    def kill_at_a_time(self, names: tuple[str, ...], after: float) -> None:
        self._kill(names, kill_after=after)

    @rule(at=st.integers(1, 6), late=st.booleans())
    def kill_a_harvest(self, at: int, late: bool) -> None:
        done = self.runs("harvest", self.config, kill_at=at, late=late)
        assert done.code in (0, KILLED), done.stderr
        self.stale = set() if done.code == 0 else set(self.world.seeds)

    @rule()
    def validate(self) -> None:
        done = self.runs("validate", self.config, "--deep")
        assert "internal error" not in done.stderr, done
        if not (self.catalog / "catalog.json").exists():
            assert done.code != 0
        elif self.foreign:
            pass
        elif self.lost or any(not self._item(name).exists() for name in self.itemless):
            assert done.code == DAMAGED, done.stderr
        elif not self.unsure and not self.stale:
            assert done.code == 0, done.stderr

    # --- losses ---

    # What is drawn must not depend on what a kill left, which is another every time.
    @rule(name=st.sampled_from(sorted(CUBES)))
    def delete_cube(self, name: str) -> None:
        if self._is_sound(name):
            shutil.rmtree(self._cube(name))
            self.lost.add(name)

    @rule(name=st.sampled_from(sorted(CUBES)))
    def delete_item(self, name: str) -> None:
        if self._is_sound(name):
            shutil.rmtree(self._item(name).parent)
            self.itemless.add(name)

    @rule(name=st.sampled_from(sorted(CUBES)))
    def move_a_cube_without_an_item_away(self, name: str) -> None:
        if name in self.itemless and self._cube(name) not in self.foreign:
            shutil.rmtree(self._cube(name), ignore_errors=True)

    # --- what somebody else does ---

    @rule(name=st.sampled_from(sorted(CUBES)), where=st.sampled_from(PLACES))
    def put_something(self, name: str, where: str) -> None:
        path = self.folder / where.format(name=name)
        if os.path.lexists(path) or name in self.unsure:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FOREIGN)
        self.foreign[path] = name

    @rule(which=st.integers(0, 20))
    def take_it_away(self, which: int) -> None:
        if self.foreign:
            path = sorted(self.foreign)[which % len(self.foreign)]
            path.unlink()
            del self.foreign[path]

    # --- what holds at every moment ---

    @invariant()
    def foreign_bytes_never_change(self) -> None:
        for path in self.foreign:
            assert path.read_bytes() == FOREIGN, path

    @invariant()
    def the_catalog_is_whole(self) -> None:
        left = [self.catalog / "catalog.json"]
        seen = set(left)
        if not left[0].exists():
            assert not self.built
            return
        while left:
            path = left.pop()
            content = json.loads(path.read_bytes())
            for link in content["links"]:
                if "://" in link["href"]:
                    continue
                target = Path(os.path.normpath(path.parent / link["href"]))
                if target in self.foreign:
                    continue
                if target.stem in self.itemless and target == self._item(target.stem):
                    continue
                if link["rel"] == "store":
                    gone = path.stem in self.lost | self.unsure
                    assert target.exists() or gone, (path, link)
                    continue
                assert target.is_file(), (path, link)
                if target not in seen:
                    seen.add(target)
                    left.append(target)
        for path in self.catalog.rglob("*.json"):
            if not path.name.startswith(".") and path not in self.foreign:
                json.loads(path.read_bytes())

    @invariant()
    def every_cube_is_whole_and_that_of_its_item(self) -> None:
        for name in CUBES:
            cube, item = self._cube(name), self._item(name)
            if not cube.exists() or cube in self.foreign:
                gone = self.lost | self.unsure | self.itemless
                assert name not in self.built or name in gone, name
                continue
            with xr.open_zarr(cube) as opened:
                held = [array.load().values.squeeze() for array in opened.data_vars.values()]
                fingerprint = opened.attrs[ATTRIBUTE]
            allowed = self.begun.get(name, [])
            if name in self.held:
                allowed = [*allowed, self.held[name]]
            assert any(_same(held, each) for each in allowed), name
            # One fingerprint, one content: whoever trusts it is never deceived.
            assert _same(held, self.of_fingerprint.setdefault(fingerprint, held)), name
            if item.exists() and item not in self.foreign and name not in self.unsure:
                content = json.loads(item.read_bytes())
                assert content["properties"][FINGERPRINT] == fingerprint, name
                assert (
                    Path(os.path.normpath(item.parent / content["assets"]["data"]["href"])) == cube
                )

    @invariant()
    def the_plan_says_what_changed(self) -> None:
        for planned in self._plan(()):
            name = planned.name
            assert planned.action != "fails", planned
            if name in self.unsure:
                continue
            if self._is_blocked(name):
                assert planned.action in ("conflict", "up to date"), planned
                continue
            if name not in self.built or name in self.itemless:
                assert planned.action == "create", planned
            elif name in self.lost or self.built[name] != self.world.state(name):
                assert planned.action == "rebuild", planned
                assert planned.reason
            elif planned.action == "rebuild":
                # For another cube its source was described by another profile, which is gone again.
                assert "a.tif" in CUBES[name], planned
                assert planned.reasons[0] == "source a.tif: its profile changed", planned
            else:
                assert planned.action == "up to date", planned

    # --- the means ---

    def _is_blocked(self, name: str) -> bool:
        """Whether something is in the way of a cube that nothing says stacbuild made."""
        if name in self.itemless and self._cube(name).exists():
            return True
        return any(
            of == name and not path.name.endswith(HARMLESS) for path, of in self.foreign.items()
        )

    def _is_sound(self, name: str) -> bool:
        if self._is_blocked(name):
            return False
        return name in self.built and name not in self.lost | self.itemless | self.unsure

    def _cube(self, name: str) -> Path:
        return self.folder / "data" / f"{name}.zarr"

    def _item(self, name: str) -> Path:
        return self.catalog / "c" / name / f"{name}.json"

    def _plan(self, names: Sequence[str]) -> list[CubePlan]:
        return plan(load_config(self.config), self.catalog, names)

    def _made(self, name: str) -> tuple[int, int] | None:
        """What is another after every build, and only then."""
        for metadata in ("zarr.json", ".zgroup"):
            with contextlib.suppress(FileNotFoundError):
                found = (self._cube(name) / metadata).stat()
                return found.st_ino, found.st_mtime_ns
        return None

    def _built(
        self, planned: Sequence[CubePlan], before: dict[str, tuple[int, int] | None]
    ) -> None:
        """Check that a build that went well did what was planned, and nothing else."""
        planned = [each for each in planned if each.action != "conflict"]
        made = {each.name for each in planned if each.action != "up to date"}
        for name in CUBES:
            assert (self._made(name) != before[name]) == (name in made), (name, planned)
        for each in planned:
            self.built[each.name] = self.world.state(each.name)
            self.held[each.name] = self.world.content(each.name)
            self.stale -= set(CUBES[each.name])
            for known in (self.begun, self.unsure, self.lost, self.itemless):
                known.pop(each.name, None) if isinstance(known, dict) else known.discard(each.name)

    def _kill(self, names: tuple[str, ...], **when: Any) -> Ended:
        planned = self._plan(names)
        before = {name: self._made(name) for name in CUBES}
        for name in names or CUBES:
            self.begun.setdefault(name, []).append(self.world.content(name))
        done = self.runs("cube", self.config, *names, **when)
        assert done.code in (0, KILLED, REFUSED), done.stderr
        if done.code != KILLED:
            self._built(planned, before)
        else:
            idle = ("up to date", "conflict")
            self.unsure |= {each.name for each in planned if each.action not in idle}
            # A run that was killed may have come to its end with some.
            self.lost -= {name for name in self.unsure if self._cube(name).exists()}
            self.itemless -= {name for name in self.unsure if self._item(name).exists()}
        return done

    def _write_source(self, name: str) -> None:
        path = self.folder / "src" / name
        path.parent.mkdir(exist_ok=True)
        pixels = values(self.world.seeds[name][1])
        if path.suffix == ".tif":
            with rasterio.open(
                path, "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="uint8",
                crs="EPSG:4326", transform=Affine(RES, 0, WEST, 0, -RES, NORTH), compress="deflate",
            ) as file:  # fmt: skip
                file.write(pixels, 1)
        else:
            shutil.rmtree(path, ignore_errors=True)
            lat = NORTH - RES * (np.arange(SIDE) + 0.5)
            lon = WEST + RES * (np.arange(SIDE) + 0.5)
            xr.Dataset({"v": (("lat", "lon"), pixels)}, {"lat": lat, "lon": lon}).to_zarr(
                path, zarr_format=2, consolidated=True
            )

    def _write_config(self) -> None:
        world = self.world
        code = (
            "import numpy as np\n\n\n"
            f"def add(ds):\n    return (ds + np.uint8({world.added})).assign_attrs(ds.attrs)\n"
        )
        (self.folder / "modify.py").write_text(code)
        custom = {"module_path": "modify", "function_name": "add"}
        one: dict[str, Any] = {"identifier": "one", "store": "local", "data_id": "a.tif"}
        one["custom_processing"] = custom
        if world.method:
            one["spatial_resample_params"] = {"interp_methods": world.method}
        two = {
            "identifier": "two",
            "variables": [
                {"identifier": name, "store": "local", "data_id": data_id}
                for name, data_id in (("x", "a.tif"), ("y", "b.tif"))
            ],
        }
        three = {"identifier": "three", "store": "local", "data_id": "c.zarr"}
        east = round(WEST + world.columns * RES, 6)
        content = {
            "datasets": [{"grid_mapping": "grid"} | each for each in (one, two, three)],
            "data_stores": [
                {"identifier": name, "store_id": "file", "store_params": {"root": root}}
                for name, root in (("storage", "data"), ("local", "src"))
            ],
            "grid_mappings": [
                {
                    "identifier": "grid",
                    "bbox": [WEST, round(NORTH - SIDE * RES, 6), east, NORTH],
                    "spatial_res": RES,
                    "crs": "EPSG:4326",
                    "tile_size": world.tile,
                }
            ],
            "general": {"zarr_format": world.zarr_format, "dask_scheduler": world.scheduler},
        }
        self.config.write_text(yaml.safe_dump(content, sort_keys=world.order))


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and bool((a == b).all()) for a, b in zip(one, other, strict=True)
    )


quick = settings(
    max_examples=2,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A life is long, and each of its steps a process: the failing one tells enough as it is.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    print_blob=True,
)


def live(runs: Runs, chosen: settings) -> None:
    kind = type("Life", (Life,), {"runs": runs})
    run_state_machine_as_test(kind, settings=chosen)


def test_a_short_life(runs: Runs) -> None:
    live(runs, quick)


@pytest.mark.slow
def test_many_long_lives(runs: Runs) -> None:
    live(runs, settings(quick, max_examples=30, stateful_step_count=30))


def test_a_zarr_source_that_is_written_anew_with_as_many_bytes_is_noticed(runs: Runs) -> None:
    life = type("Life", (Life,), {"runs": runs})()
    try:
        life.build(("three",))
        size = sum(path.stat().st_size for path in (life.folder / "src/c.zarr").rglob("*/*.*"))
        life.edit_source("c.zarr", 4)
        again = sum(path.stat().st_size for path in (life.folder / "src/c.zarr").rglob("*/*.*"))
        assert size == again
        (planned,) = life._plan(["three"])
        assert planned.reason == "source c.zarr: written to since it was harvested"
        done = life.runs("validate", life.config)
        assert done.code == DAMAGED
        assert "c.zarr: was written at" in done.stderr
        life.build(("three",))
        life.every_cube_is_whole_and_that_of_its_item()
        life.validate()
    finally:
        life.teardown()
