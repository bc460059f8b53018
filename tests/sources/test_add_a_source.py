"""A kind of source is one folder and one line: what the page prints lists, describes and builds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import xarray as xr

from tests.support.built import variable_of
from tests.support.cli import configuration, geotiff
from tests.support.file_server import FileServer
from tests.support.paths import ROOT

_RUN = """
import json, sys
from stacbuild.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["stacbuild", *words]
    try:
        main()
    except SystemExit as end:
        print(end.code, words[0])
"""


def _package_with_the_kind(folder: Path) -> None:
    """Copy the package, and write what the page prints into the copy."""
    page = (ROOT / "docs" / "howto" / "add-a-source.md").read_text()
    package = folder / "stacbuild"
    # With what is compiled already: times stay, so that it holds for the copies.
    shutil.copytree(ROOT / "stacbuild", package)
    kind = package / "sources" / "index"
    kind.mkdir()
    modules = re.findall(r"### `(\w+\.py)`\n\n```python\n(.*?)```", page, flags=re.DOTALL)
    assert sorted(name for name, _ in modules) == [
        "__init__.py",
        "harvest.py",
        "listing.py",
        "store.py",
    ]
    for name, text in modules:
        (kind / name).write_text(text)
    (line,) = re.findall(r'(?m)^    "index": .*\n', page)
    registry = package / "kinds.py"
    text = registry.read_text()
    registry.write_text(text.replace("KINDS = {\n", f"KINDS = {{\n{line}"))


def test_what_the_page_prints_is_a_kind_of_source(tmp_path: Path) -> None:
    _package_with_the_kind(tmp_path / "package")
    facts = {"title": "Carbon in soil", "datetime": "2020-01-01T00:00:00Z"}
    files = {
        "/maps/index.json": json.dumps({"soil/carbon.tif": facts}).encode(),
        "/maps/soil/carbon.tif": geotiff(tmp_path / "carbon.tif").read_bytes(),
    }
    with FileServer(files) as server:
        root = f"{server.url}/maps"
        dataset = {"identifier": "soil", "store": "maps", "data_id": "soil/carbon.tif"}
        store = {"identifier": "maps", "store_id": "index", "store_params": {"root": root}}
        config = str(configuration(tmp_path, [dataset], [store]))
        commands = [
            ["list", "index", root],
            ["describe", "index", root, "soil/carbon.tif"],
            ["harvest", config],
            ["cube", config],
        ]
        done = subprocess.run(
            [sys.executable, "-c", _RUN, json.dumps(commands)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "package")},
            capture_output=True,
            text=True,
            check=True,
        )
    for words in commands:
        assert f"0 {words[0]}" in done.stdout, done.stderr
    assert "soil/carbon.tif  -  GeoTIFF" in done.stdout
    assert "title: Carbon in soil" in done.stdout
    with xr.open_zarr(tmp_path / "data" / "soil.zarr") as cube:
        assert int(variable_of(cube).max()) == 99
