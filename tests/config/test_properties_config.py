"""Whatever stands in the file: a Config, or a ConfigError that says where; and soon."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stacbuild.config import Config, load_config
from stacbuild.errors import ConfigError
from stacbuild.geo.grid import Grid
from stacbuild.profiles import Profiles
from tests.standins.demo import ROOT, Endpoints, demo_config
from tests.standins.zenodo import ZenodoServer
from tests.support.cli import configuration, errors, stacbuild

SCS2 = (ROOT / "scs2_config.yml").read_bytes()
# Nothing here takes a tenth of it; what hangs, or takes the square of its length, takes more.
LONGEST = 15.0

Files = tuple[Path, list[bytes]]

default = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
thorough = settings(default, max_examples=1500, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A folder with the modules of custom processing, and sound configurations to spoil."""
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copy(ROOT / "modify_dataset.py", folder)
    url = "http://127.0.0.1:9"
    demo = demo_config(
        folder / "demo", Endpoints(f"{url}/api", f"{url}/api", url, "clms-credentials.json")
    )
    return folder, [SCS2, demo.read_bytes()]


def outcome(folder: Path, raw: bytes) -> Config | list[str]:
    """Read it; what comes back is a configuration that can be used, or lines with places."""
    path = folder / "c_config.yml"
    path.write_bytes(raw)
    start = time.monotonic()
    config, refused = None, None
    try:
        config = load_config(path)
    except ConfigError as error:
        refused = error
    assert time.monotonic() - start < LONGEST
    if config is None:
        lines = str(refused).splitlines()
        assert refused is not None
        assert lines == refused.problems
        assert lines
        for line in lines:
            assert line.isprintable()
            assert _is_placed(line, path, raw), line
        return lines
    json.dumps(config.resolved(), allow_nan=False)
    for grid in config.grid_mappings:
        Grid.from_mapping(grid, grid.bbox)
    for store in config.data_stores:
        assert store.key
    for dataset in config.datasets:
        config.grid_of(dataset)
        for variable in dataset.variables:
            config.store(variable.store)
    return config


def _is_placed(line: str, path: Path, raw: bytes) -> bool:
    place = re.match(rf"{re.escape(str(path))}:(\d+):(\d+): .", line)
    if place is None:
        # There is no place in a file of which nothing is left but space and comments.
        return line.startswith(f"{path}: is ") and ("empty" in line or "larger" in line)
    # A carriage return and the line breaks of Unicode count for YAML, too.
    rows = raw.decode("utf-8", "replace").splitlines()
    row, column = int(place[1]), int(place[2])
    return 1 <= row <= len(rows) + 1 and 1 <= column <= max(map(len, [*rows, ""])) + 2


# --- the tree, changed ---------------------------------------------------------------------------

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, -0.0, 0.1, 1e3, 1e308, 5e-324, math.nan,
    math.inf, -math.inf, "", " ", "no", "1e3", "0x10", "1:30", "~", "~nobody/x", "/", "..", "../x",
    "a/../b", "C:\\x", "\x1b[31m", "a\nb", "a\tb", "\x00", "\ufeff", "é",
    "\N{MATHEMATICAL DOUBLE-STRUCK DIGIT ONE}", "٣", "x" * 300,
    "EPSG:3035", "EPSG:99999", "EPSG:٣", "epsg:4326", "zenodo:1", "https://u:p@h/", "https://[::1",
    "http://h:x/", "file", "memory", "s3", "clms", "storage", "scs2", "zenodo_senf", "nearest",
    "threads", "&a *a", "<<", "=", [], {}, [[]], [None], {"a": None}, {"identifier": "x"}, [1, 2],
    [0, 0, 1, 1], [10, 10, 0, 0], dt.date(2020, 2, 3), dt.datetime(2020, 2, 3, tzinfo=dt.UTC),
    b"\xff",
]  # fmt: skip
NAMES = [
    "identifier", "store", "store_id", "store_params", "root", "data_id", "variables",
    "grid_mapping", "bbox", "crs", "spatial_res", "tile_size", "custom_processing", "module_path",
    "function_name", "open_params", "general", "zarr_format", "dask_scheduler", "visualize",
    "force_preload", "chunksize", "xr_merge_params", "compat", "join", "spatial_resample_params",
    "interp_methods", "agg_methods", "preload_datasets", "preload_params", "data_ids",
    "storage_options", "anon", "key", "secret", "token", "endpoint_url", "client_kwargs",
    "credentials", "cache_store_params", "access_token", "format_id", "time_range", "identifer", "",
    "no", "1", "a\nb", "\x1b]0;x\x07", "<<", "é",
]  # fmt: skip


def places(node: Any) -> list[tuple[Any, Any]]:
    """Return all (container, key) of a tree."""
    keys = node.keys() if isinstance(node, dict) else range(len(node))
    found = [(node, key) for key in keys]
    for key in keys:
        if isinstance(node[key], dict | list):
            found += places(node[key])
    return found


def change(tree: Any, how: str, chance: random.Random) -> None:
    """Spoil a tree at one place."""
    container, key = chance.choice(places(tree))
    value = container[key]
    if how == "replace":
        container[key] = copy.deepcopy(chance.choice(ODD))
    elif how == "drop":
        del container[key]
    elif how == "add" and isinstance(container, dict):
        container[chance.choice(NAMES)] = copy.deepcopy(chance.choice(ODD))
    elif how == "rename" and isinstance(container, dict):
        container[chance.choice(NAMES)] = container.pop(key)
    elif how == "repeat" and isinstance(container, list):
        container.append(copy.deepcopy(value))
    elif how == "wrap":
        container[key] = chance.choice([[value], {"identifier": value}, [[[value]]]])
    elif how == "nest":
        for _ in range(chance.choice([5, 50, 120])):
            value = [value]
        container[key] = value
    elif how == "swap":
        other, there = chance.choice(places(tree))
        container[key] = copy.deepcopy(other[there])


HOW = ["replace", "replace", "replace", "drop", "add", "rename", "repeat", "wrap", "nest", "swap"]


@st.composite
def changed_trees(draw: Callable[[Any], Any]) -> tuple[int, Callable[[bytes], bytes]]:
    """Return which configuration to take, and a function that spoils it."""
    which = draw(st.integers(0, 1))
    hows = draw(st.lists(st.sampled_from(HOW), min_size=1, max_size=6))
    seed = draw(st.integers(0, 2**32))

    def spoil(raw: bytes) -> bytes:
        # Hypothesis chooses; where in a tree of which nobody knows the size yet, chance does.
        chance = random.Random(seed)
        tree = yaml.safe_load(raw)
        for how in hows:
            if places(tree):
                change(tree, how, chance)
        flow = chance.choice([None, True, False])
        text = yaml.safe_dump(tree, sort_keys=False, default_flow_style=flow, allow_unicode=True)
        return text.encode("utf-8", "replace")

    return which, spoil


def check_trees(files: Files, chosen: tuple[int, Callable[[bytes], bytes]]) -> None:
    folder, sound = files
    which, spoil = chosen
    outcome(folder, spoil(sound[which]))


@default
@given(changed_trees())
def test_a_changed_tree(files: Files, chosen: tuple[int, Callable[[bytes], bytes]]) -> None:
    check_trees(files, chosen)


@pytest.mark.slow
@thorough
@given(changed_trees())
def test_many_changed_trees(files: Files, chosen: tuple[int, Callable[[bytes], bytes]]) -> None:
    check_trees(files, chosen)


# --- the text, changed ---------------------------------------------------------------------------

PIECES = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\r", b"\t", b"\n", b"\xe2\x80\xa8",
    b"\xc2\x85", b"---\n", b"...\n", b"%YAML 1.2\n", b"%YAML 1.99999\n", b"&a ", b"*a ", b"*years",
    b"<<: *years\n", b"<<: *a", b"!!int ", b"!!float ", b"!!bool ", b"!!timestamp ", b"!!binary ",
    b"!!set ", b"!!python/object:os.system ", b"!x%0A ", b"!!null ", b'"\\ud800"', b'"\\U00110000"',
    b'"\\x"', b"'", b'"', b"[", b"]", b"{", b"}", b": ", b"? ", b"- ", b"# ", b"|\n", b">-\n", b"@",
    b"`", b"=", b"1e3", b".nan", b".inf", b"no", b"0o7", b"0b1", b"0xFFFFFFFF", b"1_000", b"1:2:3",
    b"2020-02-30", b"2020-02-03T04:05:06+99:99", b"9" * 400, b"\xf0\x9f\x98\x80", b"\x1b[2J",
]  # fmt: skip

edits = st.lists(
    st.tuples(
        st.sampled_from(["insert", "cut", "repeat", "indent", "overwrite"]),
        st.floats(0, 1),
        st.floats(0, 0.05),
        st.sampled_from(PIECES) | st.binary(max_size=4),
    ),
    min_size=1,
    max_size=5,
)


def edited(raw: bytes, changes: list[tuple[str, float, float, bytes]]) -> bytes:
    for how, at, length, piece in changes:
        start = int(at * len(raw))
        stop = start + int(length * len(raw))
        before, part, after = raw[:start], raw[start:stop], raw[stop:]
        if how == "insert":
            raw = before + piece + part + after
        elif how == "cut":
            raw = before + after
        elif how == "repeat":
            raw = before + part + part + after
        elif how == "indent":
            raw = before + part.replace(b"\n", b"\n  ") + after
        else:
            raw = before + piece + after[len(piece) :]
    return raw


@default
@given(which=st.integers(0, 1), changes=edits)
def test_a_changed_text(files: Files, which: int, changes: Any) -> None:
    outcome(files[0], edited(files[1][which], changes))


@pytest.mark.slow
@thorough
@given(which=st.integers(0, 1), changes=edits)
def test_many_changed_texts(files: Files, which: int, changes: Any) -> None:
    outcome(files[0], edited(files[1][which], changes))


yaml_like = st.lists(
    st.sampled_from([*PIECES, *(name.encode() + b": " for name in NAMES), b"datasets:\n", b"  "]),
    max_size=30,
).map(b"".join)


@default
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode()) | yaml_like)
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b'a: "\\U00110000"\n')
@example(b"%YAML 1." + b"1" * 5000 + b"\n---\na: 1\n")
@example(b"a: !!bool maybe\n")
@example(b"a: !!timestamp today\n")
@example(b'a: !!int ""\n')
@example(b'"a\\nb": 1\n')
@example(b'"\\ud800": 1\n')
@example(b"a: !<x%0Ay> 1\n")
@example(b"a: 0x" + b"f" * 5000)
@example(b"a: " + b"1" * 5000)
@example(b"&a [*a]")
@example(b"a: &a\n  <<: *a\n")
@example(b"a: 1\n---\nb: 2\n")
@example(b"datasets: !!omap [a: 1]\n")
def test_any_bytes(files: Files, raw: bytes) -> None:
    assert isinstance(outcome(files[0], raw), list)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("0.00025", "1" + "0" * 400, "159:18: grid_mappings.0.spatial_res: has to be a finite"),
        ("0.00025", "0x" + "f" * 9000, "159:18: grid_mappings.0.spatial_res: has to be a finite"),
        ("0.00025", "5e-324", "158:11: grid_mappings.0.bbox: its width of 1.75 is inf pixels"),
        ("identifier: senf", "identifier: 0xf" + "f" * 9000, "18:17: datasets.0.identifier: has"),
        ("identifier: senf", "identifier: no", "18:17: datasets.0.identifier: has to be text"),
        ("identifier: senf", "identifier: 2020-01-01", "got date 2020-01-01; put it in quotes"),
        ("root: data", "root: ~nobody-here/x", "132:13: data_stores.0.store_params.root: '~nob"),
        (
            "module_path: modify_dataset",
            'module_path: "a\\nb"',
            "module_path: contains a line break",
        ),
        ("module_path: modify_dataset", f"module_path: {'m' * 500}", "module_path: 'mmm"),
        ("store_id: file", "store_id: {file: 1}", "130:15: data_stores.0.store_id: has to be one"),
        (
            "EPSG:4326",
            "EPSG:999999999",
            "160:10: grid_mappings.0.crs: EPSG:999999999 is not a coordi",
        ),
    ],
)
def test_what_once_was_no_config_error(files: Files, old: str, new: str, says: str) -> None:
    assert old in SCS2.decode()
    lines = outcome(files[0], SCS2.decode().replace(old, new, 1).encode())
    assert isinstance(lines, list)
    assert any(says in line for line in lines), lines


# --- profiles ------------------------------------------------------------------------------------

PROFILE = (ROOT / "stacbuild" / "profiles" / "gami.yml").read_bytes()


def profile_outcome(folder: Path, raw: bytes) -> None:
    path = folder / "profiles" / "mine.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    refused = None
    try:
        Profiles.load([path.parent])
    except ConfigError as error:
        refused = error
    for line in refused.problems if refused else ():
        assert line.isprintable()
        assert _is_placed(line, path, raw) or line.startswith(f"{path}: "), line


@default
@given(changes=edits)
def test_a_changed_profile(files: Files, changes: Any) -> None:
    profile_outcome(files[0], edited(PROFILE, changes))


@default
@given(st.binary(max_size=100) | yaml_like)
@example(b"\xff\xfe")
@example(b"source: !!bool x")
@example(b'source: "\\U00110000"')
@example(b"[" * 5000)
@example(b"&a [*a]")
@example(b"")
def test_any_bytes_for_a_profile(files: Files, raw: bytes) -> None:
    profile_outcome(files[0], raw)


# --- in time -------------------------------------------------------------------------------------

_MERGES = "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12))
_LONG = "x" * 300_000
_MANY = "".join(
    f"- {{identifier: d{i}, store: st{i}, grid_mapping: g{i}, data_id: x}}\n" for i in range(1500)
)
_STORES = "".join(
    f"- {{identifier: str{i}, store_id: file, store_params: {{root: a}}}}\n" for i in range(1500)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a0: &a0 {k: v}\n" + _MERGES, id="merges of merges"),
        pytest.param("a: &a [1]\nb: [" + "*a," * 100_000 + "]", id="aliases"),
        pytest.param("[" * 100_000, id="deep lists"),
        pytest.param("- " * 100_000, id="deep blocks"),
        pytest.param("{a: " * 50_000, id="deep mappings"),
        pytest.param("a: [" + "1," * 400_000 + "]", id="a long list"),
        pytest.param("".join(f"k{i}: 1\n" for i in range(60_000)), id="many keys"),
        pytest.param("# " * 400_000, id="a long comment"),
        pytest.param(
            SCS2.decode()
            .replace("store: s3", f"store: {_LONG}y")
            .replace("identifier: s3", f"identifier: {_LONG}"),
            id="long names alike",
        ),
        pytest.param(f"datasets:\n{_MANY}data_stores:\n{_STORES}", id="many names alike"),
        pytest.param("a" * 1_000_001, id="too large"),
    ],
)
def test_what_is_made_to_take_long(files: Files, text: str) -> None:
    assert isinstance(outcome(files[0], text.encode()), list)


# --- nothing is asked of anybody -----------------------------------------------------------------

GRIDS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (
        {"crs": "EPSG:999999"},
        "crs: EPSG:999999 is not a coordinate reference system that the",
    ),
    "words": ({"crs": "WGS 84"}, "crs: 'WGS 84' is not an EPSG code"),
    "vertical": ({"crs": "EPSG:5773"}, "crs: EPSG:5773 (EGM96 height) has no two horizontal axes"),
    "empty": ({"bbox": [10, 45, 10, 46]}, "bbox: west (10.0) has to be less than east (10.0)"),
    "flat": ({"bbox": [10, 45, 11, 45]}, "bbox: south (45.0) has to be less than north (45.0)"),
    "turned": ({"bbox": [10, 46, 11, 45]}, "bbox: south (46.0) has to be less than north (45.0)"),
    "reversed": ({"bbox": [11, 45, 10, 46]}, "bbox: west (11.0) has to be less than east (10.0)"),
    "antimeridian": (
        {"bbox": [170, -20, -100, -10], "crs": "EPSG:4258"},
        "bbox: [170.0, -20.0, 260.0, -10.0] lies far outside of the area of EPSG:4258 (ETRS89)",
    ),
    "beyond": ({"bbox": [170, -20, 190, -10]}, "bbox: [170.0, -20.0, 190.0, -10.0] reaches beyond"),
    "pole": ({"bbox": [0, 80, 10, 91]}, "bbox: [0.0, 80.0, 10.0, 91.0] reaches beyond"),
    "nan": ({"bbox": [10, 45, math.nan, 46]}, "bbox.2: has to be a finite number"),
    "infinite": ({"bbox": [10, -math.inf, 11, 46]}, "bbox.1: has to be a finite number"),
    "text": ({"bbox": "10, 45, 11, 46"}, "bbox: has to be four numbers"),
    "degrees": ({"crs": "EPSG:3035"}, "bbox: [10.0, 45.0, 11.0, 46.0] lies far outside"),
    "metres": ({"bbox": [4e6, 2e6, 5e6, 3e6]}, "bbox: [4000000.0, 2000000.0, 5000000.0, 3000000."),
    "elsewhere": (
        {"crs": "EPSG:27700", "bbox": [3e6, 1e5, 3.1e6, 2e5], "spatial_res": 100},
        "bbox: [3000000.0, 100000.0, 3100000.0, 200000.0] lies far outside of the area of",
    ),
    "zero": ({"spatial_res": 0}, "spatial_res: has to be more than 0"),
    "negative": ({"spatial_res": -0.1}, "spatial_res: has to be more than 0"),
    "no_number": ({"spatial_res": math.nan}, "spatial_res: has to be a finite number"),
    "coarse": ({"spatial_res": 2}, "bbox: its width of 1.0 is less than one pixel of 2.0"),
    "fine": ({"spatial_res": 1e-12}, "bbox: its width of 1.0 is 1e+12 pixels of 1e-12: too many"),
    "no_tile": ({"tile_size": 0}, "tile_size: has to be a whole number, 1 or more"),
    "half_a_tile": ({"tile_size": [512, 0.5]}, "tile_size.1: has to be a whole number, 1 or more"),
    "three_tiles": ({"tile_size": [1, 2, 3]}, "tile_size: has to be one whole number, or two"),
}


def remote_config(directory: Path, server: ZenodoServer, grids: list[dict[str, Any]]) -> Path:
    store = {
        "identifier": "record",
        "store_id": "zenodo",
        "store_params": {"root": "1234567", "endpoint_url": server.api},
    }
    dataset = {"identifier": "a", "store": "record", "data_id": "a.zip", "grid_mapping": "grid"}
    preload = [{"store": "record", "data_ids": ["a.zip"]}]
    return configuration(directory, [dataset], [store], grids=grids, preload_datasets=preload)


@pytest.mark.parametrize("command", ["harvest", "cube"])
def test_all_grids_that_make_no_sense_are_told_at_once_and_nothing_is_fetched(
    tmp_path: Path, zenodo_server: ZenodoServer, command: str
) -> None:
    sound = {"crs": "EPSG:4326", "bbox": [10, 45, 11, 46], "spatial_res": 0.1, "tile_size": 16}
    grids = [{"identifier": name} | sound | wrong for name, (wrong, _) in GRIDS.items()]
    config = remote_config(tmp_path, zenodo_server, grids)
    lines = errors(stacbuild(command, config, code=2))
    for number, (name, (_, says)) in enumerate(GRIDS.items(), 1):
        told = [line for line in lines if f": grid_mappings.{number}." in line]
        # Degrees for metres are less than a pixel long, too; one line is enough.
        assert told, name
        place = re.escape(f"error: {config}:")
        assert all(re.match(rf"{place}\d+:\d+: grid_mappings", line) for line in told)
        assert any(f"grid_mappings.{number}.{says}" in line for line in told), told
    assert zenodo_server.requests == 0
    assert not (tmp_path / "catalogs").exists()


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("- identifier: record", "- identifier: record\n  identifier: other", "is a duplicate key"),
        ("identifier: record", "identifer: record", "(did you mean 'identifier'?)"),
        ("store: record", "store: recrd", "there is no store 'recrd' (did you mean 'record'?)"),
        ("grid_mapping: grid", "grid_mapping: gird", "there is no grid 'gird' (did you mean"),
        ("store_id: zenodo", "store_id: zenod", "(did you mean 'zenodo'?)"),
        ("datasets:", "datasets: [", "is not valid YAML"),
        ("datasets:", _MERGES.replace("a0", "none") + "datasets:", "undefined alias"),
        ("datasets:", "a0: &a0 {k: v}\n" + _MERGES + "datasets:", "its aliases expand to more"),
        ("datasets:", "general: !!python/object/apply:os.system [id]\ndatasets:", "not allowed"),
    ],
)
def test_a_configuration_that_is_none_asks_nothing_of_anybody(
    tmp_path: Path, zenodo_server: ZenodoServer, before: str, after: str, says: str
) -> None:
    config = remote_config(tmp_path, zenodo_server, [])
    text = config.read_text()
    assert before in text
    # A mark at the beginning of the file, as editors on Windows write it, is no mistake.
    config.write_text("\ufeff" + text.replace(before, after, 1))
    lines = errors(stacbuild("cube", config, code=2))
    assert any(says in line for line in lines), lines
    assert all(re.match(rf"error: {re.escape(str(config))}:\d+:\d+: ", line) for line in lines)
    assert zenodo_server.requests == 0
    assert not (tmp_path / "catalogs").exists()


# --- order ---------------------------------------------------------------------------------------


def shuffled(node: Any, chance: random.Random) -> Any:
    if isinstance(node, dict):
        keys = list(node)
        chance.shuffle(keys)
        return {key: shuffled(node[key], chance) for key in keys}
    return [shuffled(each, chance) for each in node] if isinstance(node, list) else node


@settings(default, max_examples=12)
@given(which=st.integers(0, 1), chance=st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(files: Files, which: int, chance: random.Random) -> None:
    folder, sound = files
    expected = outcome(folder, sound[which])
    assert isinstance(expected, Config)
    tree = shuffled(yaml.safe_load(sound[which]), chance)
    flow = chance.choice([None, True, False])
    text = yaml.safe_dump(tree, sort_keys=False, default_flow_style=flow)
    assert outcome(folder, text.encode()) == expected
    assert load_config(tree, base_dir=folder).resolved() == expected.resolved()
