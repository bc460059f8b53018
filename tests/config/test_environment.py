"""``${NAME}`` in the parameters of a store is the environment's value, and never shown."""

from __future__ import annotations

from typing import Any

import pytest

from stacbuild.config.environment import fill
from stacbuild.config.reading import Problem

PATH = ("data_stores", 0, "store_params")


def stores(**params: Any) -> dict[str, Any]:
    return {"data_stores": [{"identifier": "s", "store_params": params}], "datasets": ["${HOME}"]}


def params_of(data: dict[str, Any]) -> Any:
    return data["data_stores"][0]["store_params"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "canary-of-the-environment")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)


def test_only_values_of_parameters_are_filled_in() -> None:
    given = stores(
        key="${THE_KEY}", nested={"list": ["a ${THE_KEY} b"]}, literal="$${THE_KEY}", n=7
    )
    filled = fill(given)
    assert params_of(filled.data) == {
        "key": "canary-of-the-environment",
        "nested": {"list": ["a canary-of-the-environment b"]},
        "literal": "${THE_KEY}",
        "n": 7,
    }
    assert filled.data["datasets"] == ["${HOME}"]
    assert params_of(given)["key"] == "${THE_KEY}"
    assert filled.written[(*PATH, "key")] == "${THE_KEY}"
    assert (filled.problems, filled.literal) == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${UNSET}", "the environment variable UNSET is not set"),
        ("${EMPTY}", "EMPTY is not set, or is empty"),
        ("${THE_KEY", "write '$${'"),
        ("${canary key}", "write '$${'"),
    ],
)
def test_references_that_lead_nowhere(text: str, said: str) -> None:
    (problem,) = fill(stores(root=text)).problems
    assert said in problem.message
    assert problem.path == (*PATH, "root")
    assert "canary" not in problem.message


def test_a_credential_in_the_file_is_told_of() -> None:
    filled = fill(stores(storage_options={"secret": "canary", "anon": "yes"}, root="plain"))
    (literal,) = filled.literal
    assert literal.path == (*PATH, "storage_options", "secret")
    assert "canary" not in literal.message


def test_a_problem_does_not_show_the_value() -> None:
    filled = fill(stores(root="${THE_KEY}", other="x"))
    shown = Problem((*PATH, "root"), "has to be a URL, got 'canary-of-the-environment'")
    hidden = filled.hides(shown).message
    assert "${THE_KEY}" in hidden
    assert "canary" not in hidden
    plain = Problem((*PATH, "root"), "is too long")
    assert filled.hides(plain) is plain
    other = Problem((*PATH, "other"), "canary-of-the-environment")
    assert filled.hides(other) is other


@pytest.mark.parametrize(
    "data", [{}, {"data_stores": 7}, {"data_stores": [None, {"store_id": "s"}]}]
)
def test_what_is_of_another_shape_stays(data: dict[str, Any]) -> None:
    assert fill(data).data == data
