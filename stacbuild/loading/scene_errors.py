"""Name the scene and the asset that an error is of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stacbuild.errors import StacbuildError
from stacbuild.troubles import UNREADABLE

_SCENE = "stacbuild_scene"


@dataclass(frozen=True)
class SceneAsset:
    """An asset of a scene: the id of its item, and the key of the asset."""

    item: str
    asset: str

    def __str__(self) -> str:
        return f"item {self.item}, asset {self.asset}"


@contextmanager
def named(scene: SceneAsset | None) -> Iterator[None]:
    """Prefix what is raised because a file cannot be read with its scene; None changes nothing.

    Raises
    ------
    StacbuildError
        Of the same class, once: `scene_of` returns the innermost scene.
    """
    try:
        yield
    except UNREADABLE as error:
        if scene is None or scene_of(error) is not None:
            raise
        told = type(error)(f"{scene}: {error}")
        setattr(told, _SCENE, scene)
        raise told from error


def scene_of(error: BaseException) -> SceneAsset | None:
    """Return the scene that an error was `named` after, if any."""
    found = getattr(error, _SCENE, None)
    return found if isinstance(found, SceneAsset) else None


def reason_of(error: StacbuildError) -> str:
    """Return the message of an error without its scene."""
    return str(error).removeprefix(f"{scene_of(error)}: ")
