"""Failures of servers are counted, those of single files are not."""

from __future__ import annotations

import pytest

from stacbuild.errors import (
    AuthError,
    IntegrityError,
    LocalError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.troubles import Troubles


def test_a_server_that_fails_again_and_again() -> None:
    troubles = Troubles(2)
    for expected in (False, False, True):
        troubles.add(RemoteError("did not answer"))
        assert troubles.too_many is expected


@pytest.mark.parametrize("kind", [NotFoundError, IntegrityError, LocalError, AuthError])
def test_files_that_are_missing_or_damaged(kind: type[StacbuildError]) -> None:
    troubles = Troubles(0)
    troubles.add(kind("x.tif"))
    assert not troubles.too_many
