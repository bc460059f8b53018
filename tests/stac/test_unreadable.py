"""Files of a catalog on a disk with errors: named as such, not as foreign or missing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import stacbuild
from stacbuild.errors import Failures, LocalError, StacbuildError
from stacbuild.stac import files
from tests.support.cli import configuration
from tests.support.rasters import GRIDS, noise, write


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose cube is built."""
    directory = tmp_path_factory.mktemp("unreadable")
    write(directory / "src" / "one.tif", noise("uint8"))
    store = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}
    dataset = {"identifier": "cube", "store": "files", "data_id": "one.tif", "grid_mapping": "same"}
    path = configuration(directory, [dataset], [store], grids=GRIDS)
    stacbuild.build(stacbuild.load_config(path))
    return path


@pytest.mark.parametrize(
    "name", ["catalog.json", "c/collection.json", "c/cube/cube.json", "file-src/collection.json"]
)
def test_a_disk_with_errors(config: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = config.parent / "catalogs" / name
    assert bad.exists()
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    loaded: Any = stacbuild.load_config(config)
    said = f"{bad}: cannot be read: Input/output error; check the disk and the permissions"
    with pytest.raises(StacbuildError) as raised:
        stacbuild.build(loaded, force=True)
    assert said in str(raised.value)
    assert "move it away" not in str(raised.value)
    with pytest.raises(Failures) as failures:
        stacbuild.validate(loaded)
    assert str(failures.value) == f"catalog: {said}"
    assert failures.value.exit_code == LocalError.exit_code
    with pytest.raises(LocalError):
        files.read_object(bad)
