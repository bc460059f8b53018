"""Changes to the metadata of Zarr stores on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def consolidate(path: Path, fmt: int) -> None:
    """Put the metadata together as they are, whatever they say."""
    nodes = [each for each in path.rglob("*") if each.is_dir()]
    if fmt == 2:
        metadata = {
            file.relative_to(path).as_posix(): json.loads(file.read_text())
            for file in (*path.glob(".z[ag]*"), *path.rglob("*/.z[ag]*"))
        }
        content = {"zarr_consolidated_format": 1, "metadata": metadata}
        (path / ".zmetadata").write_text(json.dumps(content))
        return
    root = json.loads((path / "zarr.json").read_text())
    members = {
        node.relative_to(path).as_posix(): json.loads((node / "zarr.json").read_text())
        for node in nodes
        if (node / "zarr.json").exists()
    }
    inline = {"kind": "inline", "must_understand": False, "metadata": members}
    (path / "zarr.json").write_text(json.dumps(root | {"consolidated_metadata": inline}))


def change(path: Path, fmt: int, **fields: Any) -> None:
    file = path / (".zarray" if fmt == 2 else "zarr.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
