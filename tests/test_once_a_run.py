"""What one run remembers: hosts that it gave up, and what it warned of."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.sources import harvest
from tests.support.cli import configuration
from tests.support.zenodo import Told


@pytest.fixture
def dead() -> Iterator[str]:
    """Return the address of a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["https", "zenodo", "stac"])
@pytest.mark.parametrize("what", ["harvest", "cube"])
def test_a_host_is_given_up_once(
    tmp_path: Path, dead: str, unwaited: list[float], kind: str, what: str
) -> None:
    params = {
        "https": {"root": dead},
        "zenodo": {"root": "123", "endpoint_url": dead},
        "stac": {"url": f"{dead}/catalog.json"},
    }[kind]
    names = ["a", "b", "c"]
    # Two stores on one host.
    stores = [
        {"identifier": name, "store_id": kind, "store_params": dict(params)} for name in ("s", "t")
    ]
    datasets = [
        {"identifier": name, "store": store, "data_id": "x" if kind == "stac" else f"{name}.tif"}
        for name, store in zip(names, ("s", "s", "t"), strict=True)
    ]
    config, told = load_config(configuration(tmp_path, datasets, stores)), Told()
    if what == "harvest":
        errors = [each.error for each in harvest(config, tmp_path / "catalogs", reporter=told)]
    else:
        errors = [each.error for each in build(config, tmp_path / "catalogs", reporter=told)]
    assert len(errors) >= 2
    said = [str(error) for error in errors]
    assert all("no connection" in line for line in said), said
    assert "tried only once" not in said[0]
    assert all("as before in this run" in line for line in said[1:]), said
    assert len(unwaited) == 5
    # Another run has the patience of the first.
    unwaited.clear()
    again = build(config, tmp_path / "catalogs", datasets=["a"], reporter=told)
    assert "as before" not in str(again[0].error)
    assert len(unwaited) == 5
