"""The status table of a run, in a notebook and elsewhere."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from stacbuild.multistore import status
from stacbuild.multistore.status import StatusTable


def rows(table: StatusTable) -> list[tuple[str, ...]]:
    return [tuple(map(str, row)) for row in table.table().rows]


def test_reports_are_of_the_current_rows(capsys: pytest.CaptureFixture[str]) -> None:
    table = StatusTable(["a", "b"])
    assert rows(table) == [("a", "WAITING", "-", "-"), ("b", "WAITING", "-", "-")]
    table.begin("a")
    table.say("reading")
    assert rows(table)[0] == ("a", "STARTED", "reading", "-")
    assert rows(table)[1][1] == "WAITING"
    table.set("a", "FAILED", "no", "KeyError")
    assert rows(table)[0] == ("a", "FAILED", "no", "KeyError")
    # Warnings last longer than a message of a row.
    table.warn("odd\nvalue")
    assert capsys.readouterr().err.count("\n") == 1
    table.close()
    assert "KeyError" in capsys.readouterr().out


def test_tasks_show_their_share() -> None:
    table = StatusTable(["a"])
    table.begin("a")
    with table.task("a.zarr", total=4) as task:
        assert rows(table)[0][2] == "a.zarr: 0%"
        task.advance()
        assert rows(table)[0][2] == "a.zarr: 25%"
        task.update(done=8, note="late")
        assert rows(table)[0][2] == "a.zarr: 100% (late)"
        task.update(total=16)
        assert rows(table)[0][2] == "a.zarr: 50% (late)"
    with table.task("queued") as task:
        task.advance(3)
        assert rows(table)[0][2] == "queued"


@pytest.mark.parametrize(
    ("unit", "fetched"), [("bytes", True), ("polls", True), ("chunks", False), ("items", False)]
)
def test_what_was_fetched_is_known(unit: Any, fetched: bool) -> None:
    table = StatusTable(["a"])
    with table.task("a", unit=unit):
        assert table.fetched is fetched
    table.begin("a")
    assert not table.fetched


def test_a_notebook_is_updated_in_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = []

    def display(content: Any, display_id: bool) -> Any:
        shown.append(content)
        return SimpleNamespace(update=shown.append)

    monkeypatch.setattr(status, "in_notebook", lambda: True)
    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(display=display))
    table = StatusTable(["a"])
    table.begin("a")
    before = len(shown)
    # Not at each message, of which there are many.
    for number in range(20):
        table.note(str(number))
    assert len(shown) <= before + 1
    table.close()
    assert "19" in repr(shown[-1])
    assert capsys.readouterr().out == ""
    shown.clear()
    StatusTable(["a"], live=False)
    assert shown == []
