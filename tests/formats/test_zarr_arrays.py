"""Hrefs of single arrays in nested Zarr groups, with consolidated metadata at the root only."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from stacbuild.errors import IntegrityError, MissingError, StacbuildError
from stacbuild.formats.zarr_arrays import Node, Nodes, open_node
from stacbuild.formats.zarr_store import source_of
from tests.standins.server import LoopbackServer, Request, Response, html
from tests.support.scenes.eopf import Scene, write_store

SCENE = Scene()
BAND = "measurements/reflectance/r10m/b04"
SCL = "conditions/mask/l2a_classification/r20m/scl"


class Folder(LoopbackServer):
    """Serves files, and lists no folders."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def respond(self, request: Request) -> Response:
        path = self.root / request.path.strip("/")
        return Response(200, path) if path.is_file() else html(404, "nothing here")


@pytest.fixture(scope="module", params=[2, 3])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("eopf"), SCENE, request.param)


@pytest.fixture(params=["folder", "http"])
def root(request: pytest.FixtureRequest, store: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(store)
        return
    with Folder(store.parent) as server:
        yield f"{server.url}/{store.name}"


def opened(href: str) -> tuple[Node, xr.Dataset]:
    node = open_node(href)
    return node, node.chosen(source_of(node.group, node.href))


@pytest.mark.parametrize("path", [BAND, SCL])
def test_an_array_is_the_only_variable_of_its_group(root: str, path: str) -> None:
    above, _, name = path.rpartition("/")
    node, dataset = opened(f"{root}/{path}")
    assert (node.href, node.array) == (f"{root}/{above}", name)
    assert list(dataset.data_vars) == [name]
    assert set(dataset.coords) == {"x", "y"}
    resolution = 20 if path == SCL else 10
    np.testing.assert_array_equal(dataset[name].values, SCENE.pixels(resolution, name))


def test_a_group_is_itself(root: str) -> None:
    node, dataset = opened(f"{root}/measurements/reflectance/r10m")
    assert node.array is None
    assert set(dataset.data_vars) == {"b02", "b03", "b04", "b08"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("measurements/reflectance/r10m/b99", "no Zarr|not|404"),
        ("measurements/reflectance", "holds groups and no arrays|lists no folders"),
        ("measurements/reflectance/r10m/x", "x is a coordinate, no variable"),
    ],
)
def test_other_hrefs_are_named(root: str, path: str, reason: str) -> None:
    with pytest.raises(StacbuildError, match=reason) as caught:
        opened(f"{root}/{path}")
    assert path in str(caught.value)


def test_an_array_that_cannot_be_read_is_named(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / store.name))
    meta = next(copy.joinpath(BAND).glob(".zarray"), copy / BAND / "zarr.json")
    meta.write_text(re.sub('"(zstd|blosc)"', '"mystery"', meta.read_text()))
    with pytest.raises(StacbuildError, match=r"b04.*mystery"):
        opened(str(copy / BAND))
    # The others of the group do not need it.
    assert opened(str(copy / BAND.replace("b04", "b02")))[0].array == "b02"


def test_grid_mappings_and_other_dimensions_are_kept(tmp_path: Path) -> None:
    axis = np.arange(3.0)
    data = xr.DataArray(np.zeros((2, 3, 3)), [("band", [1, 2]), ("y", axis), ("x", axis)])
    dataset = xr.Dataset({"one": data, "two": data, "names": ("band", [1, 2]), "crs": 0})
    path = tmp_path / "a.zarr"
    dataset.to_zarr(path, group="inner/deep", zarr_format=3, consolidated=False)
    zarr.open_group(path, mode="a")
    node, found = opened(f"{path}/inner/deep/one")
    assert (node.array, set(found.data_vars)) == ("one", {"one", "names", "crs"})
    with pytest.raises(MissingError):
        open_node(f"{path}/inner/deep/three")
    with pytest.raises(IntegrityError, match="band is a coordinate"):
        opened(f"{path}/inner/deep/band")


def test_the_arrays_of_a_group_are_opened_together(store: Path) -> None:
    nodes = Nodes()
    with Folder(store.parent) as server:
        root = f"{server.url}/{store.name}"
        counts = []
        for path in (BAND, BAND.replace("b04", "b02"), SCL, BAND.replace("b04", "b08")):
            with nodes.open(f"{root}/{path}") as (node, dataset):
                name = path.rpartition("/")[2]
                assert (node.array, list(dataset.data_vars)) == (name, [name])
            counts.append(len(server.log))
        assert counts[0] == counts[1] < counts[2] == counts[3]
        with nodes.open(f"{root}/measurements/reflectance/r10m") as (node, dataset):
            assert node.array is None
            assert "b03" in dataset
