"""Errors of scenes name item and asset, once."""

from __future__ import annotations

import pickle

import pytest

from stacbuild.errors import BuildError, NotFoundError
from stacbuild.loading.scene_errors import SceneAsset, named, reason_of, scene_of

RED, SCL = SceneAsset("a", "red"), SceneAsset("a", "scl")


def test_the_innermost_scene_is_named() -> None:
    with pytest.raises(NotFoundError) as found, named(RED), named(SCL):
        raise NotFoundError("x.tif: not found")
    assert str(found.value) == "item a, asset scl: x.tif: not found"
    assert scene_of(found.value) == SCL
    assert reason_of(found.value) == "x.tif: not found"


def test_a_worker_of_another_process_returns_the_scene() -> None:
    with pytest.raises(NotFoundError) as found, named(RED):
        raise NotFoundError("x.tif: not found")
    error = pickle.loads(pickle.dumps(found.value))
    assert scene_of(error) == RED


@pytest.mark.parametrize("scene", [RED, None])
def test_other_errors_stay_as_they_are(scene: SceneAsset | None) -> None:
    with pytest.raises(BuildError) as found, named(scene):
        raise BuildError("has pixels of the value 0")
    assert str(found.value) == "has pixels of the value 0"
    assert scene_of(found.value) is None


def test_files_of_no_scene_have_no_name() -> None:
    with pytest.raises(NotFoundError) as found, named(None):
        raise NotFoundError("x.tif: not found")
    assert str(found.value) == "x.tif: not found"
    assert reason_of(found.value) == "x.tif: not found"
