"""The script of the guide "Compute on a dask cluster", with clusters that run on this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scheduling import CUBES, expected_chunks, hashes, of, written

GUIDE = Path(__file__).parents[2] / "docs/howto/cluster.md"
CLUSTERS = {
    "distributed": "LocalCluster(n_workers=2, threads_per_worker=1, "
    'dashboard_address="127.0.0.1:0")',
    "dask_jobqueue.local": 'LocalCluster(cores=2, processes=2, memory="2GB", '
    'scheduler_options={"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"})',
}


@pytest.mark.slow
@pytest.mark.parametrize("module", CLUSTERS)
def test_the_recipe(tmp_path: Path, module: str) -> None:
    (recipe,) = re.findall(r"```python\n(.+?)```", GUIDE.read_text(), re.DOTALL)
    changes = {
        r"import Client, LocalCluster\n": f"import Client\nfrom {module} import LocalCluster\n",
        r"LocalCluster\(.+\)": CLUSTERS[module],
    }
    for old, new in changes.items():
        recipe, count = re.subn(old, new, recipe)
        assert count == 1, old
    written(tmp_path, CUBES[0]).rename(tmp_path / "stacbuild.yml")
    (tmp_path / "script.py").write_text(recipe)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.stdout.startswith("codes COMPLETED "), done.stderr
    expected = expected_chunks(tmp_path / "threads")
    assert hashes(tmp_path / "data") == of(expected, "codes")
