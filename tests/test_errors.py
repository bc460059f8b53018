"""Errors carry exit codes, and anything that fails becomes one of them."""

from __future__ import annotations

from dataclasses import dataclass

import pyproj
import pytest

from stacbuild import errors
from stacbuild.errors import (
    AuthError,
    BuildError,
    ConfigError,
    Failures,
    LocalError,
    NotFoundError,
    RemoteError,
    StacbuildError,
    failure_of,
    failures_of,
    raise_failures,
)


def test_each_class_has_its_exit_code() -> None:
    codes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, StacbuildError) and kind is not Failures
    }
    assert codes == {
        "StacbuildError": 1,
        "BuildError": 1,
        "ConfigError": 2,
        "RemoteError": 3,
        "NotFoundError": 3,
        "IntegrityError": 4,
        "LocalError": 5,
        "MissingError": 5,
        "ConflictError": 5,
        "LockedError": 6,
        "AuthError": 7,
        "NoKeysError": 7,
    }


def test_a_configuration_has_a_line_for_each_problem() -> None:
    assert ConfigError("one").problems == ["one"]
    assert str(ConfigError(["one", "two"])) == "one\ntwo"


def test_failures_of_one_kind_keep_its_exit_code() -> None:
    same = Failures([("a", RemoteError("down")), ("b", NotFoundError("gone"))])
    assert same.exit_code == 3
    assert str(same) == "a: down\nb: gone"
    assert Failures([("a", RemoteError("down")), ("b", AuthError("no"))]).exit_code == 1


def test_a_name_that_begins_the_message_is_not_repeated() -> None:
    assert str(Failures([("a", RemoteError("a: down")), ("b", RemoteError("bb: up"))])) == (
        "a: down\nb: bb: up"
    )


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (FileNotFoundError(2, "No such file", "/x"), LocalError, "/x: No such file"),
        (OSError(28, "No space left"), LocalError, "one: No space left"),
        (MemoryError(), LocalError, "one: there is not enough memory (MemoryError)"),
        (pyproj.exceptions.CRSError("bad"), BuildError, "one: its CRS is not known to PROJ"),
        (ValueError("a\n  b"), StacbuildError, "one: ValueError: a b; if the data are"),
        (OSError("no number"), StacbuildError, "one: OSError: no number; "),
    ],
)
def test_any_exception_becomes_one_of_ours(
    error: Exception, kind: type[StacbuildError], said: str
) -> None:
    failed = failure_of(error, "one")
    assert type(failed) is kind
    assert str(failed).startswith(said)
    assert "\n" not in str(failed)
    assert failed.__cause__ is error


def test_ours_stays_as_it_is() -> None:
    error = RemoteError("down")
    assert failure_of(error, "one") is error


@dataclass
class Part:
    name: str
    error: StacbuildError | None = None


def test_what_failed_of_results_is_raised_as_one() -> None:
    first = RemoteError("down")
    failed = failures_of([Part("a"), Part("b", first), Part("c", LocalError("full"))])
    assert [name for name, _ in failed] == ["b", "c"]
    with pytest.raises(Failures, match="b: down\nc: full") as caught:
        raise_failures(iter(failed))
    assert caught.value.__cause__ is first
    raise_failures([])
