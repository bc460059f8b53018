"""Outputs: paths of a cube, what lies beside it, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.sources.file.store import FileStore
from stacbuild.sources.memory.store import MemoryStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.stac.catalog import Catalog
from stacbuild.storage.formats import FormatId
from stacbuild.storage.kinds import storage_of
from stacbuild.storage.output import Output


def output(store: FileStore | S3Store | MemoryStore, root: Path, name: str = "a") -> Output:
    return Output(storage_of(store), name, Catalog(root / "catalogs"), "c", root / "c.yml")


def folder(root: Path) -> FileStore:
    params = {"root": str(root / "data")}
    return FileStore.model_validate(
        {"identifier": "storage", "store_id": "file", "store_params": params}
    )


def bucket(root: str = "bucket/cubes") -> S3Store:
    return S3Store.model_validate(
        {"identifier": "storage", "store_id": "s3", "store_params": {"root": root}}
    )


@pytest.mark.parametrize(
    ("format_id", "whole", "public"),
    [("zarr", "a.zarr", "a.zarr"), ("levels", "a.zarr", "a.zarr/0"), ("netcdf", "a.nc", "a.nc")],
)
def test_paths_in_a_folder(tmp_path: Path, format_id: FormatId, whole: str, public: str) -> None:
    found = output(folder(tmp_path), tmp_path, "site/a")
    found = Output(found.storage, "site/a", found.catalog, "c", found.configuration, format_id)
    assert found.name == "a"
    assert found.path == tmp_path / "data" / "site" / whole
    assert found.data_path == tmp_path / "data" / "site" / public
    # Hidden, and in the folder of the cube, so that it can be renamed.
    assert {found.lock.parent, found.journal.parent} == {tmp_path / "data" / "site"}
    assert found.lock.name.startswith(".a.")


def test_what_lies_beside_cubes_in_a_bucket(tmp_path: Path) -> None:
    names = ("a/b", "a-b", "A-b", f"a-{'x' * 300}")
    outputs = [output(bucket(), tmp_path, name) for name in names]
    assert [each.path for each in outputs] == [None] * len(names)
    journals = [each.journal for each in outputs]
    # Names with the same slug, also where case is ignored, and names that are too long for a file.
    assert len({path.name.casefold() for path in journals}) == len(names)
    assert {path.parent for path in journals} == {tmp_path / "catalogs"}
    assert all(len(path.name) < 200 for path in journals)
    other = output(bucket("bucket/others"), tmp_path, "a/b")
    assert other.journal not in journals


def test_the_owner_is_stated_without_paths_of_this_machine(tmp_path: Path) -> None:
    owner = output(folder(tmp_path), tmp_path).owner()
    assert str(tmp_path) not in str(owner)
    assert owner == {
        "catalog": "../catalogs",
        "collection": "c",
        "configuration": "../c.yml",
        "dataset": "a",
    }


def test_another_configuration_owns_a_cube_while_it_exists(tmp_path: Path) -> None:
    found = output(folder(tmp_path), tmp_path)
    (tmp_path / "catalogs").mkdir()
    assert not found.is_of_another(None)
    assert not found.is_of_another("../c.yml")
    # Moved or renamed: this configuration may be the same.
    assert not found.is_of_another("../other.yml")
    (tmp_path / "other.yml").touch()
    assert found.is_of_another("../other.yml")


def test_memory_has_no_place(tmp_path: Path) -> None:
    store = MemoryStore.model_validate({"identifier": "storage", "store_id": "memory"})
    found = output(store, tmp_path)
    assert (found.path, found.data_path) == (None, None)
    assert not found.storage.persistent
    assert found.storage.find_conflict(found, whole_tree=True) is None
