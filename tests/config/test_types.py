"""The small types of a configuration, each with what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from stacbuild.config.types import (
    Count,
    CubeName,
    DataId,
    ExactNumber,
    LocalPath,
    Name,
    Number,
    OneOrEach,
    Scheduler,
    Secret,
    StatedBBox,
    Text,
    Url,
    show,
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Name, "a-1.b_C", "a-1.b_C"),
        (CubeName, "site/sen2", "site/sen2"),
        (DataId, "a b/c.tif|d", "a b/c.tif|d"),
        (DataId, "s2?datetime=2018/..&x=1", "s2?datetime=2018/..&x=1"),
        (Number, "1e3", 1000),
        (ExactNumber, 2**64 - 1, 2**64 - 1),
        (ExactNumber, 7, 7.0),
        (Count, "16", 16),
        (Count, 16.0, 16),
        (StatedBBox, (1, "2", 3, 4.5), (1, 2, 3, 4.5)),
        (Url, "https://host.example/a/", "https://host.example/a"),
        (Scheduler, "tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        (OneOrEach[int], {"a": 1}, {"a": 1}),
        (OneOrEach[int], 1, 1),
        (OneOrEach[int], None, None),
    ],
)
def test_what_is_taken(kind: Any, value: Any, expected: Any) -> None:
    found = TypeAdapter(kind).validate_python(value)
    assert found == expected
    assert type(found) is type(expected) or kind is Number


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Name, "-a", "identifier"),
        (Name, "a/b", "identifier"),
        (Name, "a" * 101, "identifier"),
        (CubeName, "a.zarr/b", "named like a cube"),
        (CubeName, "../b", "identifier"),
        (CubeName, "/".join(["abcdefgh"] * 20), "more than 100"),
        (Text, " ", "is empty"),
        (Text, "a\nb", "line break"),
        (DataId, "/a", "has to be relative"),
        (DataId, "a/../b", "has to be relative"),
        (DataId, "a?x=/..", "has to be relative"),
        (Number, True, "the truth value true"),
        (Number, "nan", "finite"),
        (Number, 10**400, "finite number, got a number of more than 60 digits"),
        (Count, 1.5, "whole number"),
        (Count, 0, "1 or more"),
        (StatedBBox, [1, 2, 3], "four numbers"),
        (Url, "ftp://host", "begins with https"),
        (Url, "https://host:port", "begins with https"),
        (Url, "https://host?key=canary", "a plain URL"),
        (Url, "https://user:canary@host", "a plain URL"),
        (LocalPath, "~nobody-of-this-name/x", "home folder"),
        (Scheduler, "tcp://host", "has to be threads"),
        (Secret, "***", "is masked"),
    ],
)
def test_what_is_refused(kind: Any, value: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        TypeAdapter(kind).validate_python(value)
    assert "canary" not in caught.value.errors()[0]["msg"]


def test_a_path_of_this_machine_is_not_dumped() -> None:
    adapter = TypeAdapter(LocalPath)
    assert adapter.dump_python("/home/me/data") == ".../data"
    assert adapter.dump_python("C:\\Users\\me\\data") == ".../data"
    assert adapter.dump_python("~/data") == ".../data"
    assert adapter.dump_python("../data") == "../data"


def test_a_secret_is_never_shown() -> None:
    adapter = TypeAdapter(Secret)
    secret = adapter.validate_python("canary-secret")
    assert secret.get_secret_value() == "canary-secret"
    assert "canary" not in repr(secret)
    assert adapter.dump_python(secret) == "***"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "the truth value true"),
        ("x" * 70, repr("x" * 57 + "...")),
        ({}, "a mapping"),
        ([], "a list"),
        (1.5, "the number 1.5"),
        (Path("a"), "PosixPath a"),
    ],
)
def test_values_in_messages_are_short(value: Any, shown: str) -> None:
    assert show(value) == shown
