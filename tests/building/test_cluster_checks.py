"""What workers have to see before a cube is computed on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from stacbuild.building import cluster_checks
from stacbuild.building.cluster_checks import check_workers
from stacbuild.errors import LocalError


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_files_and_folder_that_a_worker_sees(tmp_path: Path, client: Client) -> None:
    (tmp_path / "a.tif").touch()
    check_workers(client, [str(tmp_path / "a.tif"), "https://example.org/b.tif"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_file_that_a_worker_does_not_see(tmp_path: Path, client: Client) -> None:
    with pytest.raises(LocalError, match=r"worker .*: does not see .*/none.tif \(No such file"):
        check_workers(client, [str(tmp_path / "none.tif")], None)


def test_another_version_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"zarr": "3.9"}, {"zarr": "3.1"}])
    monkeypatch.setattr(cluster_checks, "_versions", lambda: next(answers))
    with pytest.raises(LocalError, match=r"has zarr 3.1, but this process has 3.9; install the"):
        check_workers(client, [], None)
