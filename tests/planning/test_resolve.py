"""Outputs of datasets: names, paths, and which configuration owns them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacbuild.config import load_config
from stacbuild.planning.resolve import collection_id, output_named, output_of
from stacbuild.stac.catalog import Catalog
from tests.support.cli import configuration

SOURCE = {"identifier": "files", "store_id": "file", "store_params": {"root": "src"}}


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("scs2_config.yml", "scs2"),
        ("scs2-config.yaml", "scs2"),
        ("config.yml", "config"),
        ("My cubes.yml", "my-cubes"),
    ],
)
def test_the_collection_has_the_name_of_the_configuration(
    tmp_path: Path, name: str, collection: str
) -> None:
    path = configuration(tmp_path, [{"identifier": "a", "store": "files", "data_id": "a.tif"}],
                         [SOURCE])  # fmt: skip
    config = load_config(path.rename(tmp_path / name))
    assert collection_id(config).casefold() == collection


def test_a_configuration_without_a_file() -> None:
    content = {
        "datasets": [{"identifier": "a", "store": "files", "data_id": "a.tif"}],
        "data_stores": [
            {"identifier": "storage", "store_id": "file", "store_params": {"root": "data"}}, SOURCE
        ],
    }  # fmt: skip
    config = load_config(content, base_dir=Path("/nowhere"))
    output = output_of(config, config.datasets[0], Catalog(Path("/nowhere/catalogs")))
    assert (output.collection, output.stated_configuration) == ("cubes", None)


def test_a_dataset_that_was_removed_from_the_configuration(tmp_path: Path) -> None:
    dataset = {"identifier": "a", "store": "files", "data_id": "a.tif", "format_id": "netcdf"}
    config = load_config(configuration(tmp_path, [dataset], [SOURCE]))
    catalog = Catalog(tmp_path / "catalogs")
    assert output_named(config, "a", catalog) == output_of(config, config.datasets[0], catalog)
    gone = output_named(config, "gone", catalog)
    assert (gone.path, gone.format_id) == (tmp_path / "data" / "gone.zarr", "zarr")
