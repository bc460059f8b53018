"""Execute docs/scs2.ipynb; called by scripts/notebook."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.standins import DEMO_BOX, demo_config, load_or_make, serve
from tests.standins.demo import Endpoints

NOTEBOOK = Path(__file__).parents[1] / "docs" / "scs2.ipynb"


def execute(directory: Path, endpoints: Endpoints) -> nbformat.NotebookNode:
    """Run the notebook's cells in *directory*, for the demo's area; return it with new outputs."""
    demo_config(directory, endpoints, bbox=DEMO_BOX)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": directory}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            for data in (output.get("data", {}), output):
                for kind, value in data.items():
                    if isinstance(value, str) and kind != "image/png":
                        data[kind] = neutral(value, directory)
    notebook.metadata.pop("language_info", None)
    return notebook


def neutral(text: str, directory: Path) -> str:
    """Replace what differs from machine to machine: folders and ports."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text.replace(str(directory), "."))


def main() -> int:
    """Execute the notebook and write it."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder).resolve()
        with serve(load_or_make(directory / "sources"), directory) as servers:
            notebook = execute(directory / "scs2", servers.endpoints)
    nbformat.write(notebook, NOTEBOOK)
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
