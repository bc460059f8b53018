"""Tables of a notebook: HTML there, text elsewhere, and nothing foreign gets through."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from stacbuild.multistore.tables import Table, in_notebook


def test_columns_of_text() -> None:
    assert repr(Table(["Name", "Size"], [["senf", "1"], ["g", "20"]])) == (
        "Name  Size\n----  ----\nsenf  1\ng     20"
    )
    assert repr(Table(["Name"], [])) == "Name\n----"


def test_wide_rows_are_blocks_of_lines() -> None:
    shown = repr(Table(["Name", "Message"], [["senf", "word " * 40], ["gami", "done"]]))
    assert "Name: senf\nMessage: word" in shown
    assert "\n\nName: gami" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_foreign_text_is_escaped() -> None:
    table = Table(["<b>"], [["<script>\x1b[1m"]])
    html = table._repr_html_()
    assert "<th>&lt;b&gt;</th>" in html
    assert "&lt;script&gt;\\x1b[1m" in html


def test_a_notebook_has_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    for shell, expected in (
        (None, False),
        (SimpleNamespace(), False),
        (SimpleNamespace(kernel=1), True),
    ):
        monkeypatch.setitem(
            sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell)
        )  # type: ignore[arg-type]
        assert in_notebook() is expected
