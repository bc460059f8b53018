"""What the pages say is there: links, commands and their options, examples that load."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import numpy as np
import pytest
import rasterio
import xarray as xr

from stacbuild.cli.program import cli
from stacbuild.config import config_schema, load_config
from stacbuild.config.reading import read_document
from stacbuild.profiles import Profiles
from tests.standins.demo import Servers
from tests.support.cli import stacbuild
from tests.support.paths import ROOT
from tests.support.sites import FLUX_TOWERS

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)\}")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in one of these languages."""
    found = _FENCE.findall(page.read_text())
    return [textwrap.dedent(text) for _, language, text in found if language in languages]


def commands(page: Path) -> Iterator[str]:
    """Yield what is to be typed into a shell: in fenced blocks, or indented by four."""
    text = page.read_text()
    indented = re.findall(r"^ {4,}((?:stacbuild|scripts)[ /].*)$", _FENCE.sub("", text), re.M)
    for block in [*blocks(page, "console", "bash", ""), *indented]:
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if re.match(r"\$ ?\S", line) or re.match(r"(stacbuild|scripts)[ /][a-z-]", line):
                yield line.removeprefix("$").strip()


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


def test_pages_are_found_and_have_something_to_check() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 50
    assert sum(len(blocks(page, "yaml")) for page in PAGES) > 8
    assert sum(len(blocks(page, "python")) for page in PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for href in _LINK.findall(page.read_text()):
        if "://" in href or href.startswith("mailto:"):
            continue
        name, _, anchor = href.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), href
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), href


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / href).resolve() for href in _LINK.findall(index.read_text())}
    assert [named(page) for page in PAGES if page.parent != ROOT and page not in linked] == [
        named(index)
    ]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if words[0].startswith("scripts/"):
            assert (ROOT / words[0]).exists(), line
        if words[0] == "stacbuild":
            check_command(words[1:], line)


def check_command(words: list[str], line: str) -> None:
    """Follow a command as far as names and options go, without running anything."""
    command: click.Command = cli
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            words.pop(0)
            continue
        if words[0] == "...":
            return
        found = command.commands.get(words[0])
        assert found is not None, line
        command = found
        words.pop(0)
    known = {option for param in command.params for option in param.opts} | {"--help", "-h"}
    known |= {option for param in command.params for option in param.secondary_opts}
    for word in words:
        # What begins with a dash and a digit is a box.
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, line


def completed(data: dict[str, Any]) -> dict[str, Any]:
    """Return a whole configuration around a part of one: what it names and does not say."""
    if "store_params" in data:
        data = {"data_stores": [{"identifier": "catalog", "store_id": "stac", **data}]}
    if "data_id" in data:
        data = {"datasets": [{"identifier": "part", "store": "catalog"} | data]}
    datasets = data.get("datasets", [{"identifier": "part", "store": "catalog", "data_id": "a"}])
    written = [each for entry in datasets for each in entry.get("datasets", [entry])]
    # `catalog` is for parts with what only a STAC catalog takes.
    stores = {"catalog": "stac"} | {
        source["store"]: "file" for each in written for source in each.get("variables", [each])
        if source["store"] != "catalog"
    } | {"storage": "file"}  # fmt: skip
    grids = {each["grid_mapping"] for each in written if "grid_mapping" in each}
    grids -= {each["identifier"] for each in written}
    return data | {
        "datasets": datasets,
        "data_stores": with_those(
            data.get("data_stores", []),
            [
                {"identifier": name, "store_id": kind, "store_params": {"root": "data"}}
                for name, kind in stores.items()
            ],
        ),
        "grid_mappings": with_those(
            data.get("grid_mappings", []),
            [
                {"identifier": name, "crs": "EPSG:4326", "bbox": [9, 44, 11, 46], "spatial_res": 1}
                for name in sorted(grids)
            ],
        ),
    }


def with_those(given: list[Any], others: list[Any]) -> list[Any]:
    """Return these, and of the others those that are not there by their identifier."""
    known = {each["identifier"] for each in given}
    return [*given, *(each for each in others if each["identifier"] not in known)]


# Its example is a kind of store that there is not.
_YAML = [page for page in PAGES if blocks(page, "yaml") and page.name != "add-a-source.md"]


@pytest.mark.parametrize("page", [*_YAML, ROOT / "scs2_config.yml"], ids=named)
def test_configurations_load_and_are_as_the_schema_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modify_dataset.py").write_text(
        (ROOT / "modify_dataset.py").read_text() + "\n\ndef my_function(ds):\n    return ds\n"
    )
    for name in ("roi.parquet", "regions/a.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lake = {"type": "Polygon", "coordinates": [[[10, 46], [11, 46], [11, 47], [10, 46]]]}
    (tmp_path / "lake.geojson").write_text(json.dumps(lake))
    (tmp_path / "sites.csv").write_text(FLUX_TOWERS)
    check = jsonschema.Draft202012Validator(config_schema())
    texts = blocks(page, "yaml") if page.suffix == ".md" else [page.read_text()]
    for text in texts:
        for name in _REFERENCE.findall(text):
            monkeypatch.setenv(name, "something")
        path = tmp_path / "profiles" / "example.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        data = read_document(path).data
        if "source" in data:
            assert Profiles.load([path.parent])
            continue
        path.unlink()
        data = completed(data)
        load_config(data, base_dir=tmp_path)
        # A date is text to JSON, and to editors.
        check.validate(json.loads(json.dumps(data, default=str)))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=named)
def test_python_compiles_and_imports_what_is_there(page: Path) -> None:
    trees = [ast.parse(text) for text in blocks(page, "python")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    with warnings.catch_warnings():
        # Of other packages, about each other.
        warnings.simplefilter("ignore")
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module.startswith("stacbuild.sources.index"):
                    # What that page itself adds, which `test_add_a_source` runs.
                    continue
                module = importlib.import_module(node.module)
                for alias in node.names:
                    # A module within a package is there once it is imported.
                    assert (
                        alias.name in own
                        or hasattr(module, alias.name)
                        or importlib.util.find_spec(f"{node.module}.{alias.name}")
                    ), alias.name


def test_the_first_steps_are_as_shown(
    standins: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run what docs/start.md says, in its order; numbers of the stand-ins' data may differ."""
    page = ROOT / "docs" / "start.md"
    monkeypatch.chdir(tmp_path)
    environment = standins.endpoints.environment() | {"COLUMNS": "80"}
    ran = []
    for block in blocks(page, "console"):
        for step in re.sub(r"\\\n\s*", "", block).split("$ stacbuild ")[1:]:
            line, *shown = step.splitlines()
            words = shlex.split(line, comments=True)
            if words[0] == "browse":
                continue  # until it is interrupted
            found = stacbuild(*words, env=environment).stdout
            ran.append(words[0])
            for text in shown:
                # What the machine says of itself, and what was left out.
                if not re.search(r"GB free|on disk|/home/you|^\.\.\.$", text):
                    assert without_numbers(text) in without_numbers(found), (line, found)
            if words[0] == "init":
                (edited,) = blocks(page, "yaml")
                first = Path("forest.yml").read_text().partition("datasets:")[0]
                Path("forest.yml").write_text(first + edited)
    assert ran == ["list", "describe", "init", "harvest", "plan", "cube", "preview"]
    assert Path("forest_canopy_height.png").exists()


def test_the_page_on_own_files_is_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what docs/howto/own-files.md says, in its order, from the files that its script makes."""
    page = ROOT / "docs" / "howto" / "own-files.md"
    monkeypatch.chdir(tmp_path)
    ran = []
    for _, language, text in _FENCE.findall(page.read_text()):
        if language == "python":
            exec(compile(text, str(page), "exec"), {})
        elif language == "yaml" and text.startswith("source:"):
            Path("profiles").mkdir()
            Path("profiles/landcover.yml").write_text(text)
        elif language == "yaml" and "datasets:" in text:
            # Not into the folder of the cubes that are there.
            Path("edited.yml").write_text(text.replace("root: cubes", "root: edited"))
            stacbuild("cube", "edited.yml")
        for step in text.split("$ stacbuild ")[1:] if language == "console" else ():
            line, *shown = step.splitlines()
            done = stacbuild(*shlex.split(line), env={"COLUMNS": "200"})
            ran.append(line.split()[0])
            printed = (done.stdout + done.stderr).replace(str(tmp_path), "/home/you").splitlines()
            assert [each for each in shown if each not in (*printed, "...")] == [], line
    assert ran == ["init", "cube", "preview", "init", "cube", "preview"]
    files = sorted(Path("data").glob("ndvi*.tif"))
    values = np.stack([rasterio.open(file).read(1) for file in files])
    with xr.open_zarr("cubes/ndvi.zarr") as cube:
        [ndvi] = cube.data_vars.values()
        np.testing.assert_array_equal(ndvi.transpose("time", "y", "x"), values)
    with xr.open_zarr("cubes/landcover.zarr") as cube:
        [landcover] = cube.data_vars.values()
        assert landcover.attrs["flag_meanings"] == "forest water built_up"
    assert Path("ndvi.png").exists()


def test_the_tests_on_the_page_on_reliability_exist() -> None:
    page = (ROOT / "docs" / "reference" / "reliability.md").read_text()
    tests = "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    # A name on the page may be cut off (`test_a_function_…`).
    names = set(re.findall(r"(?<![/\w])test_\w+(?!\w|\.py)", page))
    assert len(names) > 100
    assert [name for name in sorted(names) if f"def {name}" not in tests] == []
    files = set(re.findall(r"tests/[\w/]+\.py", page))
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


def without_numbers(text: str) -> str:
    return re.sub(r"[0-9]+([.,][0-9]+)*", "0", text)
