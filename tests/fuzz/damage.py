"""Valid files spoiled at random: headers of GeoTIFFs, metadata of Zarr stores.

Whatever comes of one, it is a cube or a refusal in one line; never an exception out of `build`,
"please report", a gigabyte of memory or a long wait.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.progress import Silent
from tests.fuzz.inputs import Chance
from tests.fuzz.judge import Outcome
from tests.fuzz.rasters import raster
from tests.fuzz.zarrs import zarr_store
from tests.support.cli import configuration

# Nothing here takes a tenth of either.
LONGEST, LARGEST = 20.0, 2**30
_STORES = [{"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}]
_ODD: list[Any] = [
    None, True, -1, 0, 1, 7, 10**12, 2**63, -0.5, 1e308, "", "x", "NaN", "/", "../x", "float128",
    "é\u0000", [], [0], [1, 2, 3, 4], [10**9, 10**9], {}, {"a": 1}, {"name": "x"}, [[]], ["y"],
]  # fmt: skip


def check_damaged(seed: int, folder: Path) -> Outcome:
    """Spoil the input of a *seed* in an empty *folder*, and build it."""
    chance = Chance(seed)
    make = chance.of([raster, zarr_store])
    given = make(chance, folder)
    path = folder / "src" / given.name
    spoil = spoiled_tiff if path.is_file() else spoiled_zarr
    traits = {
        "kind": make.__name__,
        "damage": [spoil(chance, path) for _ in range(chance.of([1, 2, 5]))],
    }
    dataset = {"identifier": "cube", "store": "files", "data_id": given.name}
    if chance.happens(0.7):
        dataset["grid_mapping"] = None
    config = load_config(configuration(folder, [dataset], _STORES))
    start, before = time.monotonic(), _peak()
    try:
        with warnings.catch_warnings():
            # Of the libraries; a user sees those, too.
            warnings.simplefilter("ignore")
            [result] = build(config, folder / "catalogs", reporter=Silent())
    except Exception:  # noqa: BLE001 - that is what is looked for
        return Outcome(seed, "crash", "raised", traceback.format_exc(), traits)
    took, grown = time.monotonic() - start, _peak() - before
    said = result.message
    if took > LONGEST or grown > LARGEST:
        return Outcome(
            seed, "wrong", "costly", f"{took:.1f} s, {grown / 2**20:.0f} MB: {said}", traits
        )
    if result.status == "COMPLETED":
        return Outcome(seed, "right", "built", "", traits)
    if "please report" in said or "\n" in said.strip() or not said.strip():
        return Outcome(seed, "crash", "unforeseen", said, traits)
    return Outcome(seed, "refused", "", said, traits)


def _peak() -> int:
    """Return the most memory that this process ever had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def spoiled_tiff(chance: Chance, path: Path) -> str:
    """Change some bytes of a TIFF, of its header mostly; return what was done."""
    data = bytearray(path.read_bytes())
    how = chance.of(["flip", "flip", "number", "cut", "zeros", "swap"])
    # Headers lie at the beginning, and at the end where a tag was added.
    reach = min(len(data), 2000)
    at = int(chance.rng.integers(0, reach)) if chance.happens(0.8) else len(data) - 1 - reach // 3
    match how:
        case "flip":
            data[at] ^= 1 << int(chance.rng.integers(8))
        case "number":
            data[at : at + 4] = chance.of(
                [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00"]
            )
        case "cut":
            del data[at:]
        case "zeros":
            data[at : at + 16] = bytes(16)
        case "swap":
            data[at : at + 8] = data[at : at + 8][::-1]
    path.write_bytes(data)
    return f"{how} at {at}"


def spoiled_zarr(chance: Chance, path: Path) -> str:
    """Change one of a store's files: a key of its metadata, or its bytes; return what was done."""
    names = {".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"}
    files = sorted(each for each in path.rglob("*") if each.is_file())
    known = [each for each in files if each.name in names]
    if not known or chance.happens(0.1):
        if not files:
            return "nothing left"
        file = chance.of(files)
        how = chance.of(["removed", "emptied", "cut", "noise"])
        if how == "removed":
            file.unlink()
        else:
            data = file.read_bytes()
            noise = chance.rng.bytes(len(data))
            file.write_bytes({"emptied": b"", "cut": data[: len(data) // 2], "noise": noise}[how])
        return f"{file.relative_to(path)} {how}"
    file = chance.of(known)
    try:
        tree = json.loads(file.read_text())
    except ValueError:
        return f"{file.relative_to(path)} is not JSON already"
    places = _places(tree)
    if not places:
        return f"{file.relative_to(path)} is empty already"
    container, key = chance.of(places)
    how = chance.of(["drop", "replace", "replace", "as text"])
    if how == "drop":
        del container[key]
    else:
        container[key] = str(container[key]) if how == "as text" else chance.of(_ODD)
    file.write_text(json.dumps(tree))
    left = "" if how == "drop" else f" {container[key]!r}"
    return f"{file.relative_to(path)} {key}: {how}{left}"


def _places(tree: Any) -> list[tuple[Any, Any]]:
    keys: Any = ()
    if isinstance(tree, dict | list):
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    found: list[tuple[Any, Any]] = []
    for key in keys:
        found += [(tree, key), *_places(tree[key])]
    return found
