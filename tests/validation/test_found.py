"""What validation finds of one cube, put together."""

from __future__ import annotations

from stacbuild.errors import IntegrityError
from stacbuild.validation.found import Found, rebuild_command


def test_parts_of_a_cube_are_put_together_and_notes_told_once() -> None:
    whole, part = Found(notes=["not asked"], chunks=2, bytes=10), Found(notes=["not asked", "more"])
    part.wrong("a.zarr: a chunk is missing")
    part.damaged = {"v": ["c/0"]}
    part.chunks, part.bytes = 3, 5
    whole.add(part)
    assert whole.notes == ["not asked", "more"]
    assert (whole.chunks, whole.bytes, whole.damaged) == (5, 15, {"v": ["c/0"]})
    assert [type(each) for each in whole.problems] == [IntegrityError]


def test_without_an_item_nothing_is_known_of_the_command() -> None:
    assert rebuild_command(None) == Found().rebuild
