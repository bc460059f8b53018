"""docs/scs2.ipynb runs, and what is committed of it is what is run."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from scripts.notebook_run import NOTEBOOK, execute
from tests.standins import Endpoints

# The cells of the case study's own notebook; only the first differs.
CELLS = [
    "from stacbuild import MultiSourceDataStore",
    "MultiSourceDataStore.get_config_schema()",
    'msds = MultiSourceDataStore("scs2_config.yml")',
    "msds.display_config()",
    "msds.display_geolocations()",
    "msds.generate()",
    'ds = msds.stores.storage.open_data("gami.zarr")\nds',
    'ds["forest_age"].isel(members=0, time=0)[::5, ::5].plot(vmin=0, vmax=120)',
    'ds["forest_age"].isel(members=0, time=1)[::5, ::5].plot(vmin=0, vmax=120)',
    'ds = msds.stores.storage.open_data("liu.zarr")\nds',
    'ds["agb"][::5, ::5].plot(vmax=20000)',
    'ds["canopy_cover"][::5, ::5].plot()',
    'ds["canopy_height"][::5, ::5].plot()',
    'ds = msds.stores.storage.open_data("senf.zarr")\nds',
    "ds.annual_disturbances.encoding",
    'ds["annual_disturbances"].isel(time=10)[::5, ::5].plot()',
    'ds["disturbance_probability"].isel(time=10)[::5, ::5].plot()',
]


def code(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def text(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(
        value
        for output in outputs(notebook)
        for kind, value in [*output.get("data", {}).items(), ("text", output.get("text", ""))]
        if kind != "image/png"
    )


@pytest.mark.filterwarnings("ignore:Kernel is running over TCP")
def test_the_notebook_runs(tmp_path: Path, endpoints: Endpoints) -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)
    run = execute(tmp_path / "scs2", endpoints)
    assert code(run) == code(committed) == CELLS
    for notebook in (run, committed):
        assert [each for each in outputs(notebook) if each.output_type == "error"] == []
        assert sum("image/png" in each.get("data", {}) for each in outputs(notebook)) == 7
        shown = text(notebook)
        for name in ("senf", "gami", "liu", "clms"):
            assert f"Dataset '{name}' finished" in shown
        assert "FAILED" not in shown
    assert (tmp_path / "scs2" / "catalogs" / "catalog.json").exists()


def test_the_kept_outputs_tell_nothing_of_a_machine() -> None:
    shown = text(nbformat.read(NOTEBOOK, as_version=4))
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/|127\.0\.0\.1:\d", shown)
    assert NOTEBOOK.stat().st_size < 1_000_000
