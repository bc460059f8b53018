"""Versions of files on servers: which are stated to be others."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.net.versions import is_other_version, version_text


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        (('"a"', None), ('W/"a"', "Mon"), False),
        (('"a"', None), ('"b"', None), True),
        ((None, "Mon"), (None, "Tue"), True),
        ((None, "Mon"), ('"a"', "Tue"), False),
        ((None, None), ('"a"', "Tue"), False),
    ],
)
def test_versions(one: Any, other: Any, *, differs: bool) -> None:
    assert is_other_version(version_text(*one), version_text(*other)) is differs
